mod mux;
mod pace;
mod receiver;
mod sender;

use std::time::Duration;

pub use self::mux::Read;
pub(crate) use self::mux::{Mux, MuxEvent, Side};
use self::receiver::Receiver;
use self::sender::{Sender, Transmission};
use crate::frame::{self, Frame};
use crate::packet::{Kind, Packet, SessionHeader};
use crate::secret::FrameKey;

/// So many payloads may come before they are acknowledged, and so long: each acknowledgement costs the line, and an
/// emulated port's guest its time.
const UNTOLD: (u32, Duration) = (4, Duration::from_millis(5));

/// One end of a session: it begins with a handshake and ends with the next.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: u32,
    keys: Box<Keys>,
    sender: Sender,
    receiver: Receiver,
    pub(crate) mux: Mux,
    /// When an acknowledgement is due.
    tell: Option<Duration>,
    /// The payloads that it will be for.
    untold: u32,
    heard: Duration,
    asked: Duration,
}

/// The keys of both directions.
#[derive(Clone)]
pub(crate) struct Keys {
    pub(crate) mine: FrameKey,
    pub(crate) theirs: FrameKey,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(…)")
    }
}

impl Session {
    pub(crate) fn new(id: u32, keys: Box<Keys>, mux: Mux, now: Duration) -> Self {
        Self {
            id,
            keys,
            sender: Sender::new(now),
            receiver: Receiver::default(),
            mux,
            tell: Some(now),
            untold: 0,
            heard: now,
            asked: now,
        }
    }

    pub(crate) fn heard(&self) -> Duration {
        self.heard
    }

    pub(crate) fn resent(&self) -> u64 {
        self.sender.resent
    }

    pub(crate) fn repeated(&self) -> u64 {
        self.receiver.repeated
    }

    pub(crate) fn is_from_peer(&self, frame: &Frame) -> bool {
        frame.is_signed_with(&self.keys.theirs)
    }

    /// Something is to be acknowledged.
    pub(crate) fn tell(&mut self) {
        self.tell = Some(Duration::ZERO);
    }

    /// The line is back.
    pub(crate) fn hurry(&mut self) {
        self.sender.hurry();
        self.asked = Duration::ZERO;
    }

    /// Takes a frame that is from the peer.
    pub(crate) fn receive(&mut self, header: &SessionHeader, payload: &[u8], now: Duration) {
        self.heard = now;
        self.sender.acknowledged(&header.ack, now);
        match header.kind {
            Kind::Tell => return,
            Kind::Ask => {
                self.sender.asked(now);
                self.tell();
            }
            Kind::Data { number } => self.receiver.take(number, payload, |payload| self.mux.take(payload)),
        }
        self.receiver.heard(header.order);
        self.untold += 1;
        if self.untold >= UNTOLD.0 || self.receiver.misses_something() {
            self.tell();
        }
        self.tell.get_or_insert(now.saturating_add(UNTOLD.1));
    }

    /// Writes the next frame, if there is something to say; `heartbeat` is for the end that keeps asking.
    pub(crate) fn transmit(
        &mut self,
        now: Duration,
        payload: usize,
        heartbeat: Option<Duration>,
        patient: bool,
        out: &mut Vec<u8>,
    ) -> bool {
        let ack = self.receiver.ack();
        let asks = patient && self.ask_at(heartbeat).is_some_and(|at| now >= at);
        let transmission = if asks {
            self.asked = now;
            self.sender.ask(now)
        } else if let Some(lost) = self.sender.repeat(now) {
            lost
        } else if let Some(payload) = self.sender.has_room().then(|| self.mux.next(payload)).flatten() {
            self.sender.send(payload, now)
        } else if self.tell.is_some_and(|at| now >= at) {
            Transmission {
                order: 0,
                kind: Kind::Tell,
                payload: &[],
            }
        } else {
            return false;
        };
        (self.tell, self.untold) = (None, 0);
        let header = SessionHeader {
            session: self.id,
            order: transmission.order,
            ack,
            kind: transmission.kind,
        };
        frame::encode(
            &Packet::Session(header),
            transmission.payload,
            Some(&self.keys.mine),
            out,
        );
        true
    }

    /// When an acknowledgement is due.
    pub(crate) fn tell_at(&self) -> Option<Duration> {
        self.tell
    }

    /// When a question is due, if nothing is heard until then.
    pub(crate) fn ask_at(&self, heartbeat: Option<Duration>) -> Option<Duration> {
        let beat = heartbeat.map(|pause| self.heard.max(self.asked).saturating_add(pause));
        self.sender.ask_at().into_iter().chain(beat).min()
    }

    /// Whether everything said has arrived.
    pub(crate) fn is_idle(&self) -> bool {
        self.sender.is_idle() && self.mux.is_idle()
    }
}
