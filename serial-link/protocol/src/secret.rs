use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::packet::{Nonce, Proof};

/// The least number of bytes in a secret: who listens on the line can try guesses at home.
pub const MIN_SECRET: usize = 16;

/// What both ends know and nobody else on the line does.
///
/// It never travels. Whoever records a handshake can try guesses without being noticed, so make it random, not a word:
/// `head -c 32 /dev/urandom | base64` is a good one.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// The secret made of these bytes; white space around them is not part of it, so that a file may end in a newline.
    ///
    /// # Errors
    /// If fewer than [`MIN_SECRET`] bytes remain.
    pub fn new(bytes: impl AsRef<[u8]>) -> Result<Self, SecretTooShort> {
        let bytes = bytes.as_ref().trim_ascii();
        if bytes.len() < MIN_SECRET {
            return Err(SecretTooShort { found: bytes.len() });
        }
        Ok(Self(Zeroizing::new(bytes.to_vec())))
    }

    fn mac(&self, purpose: &[u8], host: &Nonce, agent: &Nonce, more: &[u8]) -> [u8; 32] {
        let mut mac = new_mac(&self.0);
        for part in [b"serial-link 1 ", purpose, host, agent, more] {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }

    /// What only an agent with the secret can say; `current` is the session it has.
    pub(crate) fn agent_proof(&self, host: &Nonce, agent: &Nonce, current: Option<u32>) -> Proof {
        let mut more = [0; 5];
        if let Some(session) = current {
            more[0] = 1;
            more[1..].copy_from_slice(&session.to_le_bytes());
        }
        truncated(self.mac(b"agent", host, agent, &more))
    }

    /// What only a host with the secret can say.
    pub(crate) fn host_proof(&self, host: &Nonce, agent: &Nonce) -> Proof {
        truncated(self.mac(b"host", host, agent, &[]))
    }

    /// The number of the session between the two.
    pub(crate) fn session(&self, host: &Nonce, agent: &Nonce) -> u32 {
        u32::from_le_bytes(truncated(self.mac(b"session", host, agent, &[])))
    }

    /// The key of the frames that the host sends.
    pub(crate) fn host_key(&self, host: &Nonce, agent: &Nonce) -> FrameKey {
        FrameKey::new(Zeroizing::new(self.mac(b"key of host", host, agent, &[])))
    }

    /// The key of the frames that the agent sends; another one, so that no frame can be sent back to its sender.
    pub(crate) fn agent_key(&self, host: &Nonce, agent: &Nonce) -> FrameKey {
        FrameKey::new(Zeroizing::new(self.mac(b"key of agent", host, agent, &[])))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A secret that can be guessed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the secret has {found} bytes and needs {MIN_SECRET}: `head -c 32 /dev/urandom | base64` makes a good one")]
pub struct SecretTooShort {
    /// How many it has.
    pub found: usize,
}

/// Signs the frames of one direction of one session.
#[derive(Clone)]
pub(crate) struct FrameKey(Hmac<Sha256>);

/// The start of an HMAC: 64 bits, each guess at which costs a frame on the line.
pub(crate) type Tag = [u8; 8];

impl FrameKey {
    fn new(key: Zeroizing<[u8; 32]>) -> Self {
        Self(new_mac(key.as_slice()))
    }

    pub(crate) fn tag(&self, bytes: &[u8]) -> Tag {
        truncated(self.0.clone().chain_update(bytes).finalize().into_bytes().into())
    }

    pub(crate) fn verify(&self, bytes: &[u8], tag: &Tag) -> bool {
        self.0.clone().chain_update(bytes).verify_truncated_left(tag).is_ok()
    }
}

/// Compares without telling, by the time it takes, where the difference is.
pub(crate) fn same(left: &Proof, right: &Proof) -> bool {
    left.iter()
        .zip(right)
        .fold(0, |difference, (a, b)| difference | (a ^ b))
        == 0
}

/// The source of nonces: they must never repeat, and nobody may foresee them.
#[derive(Clone)]
pub struct Entropy {
    seed: Zeroizing<[u8; 32]>,
    drawn: u64,
}

impl Entropy {
    /// From the operating system.
    ///
    /// # Errors
    /// If it has none to give, which happens on no ordinary system.
    pub fn system() -> Result<Self, std::io::Error> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|error| std::io::Error::other(error.to_string()))?;
        Ok(Self::from_seed(seed))
    }

    /// From a seed that was used nowhere else: for tests, and for systems that have their own source.
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self {
            seed: Zeroizing::new(seed),
            drawn: 0,
        }
    }

    pub(crate) fn nonce(&mut self) -> Nonce {
        self.drawn += 1;
        truncated(
            new_mac(self.seed.as_slice())
                .chain_update(self.drawn.to_le_bytes())
                .finalize()
                .into_bytes()
                .into(),
        )
    }
}

impl fmt::Debug for Entropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Entropy(…)")
    }
}

fn new_mac(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

fn truncated<const N: usize>(whole: [u8; 32]) -> [u8; N] {
    std::array::from_fn(|at| whole[at])
}
