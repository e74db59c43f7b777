//! The values of XenAPI as bytes: its two encodings, JSON-RPC and XML-RPC, without any I/O, and its words: references,
//! enums and error codes.
//!
//! The crate `xenapi` uses this one for every call, as `xenapi::wire`; it stands alone for those who carry the bytes
//! themselves (a simulator, a proxy, a recorder). Requests are written by [`json::request`] and [`xml::request`],
//! replies are read by [`decode_reply`] straight into the type wanted: no tree of the reply is built on the way, and
//! text is borrowed until a field takes it.
//!
//! ```
//! use xenapi_wire::{self as wire, Encoding, ErrorCode, ReplyError};
//!
//! let reply = br#"{"jsonrpc":"2.0","result":{"VCPUs_max":4},"id":1}"#;
//! let record: wire::Map<String, i64> = wire::decode_reply(Encoding::Json, reply)?;
//! assert_eq!(record["VCPUs_max"], 4);
//!
//! let refusal = br#"{"jsonrpc":"2.0","error":{"code":1,"message":"HANDLE_INVALID","data":["VM","x"]},"id":1}"#;
//! match wire::decode_reply::<()>(Encoding::Json, refusal) {
//!     Err(ReplyError::Api { code, params }) => {
//!         let code = ErrorCode::from(code.as_str());
//!         assert_eq!((&code, code.params(), params.len()), (&ErrorCode::HandleInvalid, &["class", "handle"][..], 2));
//!     }
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

// docs.rs shows the sources anyway; a second copy of them would double the pages.
#![doc(html_no_source)]

mod class;
mod codes;
mod datetime;
#[doc(hidden)]
pub mod enums;
mod error;
mod event_batch;
mod from_value;
pub mod json;
mod key;
mod map;
mod number;
mod object;
mod open_enum;
mod read_value;
mod reference;
mod reply;
mod request;
mod secrecy;
mod text;
mod value;
pub mod xml;

pub use self::class::Class;
pub use self::codes::ErrorCode;
pub use self::datetime::{DateTime, DateTimeError};
pub use self::error::DecodeError;
pub use self::event_batch::{Event, EventBatch};
pub use self::from_value::from_value;
pub use self::map::{Iter, Map};
pub use self::object::{Object, Record};
pub use self::open_enum::{find_value, read_open_enum};
pub use self::reference::{Ref, RefError};
pub use self::reply::{Encoding, ReplyError, decode_reply};
pub use self::request::RequestError;
pub use self::secrecy::names_secret;
pub use self::value::{ToValue, Value};
#[doc(hidden)]
pub use serde;

/// The longest request that xapi reads, in bytes (`http-lib` refuses a longer body).
pub const MAX_REQUEST_BYTES: usize = 300 * 1024;

/// How deep sets, maps and records may stand in each other, the reply's own wrapping included.
const MAX_DEPTH: usize = 128;
