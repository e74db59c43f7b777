//! What can be saved is saved, and nothing wrong is called trusted.

mod common;

use std::collections::HashMap;
use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};

use common::{Builder, FLAVOURS, Flavour, Hash, UNIT, noise, ova, ova_of_version, sparse};
use proptest::prelude::*;
use xva::Options;
use xva::salvage::{Damaged, Doubt, Report, Salvager, SavedDisk, Trust};
use xva::verify::{Finding, Severity};

/// The images by id, as a callback builds them.
fn salvage_with(salvager: Salvager<'_>, source: impl Read) -> (Report, HashMap<String, Vec<u8>>) {
    let mut images: HashMap<String, Vec<u8>> = HashMap::new();
    let report = salvager
        .run(source, |piece| {
            let image = images.entry(piece.disk.to_owned()).or_default();
            let end = piece.offset as usize + piece.data.len();
            if image.len() < end {
                image.resize(end, 0);
            }
            image[piece.offset as usize..end].copy_from_slice(piece.data);
            Ok(())
        })
        .unwrap();
    for disk in &report.disks {
        let len = disk.extents.last().map_or(0, |extent| extent.range.end as usize);
        images.entry(disk.id.clone()).or_default().resize(len, 0);
    }
    (report, images)
}

fn salvage(bytes: &[u8]) -> (Report, HashMap<String, Vec<u8>>) {
    let options = Options::new().metadata_limit(1 << 20).block_limit(1 << 20);
    salvage_with(Salvager::new().options(options).size_limit(1 << 24), bytes)
}

/// Every trusted byte is what the disk held, and the extents are without a gap.
fn assert_honest(report: &Report, images: &HashMap<String, Vec<u8>>, disks: &[(&str, &[u8])]) {
    for disk in &report.disks {
        let mut at = 0;
        for extent in &disk.extents {
            assert_eq!(extent.range.start, at);
            at = extent.range.end;
            if extent.trust != Trust::Trusted {
                continue;
            }
            let range = extent.range.start as usize..extent.range.end as usize;
            let original = disks
                .iter()
                .find(|(id, _)| *id == disk.id)
                .expect("a disk of the archive")
                .1;
            assert!(
                images[&disk.id][range.clone()] == original[range.clone()],
                "{range:?} of {} is not what it was",
                disk.id
            );
        }
    }
}

fn one_disk(size: usize) -> Builder {
    Builder::xapi().entry("ova.xml", ova(&[("Ref:1", size)]).as_bytes())
}

fn unit(n: usize) -> std::ops::Range<u64> {
    (n * UNIT) as u64..((n + 1) * UNIT) as u64
}

/// The ranges that are not trusted.
fn rest(disk: &SavedDisk) -> Vec<(std::ops::Range<u64>, Trust)> {
    let extents = disk.extents.iter().filter(|extent| extent.trust != Trust::Trusted);
    extents.map(|extent| (extent.range.clone(), extent.trust)).collect()
}

#[test]
fn a_whole_archive_is_all_trusted() {
    let (one, two) = (sparse(12, 700, &[0, 1, 5, 12]), sparse(4, 0, &[0, 2, 3]));
    for flavour in FLAVOURS {
        let bytes = Builder::new(flavour, Hash::Xxhash)
            .entry(
                "ova.xml",
                ova(&[("Ref:10", one.len()), ("Ref:9", two.len())]).as_bytes(),
            )
            .disk("Ref:10", &one)
            .disk("Ref:9", &two)
            .end();
        let (report, images) = salvage(&bytes);
        assert!(report.is_whole(), "{report:?}");
        assert_eq!((&images["Ref:10"], &images["Ref:9"]), (&one, &two));
        let (report, _) = salvage(&zstd::encode_all(&bytes[..], 1).unwrap());
        assert!(report.is_whole() && report.ova.is_some());
    }
}

#[test]
fn raw_images_grow_to_their_size() {
    let raw = sparse(6, 0, &[0, 2]);
    let bytes = one_disk(raw.len())
        .block("Ref:1", 0, &raw[..UNIT])
        .block("Ref:1", 2, &raw[2 * UNIT..3 * UNIT])
        .end();
    let mut image = Cursor::new(Vec::new());
    struct Borrowed<'a>(&'a mut Cursor<Vec<u8>>);
    impl Write for Borrowed<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    impl Seek for Borrowed<'_> {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            self.0.seek(to)
        }
    }
    let target = &mut image;
    let mut target = Some(target);
    let report = Salvager::new().run_into(&bytes[..], |disk| {
        assert_eq!((disk.id, disk.virtual_size), ("Ref:1", Some(6 * UNIT as u64)));
        Ok(target.take().map(Borrowed))
    });
    assert_eq!(image.into_inner(), raw);
    assert_eq!(
        rest(&report.unwrap().disks[0]),
        [(3 * UNIT as u64..6 * UNIT as u64, Trust::Unknown)]
    );
}

