//! Blocks land where they belong, verified.

mod common;

use std::io::{Cursor, ErrorKind, Seek, SeekFrom, Write};

use common::{Builder, Flavour, Hash, UNIT, noise, ova, ova_of_version, read, sparse};
use xva::{Algorithm, Check, Error, Options, Reader, Run, Verify};

#[test]
fn heartbeats_use_numbers_up() {
    let raw = sparse(6, 0, &[0, 1, 2, 5]);
    let unit = |i: usize| &raw[i * UNIT..][..UNIT];
    let archive = Builder::xapi()
        .entry("ova.xml", ova(&[("Ref:3", raw.len())]).as_bytes())
        .block("Ref:3", 0, unit(0))
        .block("Ref:3", 1, b"")
        .block("Ref:3", 2, unit(1))
        .block("Ref:3", 3, b"")
        .block("Ref:3", 4, b"")
        .block("Ref:3", 5, unit(2))
        // Two units of zeros with a heartbeat between them.
        .block("Ref:3", 7, b"")
        .block("Ref:3", 9, unit(5))
        .end();
    assert_eq!(read(&archive[..]).unwrap(), [("Ref:3".to_owned(), raw)]);
}

#[test]
fn a_folder_is_matched_whole() {
    let (one, ten) = (sparse(3, 0, &[0, 2]), sparse(4, 9, &[1, 4]));
    let archive = Builder::xapi()
        .entry(
            "ova.xml",
            ova(&[("Ref:1", one.len()), ("Ref:10", ten.len())]).as_bytes(),
        )
        .disk("Ref:1", &one)
        .disk("Ref:10", &ten)
        .end();
    assert_eq!(
        read(&archive[..]).unwrap(),
        [("Ref:1".to_owned(), one), ("Ref:10".to_owned(), ten)]
    );
}

#[test]
fn each_disk_has_its_own_unit() {
    // The first disk is smaller than a unit; the second leaves units out.
    let (small, large) = (noise(512, 1), sparse(9, 0, &[0, 8]));
    let archive = Builder::xapi()
        .entry("ova.xml", ova(&[("Ref:1", 512), ("Ref:2", large.len())]).as_bytes())
        .disk("Ref:1", &small)
        .disk("Ref:2", &large)
        .end();
    assert_eq!(
        read(&archive[..]).unwrap(),
        [("Ref:1".to_owned(), small), ("Ref:2".to_owned(), large)]
    );
}

#[test]
fn disks_tell_about_themselves() {
    let raw = sparse(1, 0, &[0]);
    let archive = Builder::xapi()
        .entry("ova.xml", ova(&[("Ref:7", UNIT)]).as_bytes())
        .disk("Ref:7", &raw)
        .end();
    let mut reader = Reader::new(&archive[..]);
    let mut disk = reader.next_disk().unwrap().unwrap();
    assert_eq!(disk.id(), "Ref:7");
    assert_eq!(disk.virtual_size(), Some(UNIT as u64));
    assert_eq!(disk.vdi().unwrap().sr_name.as_deref(), Some("Local storage"));
    assert_eq!(disk.ova().unwrap().vms()[0].name_label, "a & b");
    let block = disk.next_block().unwrap().unwrap();
    assert_eq!(
        (block.number, block.offset, block.check),
        (0, 0, Check::Verified(Algorithm::Xxh64))
    );
    assert_eq!(block.data, raw);
    assert_eq!(disk.next_block().unwrap(), None);
    assert_eq!(disk.next_block().unwrap(), None);
    assert!(reader.next_disk().unwrap().is_none());
    assert!(reader.next_disk().unwrap().is_none());
    let summary = reader.summary().unwrap();
    assert!(summary.is_complete());
    assert_eq!((summary.verified, summary.damaged, summary.unverified), (1, 0, 0));
    assert_eq!(reader.position(), archive.len() as u64);
    assert_eq!(reader.bytes_read(), archive.len() as u64);
}

