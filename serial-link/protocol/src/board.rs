//! A line made of values that both ends read and write.

use std::collections::VecDeque;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;

use crate::role::Role;

/// Bytes of the line in a value, which is then below 1024 characters: half of what xenstore takes.
const PIECE: usize = 720;

/// Values that one end writes ahead, before the other has taken them.
const SLOTS: u32 = 16;

/// Bytes that wait here for a reader; then nothing more is taken.
const MOST_READABLE: usize = 64 << 10;

/// Bytes that wait here for room; then nothing more is accepted.
const MOST_WAITING: usize = 16 << 10;

/// After so long a value that was not taken is written again, for somebody may have removed it.
const FIRST_RETRY: Duration = Duration::from_millis(500);
const LAST_RETRY: Duration = Duration::from_secs(4);

/// A line for a [`Link`](crate::Link) where there is no serial port: a few named values, as xenstore has them, in which
/// each end posts what the other reads.
///
/// It does no I/O. [`post`](Self::post) says what to write, what the other end wrote goes to [`see`](Self::see), and the
/// line's bytes are at [`write`](Self::write) and [`read`](Self::read). Each end has 17 names: `h0` to `h15` and `ha` are
/// the host's, `g0` to `g15` and `ga` the guest's.
///
/// A value is text: the end's number, which it draws when it starts, the piece's number, and the piece as Base64; `ha` and
/// `ga` have the other end's number and how many of its pieces were taken. Values may be seen late, several times, or not
/// at all; an end that starts anew is known by its number. What was on its way is then lost, as on a port, and found
/// missing by the link.
///
/// ```
/// use std::time::Duration;
/// use serial_link_protocol::{Agent, Board, Host};
///
/// let (mut host, mut guest) = (Board::<Host>::new(1), Board::<Agent>::new(2));
/// assert_eq!(host.write(b"a frame"), 7);
/// for (name, value) in host.post(Duration::ZERO) { // written into xenstore, and read there
///     guest.see(&name, &value);
/// }
/// assert_eq!(guest.read(100), b"a frame");
/// ```
#[derive(Debug)]
pub struct Board<R: Role> {
    number: u32,
    outgoing: VecDeque<u8>,
    /// Pieces that the other end has not taken, the first of which has the number `taken`.
    posted: VecDeque<Posted>,
    taken: u32,
    peer: Option<Peer>,
    incoming: VecDeque<u8>,
    role: std::marker::PhantomData<fn() -> R>,
}

#[derive(Debug)]
struct Posted {
    value: String,
    /// When it is written again; none before the first time.
    again: Option<Duration>,
    pause: Duration,
}

#[derive(Debug)]
struct Peer {
    number: u32,
    /// The piece that comes next.
    next: u32,
    /// Pieces that came before their time.
    early: Vec<(u32, Vec<u8>)>,
    /// It has not been told how far it was read.
    untold: bool,
}

impl<R: Role> Board<R> {
    /// An end with a number that no earlier one has had: draw it at random.
    #[must_use]
    pub fn new(number: u32) -> Self {
        Self {
            number,
            outgoing: VecDeque::new(),
            posted: VecDeque::new(),
            taken: 0,
            peer: None,
            incoming: VecDeque::new(),
            role: std::marker::PhantomData,
        }
    }

    /// Takes as much as there is room for, and says how much.
    pub fn write(&mut self, bytes: &[u8]) -> usize {
        let room = MOST_WAITING.saturating_sub(self.outgoing.len()).min(bytes.len());
        self.outgoing.extend(&bytes[..room]);
        room
    }

    /// Up to `most` bytes that have come.
    pub fn read(&mut self, most: usize) -> Vec<u8> {
        let before = self.incoming.len() >= MOST_READABLE;
        let bytes = self.incoming.drain(..most.min(self.incoming.len())).collect();
        if before {
            // What was not taken for want of room is taken now.
            self.take_early();
        }
        bytes
    }

