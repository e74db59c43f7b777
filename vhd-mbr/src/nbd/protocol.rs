//! The numbers of the protocol.
//!
//! <https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md>

pub(super) const GREETING: [u8; 8] = *b"NBDMAGIC";
pub(super) const OPTION_MAGIC: u64 = 0x4948_4156_454f_5054;
/// Where servers before 2011 go on with the disk at once.
pub(super) const OLD_STYLE_MAGIC: u64 = 0x0000_4202_8186_1253;
pub(super) const OPTION_REPLY_MAGIC: u64 = 0x0003_e889_0455_65a9;
pub(super) const REQUEST_MAGIC: u32 = 0x2560_9513;
pub(super) const SIMPLE_REPLY_MAGIC: u32 = 0x6744_6698;
pub(super) const STRUCTURED_REPLY_MAGIC: u32 = 0x668e_33ef;

pub(super) const FIXED_NEWSTYLE: u16 = 1;
pub(super) const NO_ZEROES: u16 = 1 << 1;

/// What a client asks for before it has a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    ExportName = 1,
    Abort = 2,
    List = 3,
    StartTls = 5,
    Info = 6,
    Go = 7,
    StructuredReply = 8,
    SetMetaContext = 10,
}

impl Choice {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::ExportName => "NBD_OPT_EXPORT_NAME",
            Self::Abort => "NBD_OPT_ABORT",
            Self::List => "NBD_OPT_LIST",
            Self::StartTls => "NBD_OPT_STARTTLS",
            Self::Info => "NBD_OPT_INFO",
            Self::Go => "NBD_OPT_GO",
            Self::StructuredReply => "NBD_OPT_STRUCTURED_REPLY",
            Self::SetMetaContext => "NBD_OPT_SET_META_CONTEXT",
        }
    }
}

/// The kinds of answers to these.
pub(super) mod answer {
    pub(in super::super) const ACK: u32 = 1;
    pub(in super::super) const SERVER: u32 = 2;
    pub(in super::super) const INFO: u32 = 3;
    pub(in super::super) const META_CONTEXT: u32 = 4;
    /// Set in all refusals.
    pub(in super::super) const REFUSED: u32 = 1 << 31;
    pub(in super::super) const UNSUPPORTED: u32 = REFUSED | 1;
    pub(in super::super) const POLICY: u32 = REFUSED | 2;
    pub(in super::super) const INVALID: u32 = REFUSED | 3;
    pub(in super::super) const PLATFORM: u32 = REFUSED | 4;
    pub(in super::super) const TLS_REQUIRED: u32 = REFUSED | 5;
    pub(in super::super) const UNKNOWN: u32 = REFUSED | 6;
    pub(in super::super) const SHUTDOWN: u32 = REFUSED | 7;
    pub(in super::super) const BLOCK_SIZE_REQUIRED: u32 = REFUSED | 8;
    pub(in super::super) const TOO_BIG: u32 = REFUSED | 9;

    /// What a refusal means.
    pub(in super::super) fn meaning(kind: u32) -> &'static str {
        match kind {
            UNSUPPORTED => "it does not know this option",
            POLICY => "its configuration forbids it",
            INVALID => "it finds the request malformed",
            PLATFORM => "its platform cannot do it",
            TLS_REQUIRED => "it wants TLS first",
            UNKNOWN => "it has no such export",
            SHUTDOWN => "it is shutting down",
            BLOCK_SIZE_REQUIRED => "it wants block sizes to be agreed on",
            TOO_BIG => "the request is too long for it",
            _ => "for a reason that has no name",
        }
    }
}

/// The kinds of information about an export.
pub(super) mod info {
    pub(in super::super) const EXPORT: u16 = 0;
    pub(in super::super) const BLOCK_SIZE: u16 = 3;
}

/// The context that tells where a disk has data.
pub(super) const ALLOCATION: &str = "base:allocation";
/// In a status of [`ALLOCATION`]: the stretch reads as zeros.
pub(super) const STATE_ZERO: u32 = 1 << 1;

/// What is asked of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Read = 0,
    Write = 1,
    Disconnect = 2,
    Flush = 3,
    WriteZeroes = 6,
    BlockStatus = 7,
}

impl Command {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Disconnect => "disconnect",
            Self::Flush => "flush",
            Self::WriteZeroes => "write zeros",
            Self::BlockStatus => "say where data is",
        }
    }
}

/// The flag of a command: reply only once it is where a crash does not lose it.
pub(super) const FORCE_UNIT_ACCESS: u16 = 1;

/// The parts of a structured reply.
pub(super) mod chunk {
    /// The flag of the last one.
    pub(in super::super) const DONE: u16 = 1;
    pub(in super::super) const NONE: u16 = 0;
    pub(in super::super) const DATA: u16 = 1;
    pub(in super::super) const HOLE: u16 = 2;
    pub(in super::super) const BLOCK_STATUS: u16 = 5;
    /// Set in all kinds that report an error.
    pub(in super::super) const ERROR: u16 = 1 << 15;
}
