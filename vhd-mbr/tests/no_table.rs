//! Disks without a partition table: the error says what is there instead.

mod common;

use std::fs::File;
use std::io;

use common::{active, disk, put, put_mbr, put_record, row};
use vhd_mbr::PartitionTable;
use vhd_mbr::partition::{BareVolume, Error};
use xen_disk::ReadAt;

fn error(disk: &[u8]) -> Error {
    PartitionTable::read(disk).unwrap_err()
}

/// A FAT boot sector with so many clusters of one sector each.
fn fat(clusters: u32) -> Vec<u8> {
    let mut disk = disk(4);
    put(&mut disk, 0, b"\xeb\x3c\x90mkfs.fat");
    put(&mut disk, 11, &[0, 2, 1, 1, 0, 2, 0, 0, 0, 0, 0xf8]);
    put(&mut disk, 22, &10u16.to_le_bytes());
    put(&mut disk, 32, &(1 + 20 + clusters).to_le_bytes());
    put(&mut disk, 510, &[0x55, 0xaa]);
    disk
}

#[test]
fn too_few_bytes() {
    for len in [0, 1, 511] {
        let error = error(&disk(1)[..len]);
        assert!(
            matches!(error, Error::TooShort { len: there, needed: 512 } if there == len as u64),
            "{error}"
        );
    }
}

#[test]
fn a_blank_disk_is_called_blank() {
    assert!(matches!(error(&disk(1)), Error::Blank));
    assert!(matches!(error(&disk(64)), Error::Blank));
}

#[test]
fn other_data_is_no_table() {
    let mut data = disk(4);
    put(&mut data, 0, b"just some text");
    put(&mut data, 510, b"xy");
    let error = error(&data);
    assert!(matches!(error, Error::NoSignature { found: [b'x', b'y'] }));
    assert!(error.to_string().contains("78 79 instead of 55 aa"), "{error}");
}

#[test]
fn a_boot_sector_of_another_kind_is_no_table() {
    let mut data = disk(4);
    put_mbr(&mut data, &[row(0x83, 1, 2), row(0x83, 3, 4)]);
    data[462] = 0x3f;
    let error = error(&data);
    assert!(
        matches!(
            error,
            Error::BootFlag {
                number: 2,
                offset: 462,
                value: 0x3f
            }
        ),
        "{error}"
    );
}

#[test]
fn volumes_that_take_the_whole_disk_are_named() {
    for (volume, at, mark) in [
        (BareVolume::Ntfs, 3, b"NTFS    ".as_slice()),
        (BareVolume::ExFat, 3, b"EXFAT   "),
        (BareVolume::Refs, 3, b"ReFS\0\0\0\0"),
        (BareVolume::BitLocker, 3, b"-FVE-FS-"),
        (BareVolume::Xfs, 0, b"XFSB"),
        (BareVolume::Luks, 0, b"LUKS\xba\xbe"),
        (BareVolume::Lvm, 512, b"LABELONE"),
        (BareVolume::Ext, 1080, b"\x53\xef"),
        (BareVolume::Swap, 4086, b"SWAPSPACE2"),
        (BareVolume::Iso9660, 32769, b"CD001"),
        (BareVolume::Btrfs, 65600, b"_BHRfS_M"),
    ] {
        let mut data = disk(256);
        put(&mut data, at, mark);
        assert!(
            matches!(error(&data), Error::BareVolume(found) if found == volume),
            "{volume}"
        );
        put(&mut data, 510, &[0x55, 0xaa]);
        assert!(
            matches!(error(&data), Error::BareVolume(found) if found == volume),
            "{volume}"
        );
        put(&mut data, 0, &[0; 512]);
        if at >= 1024 {
            assert!(matches!(error(&data[..512]), Error::Blank), "out of reach");
        }
    }
}

#[test]
fn fat_is_told_by_its_clusters() {
    for (clusters, volume) in [
        (1, BareVolume::Fat12),
        (4084, BareVolume::Fat12),
        (4085, BareVolume::Fat16),
        (65524, BareVolume::Fat16),
        (65525, BareVolume::Fat32),
    ] {
        assert!(
            matches!(error(&fat(clusters)), Error::BareVolume(found) if found == volume),
            "{clusters}"
        );
    }
}

#[test]
fn partitions_behind_a_fat_parameter_block_still_count() {
    let mut disk = fat(5000);
    put_record(&mut disk, 0, &[active(0x0c, 1, 3)]);
    assert_eq!(PartitionTable::read(&disk).unwrap().partitions().len(), 1);
}

struct Broken;

impl ReadAt for Broken {
    fn read_exact_at(&self, offset: u64, _: &mut [u8]) -> io::Result<()> {
        Err(io::Error::other(format!("no luck at {offset}")))
    }

    fn size(&self) -> io::Result<u64> {
        Ok(1 << 30)
    }
}

#[test]
fn a_disk_that_cannot_be_read_says_where() {
    let error = PartitionTable::read_disk(&Broken).unwrap_err();
    assert_eq!(error.to_string(), "cannot read 512 bytes at byte 0 of the disk");
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "no luck at 0");
}

#[test]
fn files_and_shared_disks_are_disks() {
    let mut image = disk(8);
    put_mbr(&mut image, &[row(0x83, 1, 7)]);
    let path = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(path.path(), &image).unwrap();
    let expected = PartitionTable::read_disk(&image).unwrap();

    let file = File::open(path.path()).unwrap();
    assert_eq!(PartitionTable::read_disk(&file).unwrap(), expected);
    assert!(file.read_exact_at(8 * 512 - 1, &mut [0; 2]).is_err());
    let shared: std::sync::Arc<dyn ReadAt> = std::sync::Arc::new(file);
    assert_eq!(PartitionTable::read_disk(&shared).unwrap(), expected);
    let boxed: Box<dyn ReadAt> = Box::new(image);
    assert_eq!(PartitionTable::read_disk(&boxed).unwrap(), expected);
}
