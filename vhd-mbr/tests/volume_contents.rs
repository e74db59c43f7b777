//! What volumes hold, told by us and by blkid.
#![cfg(unix)]

mod images;

use std::fs::File;
use std::os::unix::fs::FileExt;

use images::{Workplace, have, noise, outcome, run};
use vhd_mbr::volume::{ContentKind, Contents, Error, Volume};

/// What blkid says of an image: the type, the label and the UUID, where it knows them.
fn by_blkid(image: &str) -> [Option<String>; 3] {
    let answer = outcome("blkid", &["-p", "-o", "export", image], "");
    let answer = String::from_utf8(answer.stdout).unwrap();
    ["TYPE", "LABEL", "UUID"].map(|key| {
        let line = answer
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.map(|value| value.replace('\\', ""))
    })
}

fn detect(image: &str) -> Contents {
    Contents::detect(&File::open(image).unwrap()).unwrap()
}

/// Makes an image with a tool, and compares what both say of it.
#[track_caller]
fn check(kind: ContentKind, name: &str, size: u64, program: &str, args: &[&str]) {
    if !have(&[program, "blkid"]) {
        return;
    }
    let work = Workplace::new();
    let image = work.image(size);
    run(program, &[args, &[&image]].concat(), "");
    let found = detect(&image);
    assert_eq!(found.kind, kind);
    let [by_blkid_kind, label, id] = by_blkid(&image);
    assert_eq!(by_blkid_kind.as_deref(), Some(name));
    assert_eq!(found.id, id, "{kind}");
    // That of NTFS is in a file of its own, that of exFAT in the root directory.
    if !matches!(kind, ContentKind::Ntfs | ContentKind::ExFat) {
        assert_eq!(found.label, label, "{kind}");
    }
    match Volume::open(File::open(&image).unwrap()) {
        Ok(volume) => {
            assert!(kind.is_readable());
            assert_eq!(volume.label().unwrap(), label.filter(|_| kind.is_readable()), "{kind}");
        }
        Err(Error::NotReadable { contents }) => {
            assert!(!kind.is_readable() && contents == found, "{kind}");
        }
        Err(error) => panic!("{kind}: {error}"),
    }
}

#[test]
fn file_systems() {
    use ContentKind::*;
    check(Ntfs, "ntfs", 4 << 20, "mkfs.ntfs", &["-q", "-F", "-f", "-L", "Windows"]);
    check(
        Ext2,
        "ext2",
        4 << 20,
        "mke2fs",
        &["-q", "-F", "-t", "ext2", "-L", "a label"],
    );
    check(Ext3, "ext3", 8 << 20, "mke2fs", &["-q", "-F", "-t", "ext3"]);
    check(
        Ext4,
        "ext4",
        8 << 20,
        "mke2fs",
        &["-q", "-F", "-t", "ext4", "-L", "sixteen letters!"],
    );
    check(
        Ext4,
        "ext4",
        8 << 20,
        "mke2fs",
        &["-q", "-F", "-t", "ext4", "-O", "^has_journal"],
    );
    check(Xfs, "xfs", 300 << 20, "mkfs.xfs", &["-q", "-f", "-L", "twelve_chars"]);
    check(Btrfs, "btrfs", 128 << 20, "mkfs.btrfs", &["-q", "-L", "a pool"]);
    check(Fat12, "vfat", 2 << 20, "mkfs.fat", &["-F", "12", "-n", "FLOPPY"]);
    check(Fat16, "vfat", 16 << 20, "mkfs.fat", &["-F", "16"]);
    check(Fat32, "vfat", 64 << 20, "mkfs.fat", &["-F", "32", "-n", "EFI SYSTEM"]);
    check(ExFat, "exfat", 8 << 20, "mkfs.exfat", &[]);
}

#[test]
fn what_holds_no_files_of_its_own() {
    use ContentKind::*;
    check(Swap, "swap", 1 << 20, "mkswap", &["-q", "-L", "swap"]);
    check(Swap, "swap", 4 << 20, "mkswap", &["-q", "-p", "65536"]);
    for (kind, version) in [(Luks1, "luks1"), (Luks2, "luks2")] {
        let key = Workplace::new();
        key.put("key", b"secret");
        let file = key.tree().join("key");
        let fast: &[&str] = &["--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000"];
        let args = [
            &[
                "-q",
                "luksFormat",
                "--type",
                version,
                "--key-file",
                file.to_str().unwrap(),
            ],
            fast,
        ]
        .concat();
        check(kind, "crypto_LUKS", 20 << 20, "cryptsetup", &args);
    }
}

