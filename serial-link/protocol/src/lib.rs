//! Commands and files over a serial line: a reliable link without I/O and without runtime.
//!
//! A virtual machine's serial port carries boot messages, a login prompt, what the kernel says in between, and,
//! between all that, this link. It survives a line that drops, flips and repeats bytes, and one that goes away and
//! comes back. [`Link`] is a state machine: bytes that the line brought go in, bytes for the line and events come
//! out, and the caller says what time it is.
//!
//! ```
//! use std::time::Duration;
//! use serial_link_protocol::{Agent, Config, Entropy, Event, Host, Link, Reply, Request, Secret};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let secret = Secret::new("ySLNyvZw2VfJbHrQ2nTnWg3k")?;
//! let mut host = Link::<Host>::new(Config::new(secret.clone(), Entropy::system()?));
//! let mut agent = Link::<Agent>::new(Config::new(secret, Entropy::system()?));
//!
//! let mut line = Vec::new();
//! let mut asked = false;
//! for millisecond in 0.. {
//!     let now = Duration::from_millis(millisecond);
//!     while host.transmit(now, &mut line) {}                 // a serial port stands here
//!     agent.receive(&std::mem::take(&mut line), now);
//!     while let Some(event) = agent.event() {
//!         if let Event::Message { channel, message: Request::Ping { token } } = event {
//!             agent.reply(channel, &Reply::Pong { token })?;
//!             agent.close(channel);
//!         }
//!     }
//!     while agent.transmit(now, &mut line) {}
//!     host.receive(&std::mem::take(&mut line), now);
//!     if host.session().is_some() && !asked {
//!         host.request(&Request::Ping { token: 7 })?;
//!         asked = true;
//!     }
//!     if let Some(Event::Message { message: Reply::Pong { token: 7 }, .. }) =
//!         std::iter::from_fn(|| host.event()).last() { break }
//! #   assert!(millisecond < 1000);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # The loop around a link
//! Whoever has a runtime writes this loop once; the module `blocking` (feature of that name) has it for threads.
//! 1. Wait until the line brings bytes, takes bytes, somebody here has a wish, or [`Link::wake_at`] has come.
//! 2. Give what came to [`Link::receive`]. Never stop reading the line: the link bounds what it holds by itself, and
//!    acknowledgements come the same way.
//! 3. Carry out wishes: [`request`](Link::request), [`write`](Link::write), [`read`](Link::read) …
//! 4. While the line takes more, [`Link::transmit`] a frame and write it. Do not collect many frames first: what is
//!    still in the link, an urgent message overtakes. A few kilobytes beyond what the port takes are plenty.
//! 5. Take every [`Link::event`], and wake whom it concerns.
//!
//! When the transport (a socket to QEMU, an SSH channel) breaks, keep the link, open another, forget what was written
//! in part, and call [`Link::line_restored`]: the session goes on where it was, each byte exactly once. A new `Link`
//! is a new session: the agent then ends what the earlier one had started.
//!
//! # What is said
//! The host opens a channel with a [`Request`] and gets [`Reply`]s and streams under its number; the variants of
//! `Request` say which. A reply may overtake the streams of its channel, because it must not wait behind a reader
//! that does not read. So a command is over when [`Reply::Exited`] came *and* [`Port::Output`] and [`Port::Errors`]
//! gave [`Read::End`]; then [`Link::close`] the channel. The same holds for [`Reply::Read`] and its stream. After
//! [`Event::Ended`] all channels are gone, and whoever waited for one must be told.
//!
//! Each stream has a credit of 256 KiB. What is not read is not replaced, so a slow reader stalls its stream, then the
//! command that writes into it, and nothing else.
//!
//! # The frames
//! `00 FE`, the [COBS] of the rest, `00`. The rest is a header in [postcard], a payload of up to [`MAX_PAYLOAD`]
//! bytes, in a session 8 bytes of HMAC-SHA-256, and a CRC-32. Zeros outside frames are swallowed; everything else that
//! is no frame is [`Event::Console`], in order. A frame that something was written into is console text, too, and is
//! sent again.
//!
//! A serial line keeps the order of its bytes, and this is used: every transmission has a number, and an
//! acknowledgement names the last one that came. What was sent before it and is not acknowledged is lost, without
//! guessing, and is sent again at once. If no answer comes, a short question is sent instead of a copy. The number of
//! frames under way follows the round trip, so that a slow port's buffers stay short.
//!
//! [COBS]: https://en.wikipedia.org/wiki/Consistent_Overhead_Byte_Stuffing
//! [postcard]: https://postcard.jamesmunns.com/wire-format.html
//!
//! # What the secret protects
//! Both ends prove that they know the secret, by HMACs over numbers that each has drawn; the secret never travels. Each
//! session derives two keys, and each frame of it is signed with the one of its direction, over its header and
//! sequence number too. So who can write to the port (another program in the guest, another client of the socket)
//! cannot run commands, change what is said, repeat it later, or end a session.
//!
//! It does not protect against reading along: nothing is encrypted, and who reads the port sees commands, outputs
//! and files. Who writes garbage to the port can slow the link down or keep it from working. The 64 bits of a
//! signature cannot be tried out but on the line. Who has recorded a handshake can try secrets offline, therefore a
//! secret has at least [`MIN_SECRET`] bytes and should be random. There is no forward secrecy: no keys are exchanged,
//! and there is nothing secret in the past to protect.

#[cfg(feature = "blocking")]
pub mod blocking;
mod board;
mod checksum;
mod client_error;
mod error;
mod frame;
mod handshake;
mod inbox;
mod link;
mod message;
mod packet;
mod role;
mod secret;
mod session;

pub use board::Board;
pub use checksum::Checksum;
pub use client_error::ClientError;
pub use error::LinkError;
pub use inbox::{Inbox, Output};
pub use link::{Config, Counters, Event, Link};
pub use message::{
    Address, Command, Digest, Exit, Failure, FailureKind, FileFacts, Port, Program, Put, Reply, Report, Request, Signal,
};
pub use packet::{MAX_PAYLOAD, Refusal};
pub use role::{Agent, Host, Role};
pub use secret::{Entropy, MIN_SECRET, Secret, SecretTooShort};
pub use session::Read;