#[test]
fn the_first_block_takes_no_byte_more_than_it_needs() {
    let raw = sparse(8, 0, &[0, 1, 2, 3, 4, 5, 6, 7]);
    let builder = Builder::xapi().entry("ova.xml", ova(&[("Ref:7", raw.len())]).as_bytes());
    let needed = builder.clone().block("Ref:7", 0, &raw[..UNIT]).bytes.len();
    let archive = builder.disk("Ref:7", &raw).end();
    let mut source = &archive[..];
    let mut reader = Reader::new(&mut source);
    let disk = reader.next_disk().unwrap().unwrap();
    assert_eq!(disk.first_block().unwrap(), raw[..UNIT]);
    assert_eq!(reader.bytes_read(), needed as u64);
    assert_eq!(source.len(), archive.len() - needed);
}

#[test]
fn a_disk_can_be_read_on_after_its_first_block() {
    let (one, two) = (sparse(4, 0, &[0, 2]), sparse(2, 0, &[0, 1]));
    let archive = Builder::xapi().disk("Ref:1", &one).disk("Ref:2", &two).end();
    let mut reader = Reader::new(&archive[..]);
    reader.next_disk().unwrap().unwrap().first_block().unwrap();
    let mut disk = reader.next_disk().unwrap().unwrap();
    assert_eq!(disk.id(), "Ref:2");
    disk.next_block().unwrap();
    assert!(matches!(disk.first_block(), Err(Error::FirstBlockPassed { .. })));
}

#[test]
fn a_first_block_left_out_is_zeros() {
    let archive = Builder::xapi().block("vdi", 3, &noise(UNIT, 1)).end();
    let first = Reader::new(&archive[..])
        .next_disk()
        .unwrap()
        .unwrap()
        .first_block()
        .unwrap();
    assert_eq!(first, vec![0; 3 * UNIT]);
}

#[test]
fn a_raw_image() {
    let raw = sparse(40, 100, &[0, 7, 8, 30]);
    let archive = Builder::xapi()
        .entry("ova.xml", ova(&[("Ref:7", raw.len())]).as_bytes())
        .disk("Ref:7", &raw)
        .end();
    let mut image = Cursor::new(Vec::new());
    let mut reader = Reader::new(&archive[..]);
    assert_eq!(
        reader.next_disk().unwrap().unwrap().copy_to(&mut image).unwrap(),
        raw.len() as u64
    );
    assert_eq!(image.into_inner(), raw);
}

/// Takes so many bytes and no more.
struct Full {
    image: Cursor<Vec<u8>>,
    room: usize,
}

impl Write for Full {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        self.room = self.room.checked_sub(data.len()).ok_or(ErrorKind::StorageFull)?;
        self.image.write(data)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Seek for Full {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.image.seek(to)
    }
}

#[test]
fn a_full_target_stops_the_image() {
    let filled: Vec<_> = (0..20).collect();
    let archive = Builder::xapi().disk("vdi", &sparse(20, 0, &filled)).end();
    let mut target = Full {
        image: Cursor::new(Vec::new()),
        room: 3 * UNIT,
    };
    let mut reader = Reader::new(&archive[..]);
    let outcome = reader.next_disk().unwrap().unwrap().copy_to(&mut target);
    assert!(
        matches!(&outcome, Err(Error::Target { offset, source })
            if *offset == 3 * UNIT as u64 && source.kind() == ErrorKind::StorageFull),
        "{outcome:?}"
    );
    assert!(reader.position() < archive.len() as u64 / 2, "reading stops soon after");
}

#[test]
fn an_image_of_a_damaged_disk_has_what_came_before() {
    let (raw, archive) = with_damage();
    let mut image = Cursor::new(Vec::new());
    let outcome = Reader::new(&archive[..])
        .next_disk()
        .unwrap()
        .unwrap()
        .copy_to(&mut image);
    assert!(matches!(outcome, Err(Error::Checksum { number: 1, .. })), "{outcome:?}");
    assert_eq!(image.into_inner(), raw[..UNIT]);
}

#[test]
fn runs_cover_the_disk() {
    let raw = sparse(4, 0, &[0, 3]);
    let archive = Builder::xapi().disk("vdi", &raw).end();
    let mut reader = Reader::new(&archive[..]);
    let mut disk = reader.next_disk().unwrap().unwrap();
    assert!(matches!(disk.next_run().unwrap(), Some(Run::Data(block)) if block.offset == 0));
    assert_eq!(
        disk.next_run().unwrap(),
        Some(Run::Hole {
            offset: UNIT as u64,
            len: 2 * UNIT as u64
        })
    );
    assert!(matches!(disk.next_run().unwrap(), Some(Run::Data(block)) if block.number == 3));
    assert_eq!(disk.next_run().unwrap(), None);
}

