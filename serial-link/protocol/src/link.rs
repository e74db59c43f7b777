use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use crate::error::LinkError;
use crate::frame::{self, Deframer, Frame, Piece};
use crate::handshake::{Answered, Greeted, Handshake};
use crate::message::{Port, Reply, Request};
use crate::packet::{MAX_PAYLOAD, Packet, Refusal, SessionHeader};
use crate::role::{Agent, Host, Role};
use crate::secret::{Entropy, Secret};
use crate::session::{Keys, Mux, MuxEvent, Read, Session, Side};

/// So long without a sign of life, and the line is thought to be away.
const SILENCE: Duration = Duration::from_secs(3);
/// So long without a sign of life, and an agent with something to say waits until it is spoken to.
const RESIGNED: Duration = Duration::from_secs(10);

/// How a link behaves.
#[derive(Clone, Debug)]
pub struct Config {
    secret: Secret,
    entropy: Entropy,
    payload: usize,
    heartbeat: Duration,
}

impl Config {
    /// What suits the serial port of a virtual machine.
    #[must_use]
    pub fn new(secret: Secret, entropy: Entropy) -> Self {
        Self {
            secret,
            entropy,
            payload: MAX_PAYLOAD,
            heartbeat: Duration::from_secs(1),
        }
    }

    /// How many bytes a frame carries at most, from 32 to [`MAX_PAYLOAD`], the default: less for a line so noisy that
    /// a frame of a kilobyte seldom arrives whole.
    #[must_use]
    pub fn payload(mut self, bytes: usize) -> Self {
        self.payload = bytes.clamp(32, MAX_PAYLOAD);
        self
    }

    /// After how long a silence the host asks whether the agent is there; 1 s by default. An agent never asks.
    #[must_use]
    pub fn heartbeat(mut self, pause: Duration) -> Self {
        self.heartbeat = pause.max(Duration::from_millis(10));
        self
    }
}

/// What happened. `M` is what the other end says: [`Reply`] for a host, [`Request`] for an agent.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Event<M> {
    /// The line carried bytes that are no frame: boot messages, a login prompt, and what noise left of frames.
    Console(Vec<u8>),
    /// A session has begun. All channels of an earlier one are gone; [`Ended`](Self::Ended) came before.
    Connected {
        /// Its number.
        session: u32,
    },
    /// A session has ended because the other end began anew, and has forgotten everything.
    Ended {
        /// Its number.
        session: u32,
    },
    /// The other end says something in a channel.
    Message {
        /// The channel.
        channel: u32,
        /// What it says.
        message: M,
    },
    /// A stream has something to [`read`](Link::read), or has ended. Read it until [`Read::Pending`]: as long as
    /// something is left, more that comes need not be told again.
    Readable {
        /// The channel.
        channel: u32,
        /// The stream.
        port: Port,
    },
    /// A stream that did not take all of the last [`write`](Link::write) takes more now.
    Writable {
        /// The channel.
        channel: u32,
        /// The stream.
        port: Port,
    },
    /// The other end reads the stream no more: what is written to it is lost.
    Stopped {
        /// The channel.
        channel: u32,
        /// The stream.
        port: Port,
    },
    /// Nothing was heard for 3 s: the line or the other end is away. The session waits for it.
    Silent,
    /// The other end is heard again.
    Heard,
    /// The other end does not want to talk with this one.
    Refused(Refusal),
}

/// What a link has counted since it was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Counters {
    /// Frames whose checksum was wrong, or that never ended. Their bytes were passed on as console text.
    pub damaged: u64,
    /// Frames of a session that is not this one.
    pub foreign: u64,
    /// Frames of this session that were not signed with its key, and handshakes with a wrong secret.
    pub forged: u64,
    /// Frames of this session that were sent again.
    pub resent: u64,
    /// Payloads of this session that arrived more than once.
    pub repeated: u64,
    /// What the other end may not do: more than its credit, too long messages, messages that make no sense.
    pub violations: u64,
}

