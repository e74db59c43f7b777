//! XML-RPC, the older encoding, which every server speaks and in which every server keeps the results of tasks.

mod de;
mod entity;
mod reply;
mod request;
mod scanner;
mod write;

pub(super) use self::reply::decode_reply;
pub use self::reply::from_value_text;
pub use self::request::{Request, parse_request, request};
pub use self::write::{bare, failure, success, value_text};