    /// What is to be written now: names and values.
    pub fn post(&mut self, now: Duration) -> Vec<(String, String)> {
        while self.posted.len() < SLOTS as usize && !self.outgoing.is_empty() {
            let piece: Vec<u8> = self.outgoing.drain(..PIECE.min(self.outgoing.len())).collect();
            let number = self.taken.wrapping_add(self.posted.len() as u32);
            self.posted.push_back(Posted {
                value: format!("{:08x} {number} {}", self.number, BASE64.encode(piece)),
                again: None,
                pause: FIRST_RETRY,
            });
        }
        let mut values = Vec::new();
        for (at, posted) in (0..).zip(&mut self.posted) {
            if posted.again.is_none_or(|again| again <= now) {
                posted.again = Some(now + posted.pause);
                posted.pause = (posted.pause * 2).min(LAST_RETRY);
                let slot = self.taken.wrapping_add(at) % SLOTS;
                values.push((format!("{}{slot}", prefix::<R>()), posted.value.clone()));
            }
        }
        if let Some(peer) = self.peer.as_mut().filter(|peer| peer.untold) {
            peer.untold = false;
            values.push((
                format!("{}a", prefix::<R>()),
                format!("{:08x} {}", peer.number, peer.next),
            ));
        }
        values
    }

    /// When to call [`post`](Self::post) although nothing happened.
    #[must_use]
    pub fn wake_at(&self) -> Option<Duration> {
        self.posted.iter().filter_map(|posted| posted.again).min()
    }

    /// Whether a name is one of the other end's.
    #[must_use]
    pub fn is_theirs(name: &str) -> bool {
        let slot = name.strip_prefix(if R::IS_HOST { 'g' } else { 'h' });
        slot.is_some_and(|slot| slot == "a" || slot.parse::<u32>().is_ok_and(|slot| slot < SLOTS))
    }

    /// The names of the other end.
    pub fn theirs() -> impl Iterator<Item = String> {
        let prefix = if R::IS_HOST { "g" } else { "h" };
        let slots = (0..SLOTS).map(move |slot| format!("{prefix}{slot}"));
        slots.chain([format!("{prefix}a")])
    }

    /// Looks at a value that the other end has written. What makes no sense is passed over.
    pub fn see(&mut self, name: &str, value: &str) {
        if !Self::is_theirs(name) {
            return;
        }
        let mut words = value.split(' ');
        let number = words.next().and_then(|word| u32::from_str_radix(word, 16).ok());
        let (Some(number), Some(Ok(count))) = (number, words.next().map(str::parse)) else {
            return;
        };
        if name.ends_with('a') {
            self.see_taken(number, count);
        } else if let Some(Ok(piece)) = words.next().map(|word| BASE64.decode(word)) {
            self.see_piece(number, count, piece);
        }
    }

    fn see_taken(&mut self, number: u32, count: u32) {
        let done = count.wrapping_sub(self.taken) as usize;
        if number == self.number && done <= self.posted.len() {
            self.posted.drain(..done);
            self.taken = count;
        }
    }

    fn see_piece(&mut self, number: u32, count: u32, piece: Vec<u8>) {
        // Of an end that was there before this one, the first piece seen is not the first it has sent.
        let peer = match &mut self.peer {
            Some(peer) if peer.number == number => peer,
            peer => peer.insert(Peer {
                number,
                next: if count < SLOTS { 0 } else { count },
                early: Vec::new(),
                untold: true,
            }),
        };
        let ahead = count.wrapping_sub(peer.next);
        if ahead >= SLOTS {
            // It was taken, which the other end may not have seen.
            peer.untold = true;
        } else if peer.early.iter().all(|(known, _)| *known != count) && piece.len() <= PIECE {
            peer.early.push((count, piece));
            self.take_early();
        }
    }

    fn take_early(&mut self) {
        let Some(peer) = &mut self.peer else { return };
        while self.incoming.len() < MOST_READABLE
            && let Some(at) = peer.early.iter().position(|(count, _)| *count == peer.next)
        {
            let (_, piece) = peer.early.swap_remove(at);
            self.incoming.extend(piece);
            peer.next = peer.next.wrapping_add(1);
            peer.untold = true;
        }
    }
}

fn prefix<R: Role>() -> char {
    if R::IS_HOST { 'h' } else { 'g' }
}