#[test]
fn a_failing_target_is_told() {
    let raw = sparse(2, 0, &[0, 1]);
    let bytes = one_disk(raw.len()).disk("Ref:1", &raw).end();
    let result = Salvager::new().run(&bytes[..], |_| Err(io::Error::other("full")));
    assert!(matches!(result, Err(xva::Error::Target { offset: 0, .. })));
}

#[test]
fn a_damaged_header_costs_nothing_where_the_checksum_is_whole() {
    let raw = sparse(6, 512, &[0, 1, 2, 4, 6]);
    let whole = one_disk(raw.len()).disk("Ref:1", &raw).end();
    let mut heads = Vec::new();
    for (at, block) in whole.chunks(512).enumerate() {
        if block.starts_with(b"Ref:1/") || block.starts_with(b"ova.xml") {
            heads.push(at * 512);
        }
    }
    assert_eq!(heads.len(), 11);
    for head in heads {
        for byte in [0, 7, 130, 151] {
            let mut bytes = whole.clone();
            bytes[head + byte] ^= 0x21;
            let (report, images) = salvage(&bytes);
            assert!(
                report.is_whole(),
                "{head} {:?}",
                report.findings.iter().map(ToString::to_string).collect::<Vec<_>>()
            );
            assert_eq!(images["Ref:1"], raw);
            let damage = report
                .findings
                .iter()
                .filter(|finding| finding.severity() == Severity::Damage);
            assert!(matches!(
                damage.collect::<Vec<_>>()[..],
                [Finding::DamagedHeader { .. }]
            ));
        }
    }
}

#[test]
fn a_lost_block_is_unknown_and_its_neighbours_are_confirmed_by_the_end() {
    let raw = sparse(8, 0, &[0, 1, 2, 3, 5, 7]);
    let builder = one_disk(raw.len())
        .block("Ref:1", 0, &raw[..UNIT])
        .block("Ref:1", 1, &raw[UNIT..2 * UNIT]);
    let start = builder.bytes.len();
    let mut builder = builder.block("Ref:1", 2, &raw[2 * UNIT..3 * UNIT]);
    let end = builder.bytes.len();
    for number in [3, 5, 7] {
        builder = builder.block("Ref:1", number as u64, &raw[number * UNIT..][..UNIT]);
    }
    let mut bytes = builder.end();
    bytes[start..end].fill(0xa5);
    let (report, images) = salvage(&bytes);
    assert_eq!(rest(&report.disks[0]), [(unit(2), Trust::Unknown)]);
    assert_honest(&report, &images, &[("Ref:1", &raw)]);
    // Without the end nothing behind the loss is sure.
    let cut = &bytes[..bytes.len() - 1024 - UNIT - 1536];
    let (report, images) = salvage(cut);
    assert_eq!(
        rest(&report.disks[0]),
        [
            (unit(2), Trust::Unknown),
            (unit(3).start..unit(5).end, Trust::Doubtful(Doubt::Place)),
            (unit(6).start..unit(7).end, Trust::Unknown)
        ]
    );
    assert_honest(&report, &images, &[("Ref:1", &raw)]);
}

#[test]
fn a_lost_heartbeat_leaves_doubt() {
    let raw = sparse(6, 0, &[0, 1, 2, 4, 5]);
    let mut builder = one_disk(raw.len())
        .block("Ref:1", 0, &raw[..UNIT])
        .block("Ref:1", 1, &raw[UNIT..2 * UNIT]);
    let start = builder.bytes.len();
    builder = builder.block("Ref:1", 2, b"");
    let end = builder.bytes.len();
    for number in [2, 4, 5] {
        builder = builder.block("Ref:1", number as u64 + 1, &raw[number * UNIT..][..UNIT]);
    }
    let mut bytes = builder.end();
    let (report, _) = salvage(&bytes);
    assert!(report.is_whole());
    bytes[start..end].fill(0xa5);
    let (report, images) = salvage(&bytes);
    assert_eq!(report.disks[0].trusted(), 2 * UNIT as u64);
    assert_honest(&report, &images, &[("Ref:1", &raw)]);
    // Taken out without a trace, it shows only at the end.
    bytes.drain(start..end);
    let (report, images) = salvage(&bytes);
    assert_honest(&report, &images, &[("Ref:1", &raw)]);
    assert!(!report.is_whole());
}

