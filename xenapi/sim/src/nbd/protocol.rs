//! The numbers of the protocol.
//!
//! <https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md>

pub(super) const GREETING: &[u8; 8] = b"NBDMAGIC";
pub(super) const OPTION_MAGIC: u64 = u64::from_be_bytes(*b"IHAVEOPT");
pub(super) const OPTION_REPLY_MAGIC: u64 = 0x0003_e889_0455_65a9;
pub(super) const REQUEST_MAGIC: u32 = 0x2560_9513;
pub(super) const REPLY_MAGIC: u32 = 0x6744_6698;

/// The flag of servers and clients that keep to the rules for options they do not know.
pub(super) const FIXED_NEWSTYLE: u16 = 1;

/// The flags of a disk: it has flags, and is read-only.
pub(super) const READ_ONLY_DISK: u16 = 1 | 1 << 1;

/// What a client asks for before it has a disk.
pub(super) mod option {
    pub(in super::super) const EXPORT_NAME: u32 = 1;
    pub(in super::super) const ABORT: u32 = 2;
    pub(in super::super) const LIST: u32 = 3;
    pub(in super::super) const START_TLS: u32 = 5;
}

/// The answers to that.
pub(super) mod answer {
    pub(in super::super) const ACK: u32 = 1;
    pub(in super::super) const UNSUPPORTED: u32 = 1 << 31 | 1;
    pub(in super::super) const POLICY: u32 = 1 << 31 | 2;
    pub(in super::super) const INVALID: u32 = 1 << 31 | 3;
    pub(in super::super) const TLS_REQUIRED: u32 = 1 << 31 | 5;
}

/// What a client asks of a disk. The flags of a request stand in the upper half of the number, so that those with flags
/// are unknown.
pub(super) mod command {
    pub(in super::super) const READ: u32 = 0;
    pub(in super::super) const WRITE: u32 = 1;
    pub(in super::super) const DISCONNECT: u32 = 2;
}

pub(super) const EPERM: u32 = 1;
pub(super) const EINVAL: u32 = 22;
