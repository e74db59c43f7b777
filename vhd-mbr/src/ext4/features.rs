//! Feature flags, named as `dumpe2fs` names them.

use super::Error;

pub(super) mod compat {
    pub(in super::super) const HAS_JOURNAL: u32 = 0x4;
    pub(in super::super) const SPARSE_SUPER2: u32 = 0x200;
}

pub(super) mod incompat {
    pub(in super::super) const RECOVER: u32 = 0x4;
    pub(in super::super) const META_BG: u32 = 0x10;
    pub(in super::super) const BITS64: u32 = 0x80;
    pub(in super::super) const MMP: u32 = 0x100;
    pub(in super::super) const LARGEDIR: u32 = 0x4000;
}

pub(super) mod ro_compat {
    pub(in super::super) const SPARSE_SUPER: u32 = 0x1;
    pub(in super::super) const SHARED_BLOCKS: u32 = 0x4000;
    pub(in super::super) const ORPHAN_PRESENT: u32 = 0x10000;
}

/// filetype, needs_recovery, meta_bg, extent, 64bit, mmp, flex_bg, ea_inode, metadata_csum_seed, large_dir,
/// inline_data, encrypt and casefold, which matters only in directories that have it.
const KNOWN_INCOMPAT: u32 =
    0x2 | 0x4 | 0x10 | 0x40 | 0x80 | 0x100 | 0x200 | 0x400 | 0x2000 | 0x4000 | 0x8000 | 0x10000 | 0x20000;

/// Everything that Linux writes to: sparse_super, large_file, dir_index, huge_file, uninit_bg, dir_nlink, extra_isize,
/// quota, bigalloc, metadata_csum, project, shared_blocks, verity and orphan_file.
const WRITABLE_RO_COMPAT: u32 = 0x7f | 0x100 | 0x200 | 0x400 | 0x2000 | 0x4000 | 0x8000 | 0x10000;

const OTHER_INCOMPAT: [(u32, &str); 3] = [
    (0x1, "the feature compression"),
    (0x8, "a file system beside it (journal_dev: it is a journal only)"),
    (0x1000, "the feature dirdata"),
];

pub(super) fn check_incompat(flags: u32) -> Result<(), Error> {
    let unknown = flags & !KNOWN_INCOMPAT;
    if unknown == 0 {
        return Ok(());
    }
    let named = OTHER_INCOMPAT.iter().find(|(bit, _)| unknown & bit != 0);
    Err(Error::Unsupported {
        feature: named.map_or_else(
            || format!("a feature of flag {unknown:#x}"),
            |(_, name)| (*name).to_owned(),
        ),
    })
}

/// Whether Linux would write to a volume with these flags.
pub(super) fn is_writable(ro_compat: u32) -> bool {
    ro_compat & !WRITABLE_RO_COMPAT == 0
}