/// One end of a serial line: bytes in, bytes out, and what they mean.
///
/// It does no I/O and knows no clock: times are measured from any fixed moment, and never go back. See the
/// [front page](crate) for the loop around it.
pub struct Link<R: Role> {
    config: Config,
    deframer: Deframer,
    handshake: Handshake,
    session: Option<Session>,
    /// A frame of the handshake that is to be sent.
    outbox: Option<Packet>,
    events: VecDeque<Event<R::Incoming>>,
    silent: bool,
    counters: Counters,
    role: std::marker::PhantomData<fn() -> R>,
}

impl<R: Role> Link<R> {
    /// A link that has heard nothing yet. A host begins to say hello at once, an agent waits for that.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            deframer: Deframer::new(),
            handshake: Handshake::new(R::IS_HOST),
            session: None,
            outbox: None,
            events: VecDeque::new(),
            silent: false,
            counters: Counters::default(),
            role: std::marker::PhantomData,
            config,
        }
    }

    /// Takes bytes that the line brought; then look at [`event`](Self::event) and [`transmit`](Self::transmit).
    pub fn receive(&mut self, bytes: &[u8], now: Duration) {
        let mut pieces = Vec::new();
        self.deframer.feed(bytes, now, |piece| pieces.push(piece));
        self.take(pieces, now);
    }

    fn take(&mut self, pieces: Vec<Piece>, now: Duration) {
        for piece in pieces {
            match piece {
                Piece::Text(text) => self.events.push_back(Event::Console(text)),
                Piece::Frame(frame) => self.frame(&frame, now),
            }
        }
    }

    fn frame(&mut self, frame: &Frame, now: Duration) {
        match &frame.packet {
            Packet::Session(header) => self.session_frame(header, frame, now),
            Packet::Hello { version, host } if !R::IS_HOST => {
                let current = self.session.as_ref().map(|session| session.id);
                self.outbox = Some(self.handshake.greeted(
                    &mut self.config.entropy,
                    &self.config.secret,
                    *version,
                    *host,
                    current,
                ));
            }
            Packet::Challenge {
                host,
                agent,
                current,
                proof,
            } if R::IS_HOST => {
                let mine = self.session.as_ref().map(|session| session.id);
                match self
                    .handshake
                    .challenged(&self.config.secret, host, agent, *current, proof, mine, now)
                {
                    Greeted::Meant => {}
                    Greeted::StillThere => self.line_restored(now),
                    Greeted::WrongSecret => {
                        self.counters.forged += 1;
                        self.events.push_back(Event::Refused(Refusal::WrongSecret));
                    }
                }
            }
            Packet::Answer { agent, proof } if !R::IS_HOST => {
                match self.handshake.answered(&self.config.secret, agent, proof) {
                    Answered::Begin { session, keys } => self.begin(session, keys, now),
                    Answered::Again => self.session.iter_mut().for_each(Session::tell),
                    Answered::Stale => {}
                    Answered::WrongSecret => {
                        self.counters.forged += 1;
                        self.outbox = Some(Packet::Refused {
                            reason: Refusal::WrongSecret,
                        });
                    }
                }
            }
            Packet::Refused { reason } if R::IS_HOST && self.handshake.is_on() => {
                self.handshake.refused(now);
                self.events.push_back(Event::Refused(*reason));
            }
            Packet::Unknown { session } if R::IS_HOST => {
                if self.session.as_ref().is_some_and(|mine| mine.id == *session) {
                    self.handshake.start(now);
                }
            }
            _ => self.counters.foreign += 1,
        }
    }

    fn session_frame(&mut self, header: &SessionHeader, frame: &Frame, now: Duration) {
        if let Some(keys) = self
            .handshake
            .proven(header.session, |keys| frame.is_signed_with(&keys.theirs))
        {
            self.begin(header.session, keys, now);
        }
        let Some(session) = self.session.as_mut().filter(|session| session.id == header.session) else {
            self.counters.foreign += 1;
            if !R::IS_HOST && self.outbox.is_none() {
                self.outbox = Some(Packet::Unknown {
                    session: header.session,
                });
            }
            return;
        };
        if !session.is_from_peer(frame) {
            self.counters.forged += 1;
            return;
        }
        let paused = now.saturating_sub(session.heard());
        session.receive(header, frame.payload(), now);
        if paused > SILENCE {
            session.hurry();
        }
        if std::mem::take(&mut self.silent) {
            self.events.push_back(Event::Heard);
        }
        self.handshake.alive();
        self.collect();
    }

    fn begin(&mut self, id: u32, keys: Box<Keys>, now: Duration) {
        if let Some(old) = self.session.take() {
            self.counters.resent += old.resent();
            self.counters.repeated += old.repeated();
            self.counters.violations += old.mux.violations;
            self.events.push_back(Event::Ended { session: old.id });
        }
        self.silent = false;
        self.session = Some(Session::new(
            id,
            keys,
            Mux::new(if R::IS_HOST { Side::Opens } else { Side::Accepts }),
            now,
        ));
        self.events.push_back(Event::Connected { session: id });
    }

    /// Turns what the session has to tell into events.
    fn collect(&mut self) {
        let Some(session) = &mut self.session else { return };
        while let Some(event) = session.mux.events.pop_front() {
            self.events.push_back(match event {
                MuxEvent::Readable { channel, port } => Event::Readable { channel, port },
                MuxEvent::Writable { channel, port } => Event::Writable { channel, port },
                MuxEvent::Stopped { channel, port } => Event::Stopped { channel, port },
                MuxEvent::Message { channel, bytes } => {
                    let Ok(message) = postcard::from_bytes(&bytes) else {
                        session.mux.refuse(channel, R::answer_to_nonsense().as_deref());
                        continue;
                    };
                    Event::Message { channel, message }
                }
            });
        }
    }

    /// Appends the next frame that is to be sent, and says whether there was one. Call it again until it says no, and
    /// whenever the line takes more: what waits here can still be overtaken by what is urgent, what was handed to the
    /// operating system cannot.
    pub fn transmit(&mut self, now: Duration, out: &mut Vec<u8>) -> bool {
        let mut pieces = Vec::new();
        self.deframer.expire(now, &mut |piece| pieces.push(piece));
        self.take(pieces, now);
        self.notice_silence(now);

        let greeting = self.handshake.transmit(now, &mut self.config.entropy);
        if let Some(packet) = self.outbox.take().or(greeting) {
            frame::encode(&packet, &[], None, out);
            return true;
        }
        let patient = self.is_patient(now);
        let heartbeat = R::IS_HOST.then_some(self.config.heartbeat);
        let Some(session) = &mut self.session else { return false };
        let sent = session.transmit(now, self.config.payload, heartbeat, patient, out);
        self.collect();
        sent
    }

    fn notice_silence(&mut self, now: Duration) {
        if self.silence_at().is_some_and(|at| now >= at) {
            self.silent = true;
            self.events.push_back(Event::Silent);
        }
    }

    /// When a further silence will mean something: an agent that has nothing to say expects no answers.
    fn silence_at(&self) -> Option<Duration> {
        let session = self.session.as_ref().filter(|_| !self.silent)?;
        (R::IS_HOST || !session.is_idle()).then(|| session.heard().saturating_add(SILENCE))
    }

    fn is_patient(&self, now: Duration) -> bool {
        R::IS_HOST
            || self
                .session
                .as_ref()
                .is_some_and(|session| now < session.heard().saturating_add(RESIGNED))
    }

    /// When to call [`transmit`](Self::transmit) although nothing happened.
    #[must_use]
    pub fn wake_at(&self, now: Duration) -> Option<Duration> {
        let heartbeat = R::IS_HOST.then_some(self.config.heartbeat);
        let session = self.session.as_ref();
        let ask = session
            .filter(|_| self.is_patient(now))
            .and_then(|session| session.ask_at(heartbeat));
        let silence = self.silence_at();
        let tell = session.and_then(Session::tell_at);
        [self.deframer.wake_at(), self.handshake.wake_at(), ask, tell, silence]
            .into_iter()
            .flatten()
            .min()
    }

    /// Says that the line is back after an absence, so that nothing waits for a timer.
    pub fn line_restored(&mut self, now: Duration) {
        self.handshake.hurry(now);
        if let Some(session) = &mut self.session {
            session.hurry();
        }
    }

    /// The next event. Take all of them after each [`receive`](Self::receive) and [`transmit`](Self::transmit).
    pub fn event(&mut self) -> Option<Event<R::Incoming>> {
        self.events.pop_front()
    }

    /// The session's number, if there is one.
    #[must_use]
    pub fn session(&self) -> Option<u32> {
        self.session.as_ref().map(|session| session.id)
    }

    /// Whether everything that was said has arrived at the other end.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.session.as_ref().is_none_or(Session::is_idle)
    }

    /// What has been counted.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let mut counters = self.counters;
        counters.damaged = self.deframer.damaged;
        if let Some(session) = &self.session {
            counters.resent += session.resent();
            counters.repeated += session.repeated();
            counters.violations += session.mux.violations;
        }
        counters
    }

    /// Takes as much of `bytes` into a stream as there is room for. If that is not all, [`Event::Writable`] tells when
    /// to go on.
    ///
    /// # Errors
    /// If the channel is closed, or the stream was ended here or stopped by the reader.
    pub fn write(&mut self, channel: u32, port: Port, bytes: &[u8]) -> Result<usize, LinkError> {
        self.mux()?.write(channel, port, bytes)
    }

    /// Ends a stream behind what was written.
    ///
    /// # Errors
    /// If the channel is closed.
    pub fn end(&mut self, channel: u32, port: Port) -> Result<(), LinkError> {
        self.mux()?.end(channel, port)
    }

    /// Takes up to `most` bytes out of a stream. Only what is taken is replaced: who does not read stalls this stream
    /// and no other.
    ///
    /// # Errors
    /// If the channel is closed.
    pub fn read(&mut self, channel: u32, port: Port, most: usize) -> Result<Read, LinkError> {
        self.mux()?.read(channel, port, most.max(1))
    }

    /// Tells the other end that nobody reads this stream any more.
    ///
    /// # Errors
    /// If the channel is closed.
    pub fn stop(&mut self, channel: u32, port: Port) -> Result<(), LinkError> {
        self.mux()?.stop(channel, port)
    }

    /// Forgets a channel. What comes for it later is dropped; streams that were ended here are sent to their end.
    pub fn close(&mut self, channel: u32) {
        if let Some(session) = &mut self.session {
            session.mux.close(channel);
        }
    }

    /// Whether a channel is open.
    #[must_use]
    pub fn is_open(&self, channel: u32) -> bool {
        self.session
            .as_ref()
            .is_some_and(|session| session.mux.is_open(channel))
    }

    fn mux(&mut self) -> Result<&mut Mux, LinkError> {
        self.session
            .as_mut()
            .map(|session| &mut session.mux)
            .ok_or(LinkError::NotConnected)
    }

    fn send(&mut self, channel: u32, message: &R::Outgoing) -> Result<(), LinkError> {
        self.mux()?.send(channel, &encoded(message))
    }
}

