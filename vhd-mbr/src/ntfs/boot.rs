//! The first sector of a volume.

use xen_disk::ReadAt;

use super::Error;
use super::source;
use crate::bytes::{array, is_at, u16_at, u64_at};

/// What the boot sector says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Boot {
    pub(super) sector_size: u32,
    pub(super) cluster_size: u64,
    /// How many clusters the volume has.
    pub(super) clusters: u64,
    /// Where the first record of `$MFT` is.
    pub(super) mft: u64,
    pub(super) record_size: usize,
    pub(super) serial: u64,
}

const SECTOR_SIZE: u64 = 11;
const SECTORS_PER_CLUSTER: u64 = 13;
const SECTORS: u64 = 40;
const MFT: u64 = 48;
const RECORD_SIZE: u64 = 64;
const SERIAL: usize = 72;

/// The largest cluster that Windows formats with.
const LARGEST_CLUSTER: u64 = 2 << 20;

impl Boot {
    pub(super) fn read(disk: &impl ReadAt) -> Result<Self, Error> {
        let mut sector = [0; 512];
        source::read(disk, 0, &mut sector)?;
        Self::parse(&sector)
    }

    fn parse(sector: &[u8]) -> Result<Self, Error> {
        if is_at(sector, 3, b"-FVE-FS-") {
            return Err(Error::BitLocker);
        }
        if !is_at(sector, 3, b"NTFS    ") {
            return Err(Error::NotNtfs {
                found: array(sector, 3),
            });
        }
        let bad = |field, offset, value| Error::BootSector { field, offset, value };

        let sector_size = u16_at(sector, SECTOR_SIZE as usize);
        if !sector_size.is_power_of_two() || !(512..=4096).contains(&sector_size) {
            return Err(bad("the size of a sector", SECTOR_SIZE, sector_size.into()));
        }
        let code = sector[SECTORS_PER_CLUSTER as usize];
        // Clusters above 64 KiB, since Windows 10: the power of two, negated.
        let sectors_per_cluster = match code {
            0xf4..=0xff => 1u64 << code.wrapping_neg(),
            code => code.into(),
        };
        let cluster_size = sectors_per_cluster * u64::from(sector_size);
        if !sectors_per_cluster.is_power_of_two() || cluster_size > LARGEST_CLUSTER {
            return Err(bad(
                "the number of sectors in a cluster",
                SECTORS_PER_CLUSTER,
                code.into(),
            ));
        }
        let sectors = u64_at(sector, SECTORS as usize);
        let clusters = sectors / sectors_per_cluster;
        if clusters == 0
            || sectors
                .checked_mul(sector_size.into())
                .is_none_or(|size| size > i64::MAX as u64)
        {
            return Err(bad("the number of sectors", SECTORS, sectors));
        }
        let mft = u64_at(sector, MFT as usize);
        if mft == 0 || mft >= clusters {
            return Err(bad("the cluster of the master file table", MFT, mft));
        }
        let code = sector[RECORD_SIZE as usize];
        let record_size = match code as i8 {
            clusters @ 1.. => cluster_size * clusters as u64,
            power @ -16..=-9 => 1 << power.unsigned_abs(),
            _ => 0,
        };
        if !record_size.is_power_of_two() || !(512..=1 << 16).contains(&record_size) {
            return Err(bad("the size of a file record", RECORD_SIZE, code.into()));
        }
        Ok(Self {
            sector_size: sector_size.into(),
            cluster_size,
            clusters,
            mft: mft * cluster_size,
            record_size: record_size as usize,
            serial: u64_at(sector, SERIAL),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sector(sector_size: u16, per_cluster: u8, record: i8) -> Vec<u8> {
        let mut bytes = vec![0; 512];
        bytes[3..11].copy_from_slice(b"NTFS    ");
        bytes[11..13].copy_from_slice(&sector_size.to_le_bytes());
        bytes[13] = per_cluster;
        bytes[40..48].copy_from_slice(&(1u64 << 24).to_le_bytes());
        bytes[48..56].copy_from_slice(&4u64.to_le_bytes());
        bytes[64] = record as u8;
        bytes
    }

    #[test]
    fn clusters_of_every_size() {
        for (sector_size, code, cluster_size) in [
            (512, 1, 512),
            (512, 8, 4096),
            (512, 0x80, 65_536),
            (512, 0xf8, 131_072),
            (512, 0xf4, 2 << 20),
            (4096, 1, 4096),
            (4096, 0xf7, 2 << 20),
        ] {
            let boot = Boot::parse(&sector(sector_size, code, -10)).unwrap();
            assert_eq!(boot.cluster_size, cluster_size);
            assert_eq!(boot.mft, 4 * cluster_size);
        }
        for (sector_size, code) in [(512, 0), (512, 3), (512, 0xf3), (4096, 0xf4), (256, 1), (8192, 1)] {
            assert!(matches!(
                Boot::parse(&sector(sector_size, code, -10)),
                Err(Error::BootSector { .. })
            ));
        }
    }

    #[test]
    fn records_in_clusters_or_as_a_power() {
        for (per_cluster, code, size) in [(8, -10, 1024), (1, 2, 1024), (8, 1, 4096), (8, -12, 4096)] {
            assert_eq!(Boot::parse(&sector(512, per_cluster, code)).unwrap().record_size, size);
        }
        for code in [0, 3, -8, -17, -128, 127] {
            assert!(Boot::parse(&sector(512, 8, code)).is_err());
        }
    }

    #[test]
    fn other_volumes_are_named() {
        let mut other = sector(512, 8, -10);
        other[3..11].copy_from_slice(b"-FVE-FS-");
        assert!(matches!(Boot::parse(&other), Err(Error::BitLocker)));
        other[3..11].copy_from_slice(b"EXFAT   ");
        let error = Boot::parse(&other).unwrap_err().to_string();
        assert!(error.contains("\"EXFAT   \""), "{error}");
    }
}
