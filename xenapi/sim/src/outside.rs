//! Storage that the hosts reach, and what is on it without the pool knowing.

use std::collections::BTreeMap;
use std::sync::Arc;

use xenapi::{ToValue, Value};

use crate::disk_image::DiskImage;

/// The server of the pool's own storage. It exports these paths.
pub(crate) const NFS_SERVER: &str = "10.0.255.1";
pub(crate) const NFS_EXPORTS: [(&str, &str); 3] = [
    ("/export/archive", "10.0.0.0/16"),
    ("/export/isos", "*"),
    ("/export/xen", "10.0.0.0/16"),
];
/// The shares of the same machine.
pub(crate) const SMB_SHARES: [&str; 2] = ["//10.0.255.1/vms", "//10.0.255.1/isos"];
pub(crate) const ISCSI_SERVER: &str = "10.0.255.2";

/// A LUN of the iSCSI server.
#[derive(Debug)]
pub(crate) struct SampleLun {
    pub(crate) iqn: &'static str,
    pub(crate) number: u32,
    pub(crate) size: u64,
    pub(crate) scsi_id: &'static str,
}

pub(crate) const LUNS: [SampleLun; 3] = [
    SampleLun {
        iqn: "iqn.2003-01.org.example:lab",
        number: 0,
        size: 200 << 30,
        scsi_id: "36001405a1b2c3d4e5f60718293a4b5c6",
    },
    SampleLun {
        iqn: "iqn.2003-01.org.example:lab",
        number: 1,
        size: 500 << 30,
        scsi_id: "36001405b2c3d4e5f60718293a4b5c6d7",
    },
    SampleLun {
        iqn: "iqn.2003-01.org.example:archive",
        number: 0,
        size: 2 << 40,
        scsi_id: "36001405c3d4e5f60718293a4b5c6d7e8",
    },
];

/// The disks of each host: the system's own, an empty one, and one from an earlier installation.
pub(crate) const DEVICES: [&str; 3] = ["/dev/sda3", "/dev/sdb", "/dev/sdc"];

/// All SRs that are on storage, by their UUIDs.
#[derive(Debug)]
pub(crate) struct Outside(BTreeMap<String, OutsideSr>);

#[derive(Debug)]
pub(crate) struct OutsideSr {
    /// Where it is; the same text for the same storage.
    pub(crate) place: String,
    /// The disks that the pool does not know.
    pub(crate) disks: Vec<OutsideDisk>,
}

#[derive(Clone, Debug)]
pub(crate) struct OutsideDisk {
    pub(crate) uuid: String,
    pub(crate) fields: Vec<(&'static str, Value)>,
    pub(crate) image: Option<Arc<DiskImage>>,
}

impl OutsideDisk {
    /// Its virtual size in bytes.
    pub(crate) fn size(&self) -> i64 {
        let field = self.fields.iter().find(|(name, _)| *name == "virtual_size");
        field.and_then(|(_, value)| value.as_int()).unwrap_or_default()
    }
}

impl Outside {
    /// Two SRs that an earlier pool has left: one in the archive, one on a disk of the first host.
    pub(crate) fn new() -> Self {
        let disk = |uuid: &str, size: i64| OutsideDisk {
            uuid: uuid.to_owned(),
            fields: vec![
                ("virtual_size", Value::Int(size)),
                ("physical_utilisation", Value::Int(size / 4)),
                ("type", "user".to_value()),
            ],
            image: None,
        };
        let archive = OutsideSr {
            place: format!("nfs {NFS_SERVER}:/export/archive"),
            disks: vec![
                disk("0c7d2c4e-5a0f-4b8e-9f52-0d4f7f1c9a01", 20 << 30),
                disk("0c7d2c4e-5a0f-4b8e-9f52-0d4f7f1c9a02", 8 << 30),
            ],
        };
        let old = OutsideSr {
            place: local(0, "/dev/sdc"),
            disks: vec![disk("6b1f3a77-92f4-4f0c-8a7e-3f2b5d6c7e03", 40 << 30)],
        };
        Self(BTreeMap::from([
            ("5f4a1c2e-0b7d-4c7e-9a53-2d1f0e6b8c90".to_owned(), archive),
            ("c2a9d0f4-7e31-4d6b-b8c5-91f0a7e2d3b4".to_owned(), old),
        ]))
    }

    /// The SRs in a place, in the order of their UUIDs.
    pub(crate) fn at(&self, place: &str) -> impl Iterator<Item = (&str, &OutsideSr)> {
        let here = self.0.iter().filter(move |(_, sr)| sr.place == place);
        here.map(|(uuid, sr)| (uuid.as_str(), sr))
    }

    pub(crate) fn get_mut(&mut self, uuid: &str) -> Option<&mut OutsideSr> {
        self.0.get_mut(uuid)
    }

    /// Where an SR is.
    pub(crate) fn place(&self, uuid: &str) -> Option<&str> {
        self.0.get(uuid).map(|sr| sr.place.as_str())
    }

    /// Notes that an SR was made in a place.
    pub(crate) fn add(&mut self, uuid: &str, place: String) {
        let sr = OutsideSr {
            place,
            disks: Vec::new(),
        };
        self.0.insert(uuid.to_owned(), sr);
    }

    pub(crate) fn remove(&mut self, uuid: &str) {
        self.0.remove(uuid);
    }

    /// Empties a place, as making a new SR on a device does.
    pub(crate) fn erase(&mut self, place: &str) {
        self.0.retain(|_, sr| sr.place != place);
    }
}

/// The place of a disk of one host.
pub(crate) fn local(host: usize, device: &str) -> String {
    format!("host {host} {device}")
}
