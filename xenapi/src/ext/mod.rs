//! Verbs that take several messages, on the generated handles and records.

mod script;
pub mod storage;
mod task;
mod vbd;
mod vm;

pub use self::script::ScriptOutput;
pub use self::vm::Disk;
