//! Transfers: what goes over the HTTP handlers in place of a call, each with a task that tells the truth about it.

mod export;
mod host;
mod import;
mod pool;
mod raw_vdi;
mod screenshot;
mod wraps;

pub use self::export::{Compression, ExportCall, ExportMetadataCall};
pub use self::import::{ImportCall, ImportMetadataCall};
pub use self::raw_vdi::{DiskFormat, ExportRawCall, ImportRawCall};
