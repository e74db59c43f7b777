//! Values as bytes: the two encodings of XenAPI, JSON-RPC and XML-RPC, without any I/O.
//!
//! [`Client`](crate::Client) uses this module for every call; it is public for those who carry the bytes themselves
//! (a simulator, a proxy, a recorder). Requests are written by [`json::request`] and [`xml::request`], replies are
//! read by [`decode_reply`] straight into the type wanted: no tree of the reply is built on the way, and text is
//! borrowed until a field takes it.
//!
//! ```
//! use xenapi::wire::{self, Encoding, ReplyError};
//!
//! let reply = br#"{"jsonrpc":"2.0","result":{"VCPUs_max":4},"id":1}"#;
//! let record: xenapi::Map<String, i64> = wire::decode_reply(Encoding::Json, reply)?;
//! assert_eq!(record["VCPUs_max"], 4);
//!
//! let refusal = br#"{"jsonrpc":"2.0","error":{"code":1,"message":"HANDLE_INVALID","data":["VM","x"]},"id":1}"#;
//! match wire::decode_reply::<()>(Encoding::Json, refusal) {
//!     Err(ReplyError::Api { code, params }) => assert_eq!((code.as_str(), params.len()), ("HANDLE_INVALID", 2)),
//!     other => panic!("{other:?}"),
//! }
//! # Ok::<(), ReplyError>(())
//! ```
//!
//! # What is tolerated
//! Replies are read as xapi writes them, not as the standards would have it: bare `NaN` and `Infinity`, raw control
//! characters and broken UTF-8 in JSON; untagged integers, unescaped `&` and `<` in member names, CDATA and comments
//! in XML. What no reading could save is a [`DecodeError`], never a panic. Nothing is allocated for a size that is
//! only claimed, and values nest at most 128 deep.

mod error;
mod from_value;
pub mod json;
mod key;
mod number;
mod reply;
mod request;
mod text;
mod value;
pub mod xml;

pub use self::error::DecodeError;
pub use self::from_value::from_value;
pub use self::reply::{Encoding, ReplyError, decode_reply};
pub use self::request::RequestError;

/// The longest request that xapi reads, in bytes (`http-lib` refuses a longer body).
pub const MAX_REQUEST_BYTES: usize = 300 * 1024;

/// How deep sets, maps and records may stand in each other, the reply's own wrapping included.
const MAX_DEPTH: usize = 128;
