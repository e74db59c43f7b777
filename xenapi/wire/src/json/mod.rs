//! JSON-RPC, the encoding of choice: half the bytes of XML, and integers are integers.

mod envelope;
mod lenient;
mod reply;
mod request;
mod write;

pub(super) use self::reply::decode_reply;
pub use self::request::{Id, Request, Version, parse_request, request};
pub(super) use self::write::write;
pub use self::write::{failure, success, undispatched_failure};