#[test]
fn damaged_blocks_are_kept_or_left_out() {
    let raw = sparse(3, 0, &[0, 1, 2]);
    let mut bytes = one_disk(raw.len()).disk("Ref:1", &raw).end();
    let at = one_disk(raw.len()).bytes.len() + UNIT + 1536 + 600;
    bytes[at] ^= 1;
    let (report, images) = salvage(&bytes);
    assert_eq!(rest(&report.disks[0]), [(unit(1), Trust::Doubtful(Doubt::Checksum))]);
    assert_eq!(images["Ref:1"].iter().zip(&raw).filter(|(a, b)| a != b).count(), 1);
    let (report, images) = salvage_with(Salvager::new().damaged(Damaged::LeaveOut), &bytes[..]);
    assert_eq!(rest(&report.disks[0]), [(unit(1), Trust::Unknown)]);
    assert_eq!(images["Ref:1"][UNIT..2 * UNIT], [0; UNIT]);
}

/// xapi does this where it falls back to reading the whole disk.
#[test]
fn a_disk_that_begins_anew() {
    let raw = sparse(5, 0, &[0, 1, 2, 4]);
    let bytes = one_disk(raw.len())
        .block("Ref:1", 0, &raw[..UNIT])
        .block("Ref:1", 1, &raw[UNIT..2 * UNIT]);
    let bytes = bytes.disk("Ref:1", &raw).end();
    let (report, images) = salvage(&bytes);
    assert!(report.is_whole(), "{report:?}");
    assert_eq!(images["Ref:1"], raw);
    // The first pass knows of data where the second one sees zeros.
    let bytes = one_disk(raw.len())
        .block("Ref:1", 0, &raw[..UNIT])
        .block("Ref:1", 3, &noise(UNIT, 9));
    let (report, _) = salvage(&bytes.disk("Ref:1", &raw).end());
    assert_eq!(
        rest(&report.disks[0]),
        [(unit(3), Trust::Doubtful(Doubt::Contradicted))]
    );
}

#[test]
fn numbers_that_go_back_are_never_trusted() {
    let raw = sparse(5, 0, &[0, 1, 2, 3, 4]);
    let block = |builder: Builder, number: usize, from: usize| {
        builder.block("Ref:1", number as u64, &raw[from * UNIT..][..UNIT])
    };
    let mut builder = one_disk(raw.len());
    for (number, from) in [(0, 0), (1, 1), (2, 2), (1, 3), (2, 4), (3, 3), (4, 4)] {
        builder = block(builder, number, from);
    }
    let (report, images) = salvage(&builder.end());
    assert_honest(&report, &images, &[("Ref:1", &raw)]);
    assert_eq!(report.disks[0].trusted(), UNIT as u64);
    let doubled = block(block(block(one_disk(2 * UNIT), 0, 0), 1, 1), 1, 2).end();
    let (report, _) = salvage(&doubled);
    assert_eq!(
        rest(&report.disks[0]),
        [(unit(1), Trust::Doubtful(Doubt::Contradicted))]
    );
}

#[test]
fn a_disk_that_comes_back() {
    let (one, two) = (sparse(4, 0, &[0, 1, 2, 3]), sparse(2, 0, &[0, 1]));
    let mut builder = Builder::xapi().entry("ova.xml", ova(&[("Ref:1", one.len()), ("Ref:2", two.len())]).as_bytes());
    builder = builder
        .block("Ref:1", 0, &one[..UNIT])
        .block("Ref:1", 1, &one[UNIT..2 * UNIT])
        .disk("Ref:2", &two);
    builder = builder
        .block("Ref:1", 2, &one[2 * UNIT..3 * UNIT])
        .block("Ref:1", 3, &one[3 * UNIT..]);
    let (report, images) = salvage(&builder.end());
    assert!(report.is_whole());
    assert_eq!((&images["Ref:1"], &images["Ref:2"]), (&one, &two));
}

