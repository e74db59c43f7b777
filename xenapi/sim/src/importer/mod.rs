//! From an archive to VMs: the objects that its description names, and the bytes of their disks.

mod archive;
mod decoder;
mod making;
mod objects;

pub(crate) use self::archive::{Import, check_block, refusal};
pub(crate) use self::objects::Options;
