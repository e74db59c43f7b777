use std::time::Duration;

use crate::packet::{Nonce, Packet, Proof, Refusal, VERSION};
use crate::secret::{Entropy, Secret, same};
use crate::session::Keys;

/// The first pause between two attempts, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_millis(800));
/// After a refusal somebody has to change something; asking often does not help.
const REFUSED: Duration = Duration::from_secs(5);

/// Both ends show that they know the secret, each with a number that the other has drawn:
/// hello, challenge, answer, and the first signed frame.
///
/// A session that is there goes on until the next one is proven, so nobody without the secret can end it.
#[derive(Debug)]
pub(crate) enum Handshake {
    /// A host that has a session, or an agent that nobody talks to.
    Off,
    /// A host that says hello.
    Greeting { host: Option<Nonce>, timer: Timer },
    /// A host that has been challenged.
    Answering {
        agent: Nonce,
        proof: Proof,
        session: u32,
        keys: Box<Keys>,
        timer: Timer,
    },
    /// An agent that has been greeted.
    Challenging { host: Nonce, agent: Nonce, begun: bool },
}

/// What a host makes of a challenge.
#[derive(Debug)]
pub(crate) enum Greeted {
    /// It was for this host and is being answered, or was for somebody else.
    Meant,
    /// The agent still has the session of this host.
    StillThere,
    /// The agent does not know the secret.
    WrongSecret,
}

/// What an agent makes of an answer.
#[derive(Debug)]
pub(crate) enum Answered {
    Begin {
        session: u32,
        keys: Box<Keys>,
    },
    /// The session has begun already.
    Again,
    /// To another challenge.
    Stale,
    WrongSecret,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Timer {
    due: Duration,
    pause: Duration,
}

impl Timer {
    fn at(due: Duration) -> Self {
        Self { due, pause: PAUSES.0 }
    }

    fn fires(&mut self, now: Duration) -> bool {
        let due = now >= self.due;
        if due {
            self.due = now.saturating_add(self.pause);
            self.pause = (self.pause * 2).min(PAUSES.1);
        }
        due
    }
}

impl Handshake {
    pub(crate) fn new(host: bool) -> Self {
        if host {
            Self::Greeting {
                host: None,
                timer: Timer::at(Duration::ZERO),
            }
        } else {
            Self::Off
        }
    }

    pub(crate) fn is_on(&self) -> bool {
        !matches!(self, Self::Off)
    }

    /// Host: the session is not known over there.
    pub(crate) fn start(&mut self, now: Duration) {
        if matches!(self, Self::Off) {
            *self = Self::Greeting {
                host: None,
                timer: Timer::at(now),
            };
        }
    }

    /// Host: the session is alive after all.
    pub(crate) fn alive(&mut self) {
        if matches!(self, Self::Greeting { .. }) {
            *self = Self::Off;
        }
    }

    pub(crate) fn hurry(&mut self, now: Duration) {
        if let Self::Greeting { timer, .. } | Self::Answering { timer, .. } = self {
            *timer = Timer::at(now);
        }
    }

    pub(crate) fn refused(&mut self, now: Duration) {
        let due = now.saturating_add(REFUSED);
        *self = Self::Greeting {
            host: None,
            timer: Timer { due, pause: REFUSED },
        };
    }

    pub(crate) fn wake_at(&self) -> Option<Duration> {
        match self {
            Self::Greeting { timer, .. } | Self::Answering { timer, .. } => Some(timer.due),
            Self::Off | Self::Challenging { .. } => None,
        }
    }

    /// Host: what to send now.
    pub(crate) fn transmit(&mut self, now: Duration, entropy: &mut Entropy) -> Option<Packet> {
        match self {
            Self::Greeting { host, timer } => timer.fires(now).then(|| {
                let host = *host.get_or_insert_with(|| entropy.nonce());
                Packet::Hello { version: VERSION, host }
            }),
            Self::Answering {
                agent, proof, timer, ..
            } => timer.fires(now).then_some(Packet::Answer {
                agent: *agent,
                proof: *proof,
            }),
            Self::Off | Self::Challenging { .. } => None,
        }
    }

    /// Agent: somebody says hello.
    pub(crate) fn greeted(
        &mut self,
        entropy: &mut Entropy,
        secret: &Secret,
        version: u8,
        from: Nonce,
        current: Option<u32>,
    ) -> Packet {
        if version != VERSION {
            return Packet::Refused {
                reason: Refusal::Version(VERSION),
            };
        }
        let agent = match self {
            Self::Challenging { host, agent, .. } if *host == from => *agent,
            _ => {
                let agent = entropy.nonce();
                *self = Self::Challenging {
                    host: from,
                    agent,
                    begun: false,
                };
                agent
            }
        };
        Packet::Challenge {
            host: from,
            agent,
            current,
            proof: secret.agent_proof(&from, &agent, current),
        }
    }

    /// Host: the agent shows what it knows, and asks for the same. `mine` is the session that this end has.
    #[allow(clippy::too_many_arguments, reason = "they are the fields of the frame")]
    pub(crate) fn challenged(
        &mut self,
        secret: &Secret,
        to: &Nonce,
        agent: &Nonce,
        current: Option<u32>,
        proof: &Proof,
        mine: Option<u32>,
        now: Duration,
    ) -> Greeted {
        let Self::Greeting { host: Some(host), .. } = self else {
            return Greeted::Meant;
        };
        let host = *host;
        if host != *to {
            return Greeted::Meant;
        }
        if !same(proof, &secret.agent_proof(&host, agent, current)) {
            self.refused(now);
            return Greeted::WrongSecret;
        }
        if mine.is_some() && mine == current {
            *self = Self::Off;
            return Greeted::StillThere;
        }
        *self = Self::Answering {
            agent: *agent,
            proof: secret.host_proof(&host, agent),
            session: secret.session(&host, agent),
            keys: Box::new(Keys {
                mine: secret.host_key(&host, agent),
                theirs: secret.agent_key(&host, agent),
            }),
            timer: Timer::at(now),
        };
        Greeted::Meant
    }

    /// Agent: the host shows what it knows.
    pub(crate) fn answered(&mut self, secret: &Secret, to: &Nonce, proof: &Proof) -> Answered {
        let Self::Challenging { host, agent, begun } = self else {
            return Answered::Stale;
        };
        if agent != to {
            return Answered::Stale;
        }
        if !same(proof, &secret.host_proof(host, agent)) {
            return Answered::WrongSecret;
        }
        if std::mem::replace(begun, true) {
            return Answered::Again;
        }
        let keys = Box::new(Keys {
            mine: secret.agent_key(host, agent),
            theirs: secret.host_key(host, agent),
        });
        Answered::Begin {
            session: secret.session(host, agent),
            keys,
        }
    }

    /// Host: a frame of this session came; if it is the new one and signed, the handshake is over.
    pub(crate) fn proven(&mut self, id: u32, is_signed: impl FnOnce(&Keys) -> bool) -> Option<Box<Keys>> {
        let Self::Answering { session, keys, .. } = self else {
            return None;
        };
        if *session != id || !is_signed(keys) {
            return None;
        }
        let keys = keys.clone();
        *self = Self::Off;
        Some(keys)
    }
}
