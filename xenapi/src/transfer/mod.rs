//! Transfers: what goes over the HTTP handlers in place of a call, each with a task that tells the truth about it.

mod call;
mod download;
mod export;
mod handler;
mod host;
mod import;
mod pool;
mod raw_vdi;
mod read_ahead;
mod screenshot;
mod source;
mod task;
mod upload;

pub use self::call::{DownloadCall, UploadCall};
pub use self::download::Download;
pub use self::export::{Compression, ExportCall, ExportMetadataCall};
pub(crate) use self::handler::Handler;
pub use self::import::{ImportCall, ImportMetadataCall};
pub use self::raw_vdi::{DiskFormat, ExportRawCall, ImportRawCall};
pub use self::source::Source;
