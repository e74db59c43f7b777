//! The traffic of VMs as it passes, over SSH to the control domain of their host.

mod error;
mod find;
mod vm;

pub use error::Error;
pub use vm::{Device, Nic, NicKind, Vm};
