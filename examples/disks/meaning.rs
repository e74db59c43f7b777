//! What storage means by the size of a disk.

use xenapi::SrRecord;

/// What `physical_utilisation` of a disk is on this storage.
pub(crate) fn of(sr: &SrRecord) -> &'static str {
    let thin = sr
        .sm_config
        .get("allocation")
        .is_some_and(|allocation| allocation == "thin");
    match sr.kind.as_str() {
        "ext" | "nfs" | "smb" | "xfs" | "largeblock" => {
            "a disk takes what its guest ever wrote, and keeps it when the guest deletes"
        }
        "lvm" | "lvmoiscsi" | "lvmohba" | "lvmofcoe" if thin => {
            "a disk takes all of its size while a VM uses it, and what it holds while none does"
        }
        "lvm" | "lvmoiscsi" | "lvmohba" | "lvmofcoe" => {
            "a disk takes all of its size however little was written; snapshots and parents take what they hold"
        }
        "gfs2" | "linstor" | "zfs-vol" => "a disk takes what was written, as far as the storage below tells",
        _ => "this storage may tell the virtual size, whatever a disk takes",
    }
}