#[test]
fn cut_off_anywhere() {
    let (one, two) = (sparse(4, 100, &[0, 1, 3, 4]), sparse(2, 0, &[0, 1]));
    let bytes = Builder::xapi()
        .entry("ova.xml", ova(&[("Ref:1", one.len()), ("Ref:2", two.len())]).as_bytes())
        .disk("Ref:1", &one)
        .disk("Ref:2", &two)
        .end();
    let mut most = 0;
    for len in (0..bytes.len()).step_by(211) {
        let (report, images) = salvage(&bytes[..len]);
        assert_honest(&report, &images, &[("Ref:1", &one), ("Ref:2", &two)]);
        let trusted = report.disks.iter().map(SavedDisk::trusted).sum::<u64>();
        assert!(trusted >= most, "more bytes give no less");
        most = trusted;
    }
    struct Failing;
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("gone"))
        }
    }
    let (report, _) = salvage_with(Salvager::new(), bytes[..bytes.len() - 3000].chain(Failing));
    assert!(matches!(report.failure, Some(xva::Error::Io { .. })) && !report.is_whole());
    assert!(report.disks[0].is_whole());
}

#[test]
fn what_is_no_archive_is_not_whole() {
    for bytes in [vec![], vec![0; 4096], noise(100_000, 5)] {
        assert!(!salvage(&bytes).0.is_whole());
    }
}

#[test]
fn blocks_without_checksums_wait_for_the_table() {
    let raw = sparse(3, 0, &[0, 1, 2]);
    let build = |vsn| {
        let text = ova_of_version(Some(vsn), &[("Ref:1", raw.len())]);
        Builder::new(Flavour::V7, Hash::None)
            .entry("ova.xml", text.as_bytes())
            .disk("Ref:1", &raw)
    };
    let (report, _) = salvage(&build(2).end());
    assert_eq!(
        rest(&report.disks[0]),
        [(0..3 * UNIT as u64, Trust::Doubtful(Doubt::Unchecked))]
    );
    let builder = build(0);
    let sums: String = builder
        .table
        .iter()
        .map(|(name, sum)| format!("<member><name>{name}</name><value>{sum}</value></member>"))
        .collect();
    let mut bytes = builder
        .entry(
            "checksum.xml",
            format!("<value><struct>{sums}</struct></value>").as_bytes(),
        )
        .end();
    assert!(salvage(&bytes).0.is_whole());
    let at = build(0).bytes.len() - 100;
    bytes[at] ^= 1;
    assert_eq!(
        rest(&salvage(&bytes).0.disks[0]),
        [(unit(2), Trust::Doubtful(Doubt::Checksum))]
    );
}

#[test]
fn metadata_behind_a_damaged_header_is_read() {
    let raw = sparse(3, 0, &[0, 2]);
    let mut bytes = one_disk(raw.len()).disk("Ref:1", &raw).end();
    bytes[..512].fill(0xee);
    let (report, _) = salvage(&bytes);
    assert!(report.ova.is_some() && report.is_whole());
}

/// The disk seems to end where it should: a heartbeat was lost, and so was the last block.
#[test]
fn two_losses_do_not_make_up_for_each_other() {
    let raw = sparse(4, 0, &[0, 1, 2, 3]);
    let last = format!("{:016X}", twox_hash::XxHash64::oneshot(0, &raw[3 * UNIT..]));
    let mut builder = one_disk(raw.len()).block("Ref:1", 0, &raw[..UNIT]);
    let start = builder.bytes.len();
    builder = builder.block("Ref:1", 1, b"");
    let end = builder.bytes.len();
    let builder = builder
        .block("Ref:1", 2, &raw[UNIT..2 * UNIT])
        .block("Ref:1", 3, &raw[2 * UNIT..3 * UNIT])
        .entry("Ref:1/00000004.xxhash", last.as_bytes());
    for fill in [0, 0xa5] {
        let mut bytes = builder.clone().end();
        bytes[start..end].fill(fill);
        let (report, images) = salvage(&bytes);
        assert_eq!(report.disks[0].trusted(), UNIT as u64);
        assert_honest(&report, &images, &[("Ref:1", &raw)]);
    }
}

/// A single zero block can stand for a header, and a block from which bytes were taken swallows what follows it.
#[test]
fn entries_that_vanish_without_a_damaged_header() {
    let raw = sparse(4, 0, &[0, 1, 2, 3]);
    let mut builder = one_disk(raw.len());
    for number in 0..2 {
        builder = builder.block("Ref:1", number, &raw[number as usize * UNIT..][..UNIT]);
    }
    let before = builder.bytes.len();
    builder = builder.block("Ref:1", 2, b"");
    let after = builder.bytes.len();
    for number in 2..4 {
        builder = builder.block("Ref:1", number + 1, &raw[number as usize * UNIT..][..UNIT]);
    }
    let bytes = builder.end();
    let mut zero = bytes.clone();
    zero.splice(before..after, [0; 512]);
    // 2,560 bytes out of a longer block, so that its content ends behind the heartbeat.
    let mut swallowed = bytes;
    let data = before - UNIT - 1024;
    swallowed[data - 512..data].copy_from_slice(&common::header("Ref:1/00000001", UNIT as u64 + 2560, 0, b""));
    for bytes in [zero, swallowed] {
        let (report, images) = salvage(&bytes[..bytes.len() - 1024 - UNIT - 1536]);
        assert!(report.disks[0].trusted() <= 2 * UNIT as u64, "{report:?}");
        assert_honest(&report, &images, &[("Ref:1", &raw)]);
    }
}

