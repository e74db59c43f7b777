//! Transfers: what goes over the HTTP handlers in place of a call, each with a task that tells the truth about it.

mod call;
mod download;
mod handler;
mod hosts;
mod request;
mod source;
mod task;
mod tunnel;
mod upload;

pub use self::call::{DownloadCall, UploadCall};
pub use self::download::Download;
pub use self::handler::Handler;
pub use self::source::Source;
