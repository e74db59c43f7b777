use serde::{Deserialize, Serialize};

/// The version of everything on the wire.
pub(crate) const VERSION: u8 = 1;

/// The most bytes that a frame carries beside its header.
pub const MAX_PAYLOAD: usize = 1024;

/// How many frames beyond the first missing one a receiver keeps.
pub(crate) const WINDOW: u64 = 256;

pub(crate) type Nonce = [u8; 16];
pub(crate) type Proof = [u8; 16];

/// What a frame is. A payload, if any, follows it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Packet {
    /// From the host: is an agent there?
    Hello { version: u8, host: Nonce },
    /// From the agent: I am, and know the secret; do you?
    Challenge {
        host: Nonce,
        agent: Nonce,
        current: Option<u32>,
        proof: Proof,
    },
    /// From the host: I do.
    Answer { agent: Nonce, proof: Proof },
    /// From the agent: not with you.
    Refused { reason: Refusal },
    /// From the agent: I know nothing of this session.
    Unknown { session: u32 },
    /// The only kind that is signed.
    Session(SessionHeader),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct SessionHeader {
    pub(crate) session: u32,
    /// Counts what was sent, repetitions included; 0 for a mere [`Kind::Tell`].
    pub(crate) order: u64,
    pub(crate) ack: Ack,
    pub(crate) kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Kind {
    /// The payload with this number.
    Data { number: u64 },
    /// Answer at once.
    Ask,
    /// Nothing but the acknowledgement.
    Tell,
}

/// What has arrived.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Ack {
    /// All before this number.
    pub(crate) next: u64,
    /// The one at `next + 1 + n`, for each bit n.
    pub(crate) beyond: [u64; 4],
    /// The greatest order. A line keeps its order, so whatever was sent earlier and has not arrived never will.
    pub(crate) latest: u64,
}

/// Why an agent does not talk.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Refusal {
    /// The two ends have different secrets.
    WrongSecret,
    /// The agent speaks this version only.
    Version(u8),
}
