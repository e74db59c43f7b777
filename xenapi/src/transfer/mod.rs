//! Transfers: what goes over the HTTP handlers in place of a call, each with a task that tells the truth about it.

mod export;
mod request;

pub use self::export::{Compression, Export, ExportCall};