fn with_damage() -> (Vec<u8>, Vec<u8>) {
    let raw = sparse(3, 0, &[0, 1, 2]);
    let mut archive = Builder::xapi()
        .entry("ova.xml", ova(&[("Ref:1", raw.len())]).as_bytes())
        .disk("Ref:1", &raw)
        .end();
    let second = archive
        .windows(UNIT)
        .position(|window| *window == raw[UNIT..2 * UNIT])
        .unwrap();
    archive[second + 99] ^= 0x40;
    (raw, archive)
}

#[test]
fn a_damaged_block() {
    let (raw, archive) = with_damage();
    let mut reader = Reader::new(&archive[..]);
    let mut disk = reader.next_disk().unwrap().unwrap();
    disk.next_block().unwrap();
    let error = disk.next_block().unwrap_err();
    match &error {
        Error::Checksum {
            disk,
            number: 1,
            expected,
            found,
            ..
        } => {
            assert_eq!(disk, "Ref:1");
            assert_eq!(
                expected.to_string(),
                format!("{:016X}", twox_hash::XxHash64::oneshot(0, &raw[UNIT..2 * UNIT]))
            );
            assert_ne!(expected, found);
        }
        other => panic!("{other:?}"),
    }
    assert!(error.is_recoverable());
    let third = disk.next_block().unwrap().unwrap();
    assert_eq!(third.offset, 2 * UNIT as u64);
    assert_eq!(reader.finish().unwrap().damaged, 1);
}

#[test]
fn damage_can_be_reported_or_ignored() {
    let (_, archive) = with_damage();
    for verify in [Verify::Report, Verify::Off] {
        let mut reader = Reader::with_options(&archive[..], Options::new().verify(verify));
        let mut disk = reader.next_disk().unwrap().unwrap();
        let mut checks = Vec::new();
        while let Some(block) = disk.next_block().unwrap() {
            checks.push(block.check);
        }
        match verify {
            Verify::Report => assert!(matches!(
                checks[..],
                [Check::Verified(_), Check::Mismatch { .. }, Check::Verified(_)]
            )),
            _ => assert_eq!(checks, [Check::Off; 3]),
        }
    }
}

#[test]
fn missing_checksums_are_counted() {
    let raw = sparse(3, 0, &[0, 1, 2]);
    let archive = Builder::new(Flavour::V7, Hash::None)
        .entry("ova.xml", ova(&[("Ref:1", raw.len())]).as_bytes())
        .disk("Ref:1", &raw)
        .end();
    assert_eq!(read(&archive[..]).unwrap(), [("Ref:1".to_owned(), raw)]);
    let mut reader = Reader::new(&archive[..]);
    let summary = reader.finish().unwrap();
    assert_eq!((summary.verified, summary.unverified), (0, 3));
}

#[test]
fn mixed_checksums() {
    let raw = sparse(2, 0, &[0, 1]);
    let mut archive = Builder::xapi().block("vdi", 0, &raw[..UNIT]);
    archive.bytes.extend(
        Builder::new(Flavour::V7, Hash::Sha1)
            .block("vdi", 1, &raw[UNIT..])
            .bytes,
    );
    let archive = archive.end();
    let mut reader = Reader::new(&archive[..]);
    let mut disk = reader.next_disk().unwrap().unwrap();
    assert_eq!(
        disk.next_block().unwrap().unwrap().check,
        Check::Verified(Algorithm::Xxh64)
    );
    assert_eq!(
        disk.next_block().unwrap().unwrap().check,
        Check::Verified(Algorithm::Sha1)
    );
}

fn table(table: impl Iterator<Item = (String, String)>) -> String {
    let members: String = table
        .map(|(k, v)| format!("<member><name>{k}</name><value>{v}</value></member>"))
        .collect();
    format!("<value><struct>{members}</struct></value>")
}