/// Every second block of the archive has to be searched for what follows it.
#[test]
fn many_damaged_headers_take_no_longer() {
    let mut builder = Builder::xapi();
    for number in 0..2000 {
        builder.bytes.extend([0xa5; 512]);
        builder = builder.entry(&format!("Ref:1/{number:08}"), b"");
    }
    let (report, _) = salvage(&builder.end());
    assert_eq!(report.findings.len() + report.findings_left_out as usize, 4001);
}

/// `XVA_TRIES` makes more of it.
fn cases() -> u32 {
    let tries = std::env::var("XVA_TRIES").ok();
    tries.and_then(|tries| tries.parse().ok()).unwrap_or(400)
}

#[derive(Debug, Clone)]
enum Change {
    Flip(prop::sample::Index, u8),
    Fill(prop::sample::Index, usize, u8),
    Remove(prop::sample::Index, usize),
    Insert(prop::sample::Index, usize),
    Cut(prop::sample::Index),
}

fn change() -> impl Strategy<Value = Change> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        8 => (at(), 1..=255u8).prop_map(|(at, by)| Change::Flip(at, by)),
        3 => (at(), 1..6000usize, any::<u8>()).prop_map(|(at, len, by)| Change::Fill(at, len, by)),
        2 => (at(), 1..12usize).prop_map(|(at, blocks)| Change::Remove(at, blocks)),
        2 => (at(), 1..12usize).prop_map(|(at, blocks)| Change::Insert(at, blocks)),
        1 => at().prop_map(Change::Cut),
    ]
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let len = bytes.len();
        match self {
            Self::Flip(at, by) => bytes[at.index(len)] ^= by,
            Self::Fill(at, count, by) => {
                let at = at.index(len);
                bytes[at..len.min(at + count)].fill(*by);
            }
            // Less than an entry with its checksum, which would leave no trace.
            Self::Remove(at, blocks) => {
                let at = at.index(len / 512 + 1) * 512;
                bytes.drain(at.min(len)..len.min(at + (1 + blocks % 2) * 512));
            }
            Self::Insert(at, blocks) => {
                let at = at.index(len / 512 + 1) * 512;
                let at = at.min(len);
                bytes.splice(at..at, noise(blocks * 512, at as u64));
            }
            Self::Cut(at) => bytes.truncate(at.index(len).max(1)),
        }
        if bytes.is_empty() {
            bytes.push(0);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn never_a_wrong_trusted(
        filled in prop::collection::vec(any::<bool>(), 8),
        beats in prop::collection::vec(prop::bool::weighted(0.2), 8),
        changes in prop::collection::vec(change(), 1..4),
    ) {
        let units: Vec<usize> = (0..8).filter(|&unit| filled[unit] || unit == 7 || unit == 0).collect();
        let (one, two) = (sparse(8, 0, &units), sparse(3, 0, &[0, 2]));
        let mut builder = Builder::xapi()
            .entry("ova.xml", ova(&[("Ref:1", one.len()), ("Ref:2", two.len())]).as_bytes());
        let metadata = builder.bytes.len();
        let mut number = 0;
        for (unit, data) in one.chunks(UNIT).enumerate() {
            if beats[unit] && unit > 0 && unit < 7 {
                builder = builder.block("Ref:1", number, b"");
                number += 1;
            }
            if units.contains(&unit) {
                builder = builder.block("Ref:1", number, data);
            }
            number += 1;
        }
        let mut bytes = builder.disk("Ref:2", &two).end();
        // Sizes and ids in the metadata have no checksum.
        let mut disks = bytes.split_off(metadata);
        for change in &changes {
            change.apply(&mut disks);
        }
        bytes.extend(disks);
        let (report, images) = salvage(&bytes);
        assert_honest(&report, &images, &[("Ref:1", &one), ("Ref:2", &two)]);
    }

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
        salvage(&bytes);
    }
}
