//! Verbs that take several messages, on the generated handles and records.

mod task;
mod vbd;
mod vm;

pub use self::vm::Disk;
