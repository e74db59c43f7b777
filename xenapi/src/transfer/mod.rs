//! Transfers: what goes over the HTTP handlers in place of a call, each with a task that tells the truth about it.

mod download;
mod export;
mod request;
mod task;

pub use self::download::Download;
pub use self::export::{Compression, ExportCall};