#[test]
fn the_table_at_the_end_of_old_archives() {
    let raw = sparse(3, 0, &[0, 1, 2]);
    for (export_vsn, hash) in [(None, Hash::None), (Some(0), Hash::None), (Some(1), Hash::Sha1)] {
        let builder = Builder::new(Flavour::V7, hash)
            .entry(
                "ova.xml",
                ova_of_version(export_vsn, &[("Ref:1", raw.len())]).as_bytes(),
            )
            .disk("Ref:1", &raw);
        let good = table(builder.table.clone().into_iter());
        let archive = builder.clone().entry("checksum.xml", good.as_bytes()).end();
        let mut reader = Reader::new(&archive[..]);
        let summary = reader.finish().unwrap();
        assert_eq!((summary.verified, summary.unverified), (3, 0), "{export_vsn:?}");
        assert!(summary.is_complete());

        let bad = good.replace(&builder.table["Ref:1/00000001"], &"0".repeat(40));
        let archive = builder.entry("checksum.xml", bad.as_bytes()).end();
        let mut reader = Reader::new(&archive[..]);
        match (hash, reader.finish()) {
            (Hash::None, Err(Error::Checksum { number: 1, .. })) | (Hash::Sha1, Ok(_)) => {}
            (_, other) => panic!("{export_vsn:?} {other:?}"),
        }
    }
}

#[test]
fn checksum_entries_that_make_no_sense() {
    let data = noise(UNIT, 3);
    let block = Builder::xapi().entry("vdi/00000000", &data);
    let garbage = block.clone().entry("vdi/00000000.xxhash", b"not a checksum..").end();
    assert!(matches!(read(&garbage[..]), Err(Error::ChecksumEntry { .. })));
    let for_another = block.clone().entry("vdi/00000001.xxhash", b"EF46DB3751D8E999").end();
    assert!(matches!(
        read(&for_another[..]),
        Err(Error::ChecksumWithoutBlock { .. })
    ));
    let elsewhere = block.entry("other/00000000.xxhash", b"EF46DB3751D8E999").end();
    assert!(matches!(read(&elsewhere[..]), Err(Error::ChecksumWithoutBlock { .. })));
}

#[test]
fn numbers_that_go_backwards() {
    let data = noise(UNIT, 3);
    let archive = Builder::xapi()
        .block("vdi", 0, &data)
        .block("vdi", 5, &data)
        .block("vdi", 0, &data)
        .end();
    match read(&archive[..]) {
        Err(
            error @ Error::BlockOrder {
                number: 0, previous: 5, ..
            },
        ) => {
            assert!(error.to_string().contains("go backwards"), "{error}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn blocks_beyond_the_end() {
    let data = noise(UNIT, 3);
    let builder = Builder::xapi()
        .entry("ova.xml", ova(&[("Ref:1", 2 * UNIT)]).as_bytes())
        .block("Ref:1", 0, &data);
    for number in [2, u64::MAX / 2, u64::MAX] {
        let archive = builder.clone().block("Ref:1", number, &data).end();
        assert!(matches!(read(&archive[..]), Err(Error::BeyondEnd { .. })), "{number}");
    }
    let far = Builder::xapi()
        .block("vdi", 0, &data)
        .block("vdi", u64::MAX, &data)
        .end();
    let mut reader = Reader::new(&far[..]);
    assert!(matches!(reader.finish(), Err(Error::BeyondEnd { .. })));
    assert!(matches!(reader.finish(), Err(Error::AlreadyFailed)));
}

#[test]
fn disks_that_come_back_or_stay_short() {
    let data = noise(UNIT, 3);
    let disks = [("Ref:1", 2 * UNIT), ("Ref:2", UNIT)];
    let builder = Builder::xapi().block("Ref:1", 0, &data).block("Ref:2", 0, &data);
    let returned = builder.clone().block("Ref:1", 1, &data).end();
    assert!(matches!(read(&returned[..]), Err(Error::DiskReturned { .. })));

    let mut short = Builder::xapi().entry("ova.xml", ova(&disks).as_bytes());
    short.bytes.extend(builder.bytes);
    let short = short.end();
    let mut reader = Reader::new(&short[..]);
    let mut disk = reader.next_disk().unwrap().unwrap();
    disk.next_block().unwrap();
    let error = disk.next_block().unwrap_err();
    assert!(
        matches!(error, Error::DiskShort { end, virtual_size, .. } if end * 2 == virtual_size),
        "{error}"
    );
    assert_eq!(disk.next_block().unwrap(), None);
    assert_eq!(reader.next_disk().unwrap().unwrap().id(), "Ref:2");
    assert!(!reader.finish().unwrap().has_all_disks());
}
