//! The protocol of xenstore as bytes, without I/O: what goes over its socket, and over `/dev/xen/xenbus` in a guest.
//!
//! A message is a header of four 32-bit numbers in the machine's order (always little-endian where Xen has a xenstore
//! socket), and at most 4096 bytes. The server does not forgive a longer one: oxenstored answers it with an error and never
//! answers again. So [`Request`] cannot be encoded when it is too long.
//!
//! ```
//! use xenstore_wire::{Decoder, Kind, Message, Request};
//!
//! let name = "/local/domain/7/name".parse()?;
//! let sent = Request::read(&name).encode(1, 0)?;
//! let mut decoder = Decoder::new();
//! decoder.feed(&sent);
//! let message = decoder.message()?.expect("it is whole");
//! assert_eq!((message.kind, message.request), (Kind::Read, 1));
//! assert_eq!(message.payload, b"/local/domain/7/name\0");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod kind;
mod message;
mod path;
mod reply;
mod request;

pub use kind::Kind;
pub use message::{Decoder, Message, WireError};
pub use path::{PathError, XenStorePath};
pub use reply::{Refusal, event, names, refusal, transaction};
pub use request::{Request, RequestError};

/// The most bytes behind a header.
pub const LARGEST_PAYLOAD: usize = 4096;

/// The most bytes of a value: oxenstored's `quota-maxsize`, and the node size of xenstored.
pub const LARGEST_VALUE: usize = 2048;