impl Link<Host> {
    /// Opens a channel with a request, and returns its number: the answers and streams come under it.
    ///
    /// # Errors
    /// If there is no session, too many channels are open, or too much waits for the line.
    pub fn request(&mut self, request: &Request) -> Result<u32, LinkError> {
        self.mux()?.open(&encoded(request))
    }

    /// Says something more in a channel: a signal, a cancellation, a file's checksum.
    ///
    /// # Errors
    /// If the channel is closed or too much waits for the line.
    pub fn follow_up(&mut self, channel: u32, request: &Request) -> Result<(), LinkError> {
        self.send(channel, request)
    }
}

impl Link<Agent> {
    /// Answers in a channel. After the last answer, [`close`](Self::close) it.
    ///
    /// # Errors
    /// If the channel is closed or too much waits for the line.
    pub fn reply(&mut self, channel: u32, reply: &Reply) -> Result<(), LinkError> {
        self.send(channel, reply)
    }
}

impl<R: Role> fmt::Debug for Link<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("session", &self.session())
            .field("counters", &self.counters())
            .finish_non_exhaustive()
    }
}

pub(crate) fn encoded<T: serde::Serialize>(message: &T) -> Vec<u8> {
    postcard::to_allocvec(message).expect("messages have no unserializable parts")
}
