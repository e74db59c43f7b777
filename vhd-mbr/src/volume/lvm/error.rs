use crate::filetree::ReadError;

/// Why a physical or logical volume of LVM2 cannot be read. Positions are bytes from the physical volume's start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A physical volume could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// There is no label in the first four sectors.
    #[error("not an LVM2 physical volume: none of its first four sectors starts with \"LABELONE\"")]
    NotLvm,
    /// A structure contradicts itself or its checksum.
    #[error("the LVM2 physical volume is damaged at byte {offset}: {what}; pvck and vgcfgrestore repair it")]
    Damaged {
        /// Where it is.
        offset: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// The description of the volume group cannot be made out.
    #[error("the description of an LVM2 volume group is wrong in line {line}: {what}; vgcfgrestore repairs it")]
    Description {
        /// The line, counted from 1; 0 where something is missing as a whole.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// The volume group has no logical volume of that name.
    #[error("the volume group {group} has no logical volume {name}: it has {others}")]
    NotFound {
        /// The group.
        group: String,
        /// The name.
        name: String,
        /// The names of those that it has.
        others: String,
    },
    /// The logical volume is of a kind whose bytes are not on the physical volumes as they are.
    #[error("the logical volume {name} is of type {kind}, which is not read here: {advice}")]
    Unsupported {
        /// Its name.
        name: String,
        /// The type, as LVM2 calls it.
        kind: String,
        /// What to do.
        advice: &'static str,
    },
    /// A physical volume is missing.
    #[error(
        "the logical volume {name} is partly on the physical volume {id}, which is not here: open it together with this one"
    )]
    Missing {
        /// The logical volume.
        name: String,
        /// The id of the physical volume.
        id: String,
    },
    /// The bytes of the logical volume must not be changed where they are.
    #[error("the logical volume {name} is not changed in place: {why}")]
    NotInPlace {
        /// Its name.
        name: String,
        /// Why not.
        why: &'static str,
    },
    /// There is no such part of the logical volume.
    #[error("the logical volume {name} has {size} bytes, and {end} were asked for")]
    BeyondEnd {
        /// Its name.
        name: String,
        /// Its size.
        size: u64,
        /// The end of what was asked for.
        end: u64,
    },
}

impl Error {
    pub(super) fn damaged(offset: u64, what: &'static str) -> Self {
        Self::Damaged { offset, what }
    }

    pub(super) fn missing(what: impl Into<String>) -> Self {
        Self::Description {
            line: 0,
            what: what.into(),
        }
    }
}
