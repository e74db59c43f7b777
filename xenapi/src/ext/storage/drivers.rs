//! The drivers of XenServer and XCP-ng whose sources were read.

use super::driver::{Content, Driver, Key};

const fn needed(name: &'static str, about: &'static str) -> Key {
    Key {
        name,
        is_needed: true,
        about,
        secret: None,
    }
}

const fn optional(name: &'static str, about: &'static str) -> Key {
    Key {
        name,
        is_needed: false,
        about,
        secret: None,
    }
}

const fn password(name: &'static str, secret: &'static str, about: &'static str) -> Key {
    Key {
        name,
        is_needed: false,
        about,
        secret: Some(secret),
    }
}

const ALLOCATION: Key = optional("allocation", "thick (the default) or thin");
const NFS_VERSION: Key = optional("nfsversion", "the NFS protocol, 3 (the default), 4, 4.0 or 4.1");

pub(super) const DRIVERS: &[Driver] = &[
    Driver {
        kind: "nfs",
        about: "VHD files on an NFS server, thin",
        shared: true,
        probed: true,
        content: Content::Stays,
        keys: &[
            needed("server", "the NFS server's name or address"),
            needed("serverpath", "the path that it exports; the SR gets a folder in it"),
            NFS_VERSION,
            optional("options", "more options for mount, with commas between them"),
            optional("probeversion", "true has SR.probe take a protocol that the server has"),
        ],
    },
    Driver {
        kind: "lvmoiscsi",
        about: "volumes on an iSCSI LUN, thick",
        shared: true,
        probed: true,
        content: Content::Erased,
        keys: &[
            needed(
                "target",
                "the name or address of the iSCSI target, several with commas between them",
            ),
            needed("targetIQN", "which of its targets, by its qualified name; * for all"),
            needed("SCSIid", "which LUN, by the id that SR.probe shows"),
            optional("port", "the TCP port of the target, otherwise 3260"),
            optional("chapuser", "the name to log in with, where the target wants one"),
            password("chappassword", "chappassword_secret", "the password to log in with"),
            optional("incoming_chapuser", "the name that the target logs in with at the host"),
            password(
                "incoming_chappassword",
                "incoming_chappassword_secret",
                "the target's own password",
            ),
            optional(
                "multihomed",
                "true or false: whether all its addresses are used; otherwise as the host's multipathing",
            ),
            optional("usediscoverynumber", "which record of the discovery to use"),
            ALLOCATION,
        ],
    },
    Driver {
        kind: "lvmohba",
        about: "volumes on a LUN of a Fibre Channel or other host bus adapter, thick",
        shared: true,
        probed: true,
        content: Content::Erased,
        keys: &[needed("SCSIid", "which LUN, by the id that SR.probe shows"), ALLOCATION],
    },
    Driver {
        kind: "smb",
        about: "VHD files on a Windows share, thin",
        shared: true,
        probed: true,
        content: Content::Stays,
        keys: &[
            needed("server", "the share's root, //SERVER/SHARE"),
            optional("username", "the user of the share, DOMAIN\\USER where it has a domain"),
            password("password", "password_secret", "the user's password"),
        ],
    },
    Driver {
        kind: "ext",
        about: "VHD files on a disk of one host, in an ext4 file system of its own, thin",
        shared: false,
        probed: true,
        content: Content::Erased,
        keys: &[needed(
            "device",
            "the disk or partition, for example /dev/sdb; several with commas between them",
        )],
    },
    Driver {
        kind: "lvm",
        about: "volumes on a disk of one host, thick",
        shared: false,
        probed: true,
        content: Content::Erased,
        keys: &[
            needed(
                "device",
                "the disk or partition, for example /dev/sdb; several with commas between them",
            ),
            ALLOCATION,
        ],
    },
    Driver {
        kind: "zfs",
        about: "VHD files in a ZFS data set that is mounted in the host (XCP-ng), thin",
        shared: false,
        probed: false,
        content: Content::Used,
        keys: &[needed("location", "the folder where the data set is mounted")],
    },
    Driver {
        kind: "file",
        about: "VHD files in a folder of the host, thin",
        shared: false,
        probed: false,
        content: Content::Used,
        keys: &[needed("location", "the folder")],
    },
    Driver {
        kind: "iso",
        about: "CD images in a folder of an NFS server, a Windows share or the host",
        shared: true,
        probed: false,
        content: Content::Used,
        keys: &[
            needed(
                "location",
                "SERVER:/PATH, //SERVER/SHARE/PATH or, in legacy mode, a folder of the host",
            ),
            optional("type", "cifs for a Windows share, nfs_iso for NFS"),
            optional("legacy_mode", "true where the location is a folder of the host"),
            optional("iso_path", "a folder below the location"),
            NFS_VERSION,
            optional(
                "vers",
                "the SMB protocol, 3.0 or 1.0; otherwise 3.0 and then 1.0 is tried",
            ),
            optional("username", "the user of the share, DOMAIN\\USER where it has a domain"),
            password("cifspassword", "cifspassword_secret", "the user's password"),
            optional("options", "more options for mount"),
        ],
    },
];