#[test]
fn squashfs_and_tables() {
    if have(&["mksquashfs"]) {
        let work = Workplace::new();
        work.put("file", b"content");
        let (image, tree) = (work.path("image"), work.tree());
        run(
            "mksquashfs",
            &[tree.to_str().unwrap(), &image, "-quiet", "-no-progress"],
            "",
        );
        assert_eq!(detect(&image).kind, ContentKind::Squashfs);
    }
    if have(&["sfdisk"]) {
        for script in ["label: dos\n,4M,7,*\n", "label: gpt\n,4M\n", "label: gpt\n"] {
            let work = Workplace::new();
            let image = work.image(16 << 20);
            run("sfdisk", &["-q", &image], script);
            // What a disk held before it was partitioned is not what it holds.
            let file = File::options().write(true).open(&image).unwrap();
            file.write_all_at(b"_BHRfS_M", 65_600).unwrap();
            assert_eq!(detect(&image).kind, ContentKind::PartitionTable, "{script}");
        }
    }
}

/// Marks of what no tool here makes, as they are documented.
#[test]
fn marks() {
    use ContentKind::*;
    const SIZE: usize = 1 << 20;
    let raid = 0xa92b_4efc_u32.to_le_bytes();
    let uberblock = 0x00ba_b10c_u64.to_be_bytes();
    let to_go = b"\x3b\xd6\x67\x49\x29\x2e\xd8\x4a\x83\x99\xf6\xa3\x39\xe3\xd0\x01";
    let table = |kind: u8| {
        [
            &[0, 0, 0, 0, kind, 0, 0, 0, 63, 0, 0, 0, 0, 4, 0, 0][..],
            &[0; 48],
            &[0x55, 0xaa],
        ]
        .concat()
    };
    for (kind, marks) in [
        (Refs, &[(3, &b"ReFS\0\0\0\0"[..])][..]),
        (BitLocker, &[(3, b"-FVE-FS-"), (510, &[0x55, 0xaa])]),
        (BitLocker, &[(3, b"MSWIN4.1"), (424, to_go), (510, &[0x55, 0xaa])]),
        (LinuxRaid, &[(0, &raid)]),
        (LinuxRaid, &[(4096, &raid)]),
        (LinuxRaid, &[(SIZE - 8192, &raid)]),
        (LinuxRaid, &[(SIZE - 65_536, &raid)]),
        (Zfs, &[((128 << 10) + 5 * 1024, &uberblock)]),
        (Ldm, &[(446, &table(0x42)), (3072, b"PRIVHEAD")]),
        (Ldm, &[(SIZE - 512, b"PRIVHEAD")]),
        (PartitionTable, &[(446, &table(0x83)), (3072, b"PRIVHEAD")]),
        (Udf, &[(32_769, b"BEA01"), (34_817, b"NSR03")]),
        (Swap, &[(4086, b"S1SUSPEND\0")]),
        (Empty, &[]),
        (Unknown, &[(20_000, b"x")]),
        (Unknown, &[(510, &[0x55, 0xaa])]),
    ] {
        let mut disk = vec![0; SIZE];
        for (at, mark) in marks {
            disk[*at..at + mark.len()].copy_from_slice(mark);
        }
        let found = Contents::detect(&disk).unwrap();
        assert_eq!(found.kind, kind, "{marks:?}");
        let refused = Volume::open(&disk).unwrap_err().to_string();
        assert!(
            refused.contains(kind.name()) && refused.contains(kind.advice().unwrap()),
            "{refused}"
        );
    }
    for size in [0, 1, 511, 512, 4096, 65_536, 100_000, 131_072] {
        assert_eq!(Contents::detect(&vec![0; size]).unwrap().kind, Empty, "{size}");
        assert_eq!(
            Contents::detect(&noise(5, size)).unwrap().kind == Empty,
            size == 0,
            "{size}"
        );
    }
}

#[test]
fn members_of_raids() {
    // What mdadm writes; it needs the kernel for it.
    let mut superblock = vec![0u8; 4096];
    superblock[..4].copy_from_slice(&0xa92b_4efc_u32.to_le_bytes());
    superblock[4] = 1;
    superblock[16..32].copy_from_slice(&noise(1, 16));
    superblock[32..42].copy_from_slice(b"web-01:md0");
    let mut disk = vec![0; 1 << 20];
    disk[4096..8192].copy_from_slice(&superblock);
    let found = Contents::detect(&disk).unwrap();
    assert_eq!(found.kind, ContentKind::LinuxRaid);
    assert_eq!(found.label.as_deref(), Some("web-01:md0"));
    assert_eq!(found.id.unwrap().len(), 36);
}
