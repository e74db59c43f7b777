//! A whole archive is checked in one pass, and every finding has its place.

mod common;

use std::io::{self, Read};

use common::{Builder, FLAVOURS, Flavour, Hash, UNIT, noise, object, sparse};
use proptest::prelude::*;
use xva::verify::{Finding, Report, Severity, Verifier, archive};

fn ova(disks: &[(&str, usize)]) -> String {
    ova_of_version(Some(2), disks)
}

/// With nothing odd in it.
fn ova_of_version(export_vsn: Option<u32>, disks: &[(&str, usize)]) -> String {
    common::ova_of_version(export_vsn, disks).replace("vm-uuid", "6bc8ddf5-3b0c-f1bb-8a4d-3a3e4c1d7a60")
}

fn check(bytes: &[u8]) -> Report {
    archive(bytes).unwrap()
}

fn texts(report: &Report) -> Vec<String> {
    report.findings.iter().map(ToString::to_string).collect()
}

/// Units that are whole sectors, as xapi wants them.
fn two_disks() -> (Vec<u8>, Vec<u8>) {
    (sparse(12, 0, &[0, 1, 2, 5, 6, 11]), sparse(4, 0, &[0, 2, 3]))
}

fn two_disk_archive() -> Builder {
    let (one, two) = two_disks();
    Builder::xapi()
        .entry(
            "ova.xml",
            ova(&[("Ref:10", one.len()), ("Ref:9", two.len())]).as_bytes(),
        )
        .disk("Ref:10", &one)
        .disk("Ref:9", &two)
}

#[test]
fn a_sound_archive_and_its_numbers() {
    let bytes = two_disk_archive().end();
    let mut seen = Vec::new();
    let report = Verifier::new()
        .progress(|bytes| seen.push(bytes))
        .run(&bytes[..])
        .unwrap();
    assert_eq!(texts(&report), [""; 0]);
    assert!(report.is_sound() && report.would_import() && report.end_blocks && !report.metadata_only);
    assert_eq!((report.bytes, report.stored), (bytes.len() as u64, bytes.len() as u64));
    assert!(seen.is_sorted());
    assert_eq!(seen.last(), Some(&(bytes.len() as u64)));
    let disk = &report.disks[0];
    assert_eq!(
        (disk.id.as_str(), disk.virtual_size),
        ("Ref:10", Some(12 * UNIT as u64))
    );
    assert_eq!((disk.blocks, disk.zero_blocks, disk.heartbeats), (6, 6, 0));
    assert_eq!((disk.xxh64, disk.sha1), (6, 0));
    assert_eq!((disk.verified, disk.damaged, disk.unverified), (6, 0, 0));
}

#[test]
fn every_flavour_and_compression_is_sound() {
    let raw = sparse(5, 512, &[0, 3, 5]);
    for flavour in FLAVOURS {
        for hash in [Hash::Xxhash, Hash::Sha1] {
            let bytes = Builder::new(flavour, hash)
                .entry("ova.xml", ova(&[("Ref:1", raw.len())]).as_bytes())
                .disk("Ref:1", &raw)
                .end();
            let zstd = zstd::encode_all(&bytes[..], 1).unwrap();
            for source in [&bytes, &zstd] {
                let report = check(source);
                assert_eq!(texts(&report), [""; 0], "{flavour:?} {hash:?}");
                assert!(report.would_import());
            }
        }
    }
}

#[test]
fn a_real_export_of_metadata() {
    let report = check(include_bytes!("fixtures/three-disks-metadata.xva.zst"));
    assert!(report.is_sound() && report.metadata_only && !report.would_import());
    assert!(
        matches!(report.findings[..], [Finding::MetadataOnly { .. }]),
        "{:?}",
        texts(&report)
    );
}

/// No checksum covers the text, so some of it cannot be told from what was meant.
#[test]
fn changed_bytes_of_real_metadata() {
    let bytes = zstd::decode_all(&include_bytes!("fixtures/three-disks-metadata.xva.zst")[..]).unwrap();
    let before = texts(&check(&bytes));
    let text = bytes.len() - 512 - 1024 - 512;
    let mut random = Random(8);
    let tries = number("XVA_TRIES", 50);
    let mut found = 0;
    for _ in 0..tries {
        let mut changed = bytes.clone();
        changed[512 + random.below(text)] ^= 1 + random.below(255) as u8;
        found += usize::from(texts(&check(&changed)) != before);
    }
    eprintln!("{found} of {tries} found in real metadata");
    assert!(found > tries / 2);
}

fn number(variable: &str, default: usize) -> usize {
    std::env::var(variable)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

#[test]
fn heartbeats_are_counted() {
    let raw = sparse(4, 0, &[0, 2, 3]);
    let bytes = Builder::xapi()
        .entry("ova.xml", ova(&[("Ref:1", raw.len())]).as_bytes())
        .block("Ref:1", 0, &raw[..UNIT])
        .block("Ref:1", 1, b"")
        .block("Ref:1", 3, &raw[2 * UNIT..3 * UNIT])
        .block("Ref:1", 4, &raw[3 * UNIT..])
        .end();
    let report = check(&bytes);
    assert_eq!(texts(&report), [""; 0]);
    assert_eq!((report.disks[0].heartbeats, report.disks[0].zero_blocks), (1, 1));
    assert_eq!(report.disks[0].verified, 4);
}

/// The archive with one byte changed at every place in turn where the format leaves none to chance.
#[test]
fn every_changed_byte_is_found_where_it_is() {
    let raw = sparse(3, 512, &[0, 2, 3]);
    for flavour in [Flavour::V7, Flavour::Ustar] {
        let metadata = Builder::new(flavour, Hash::Xxhash).entry("ova.xml", ova(&[("Ref:1", raw.len())]).as_bytes());
        let text = ova(&[("Ref:1", raw.len())]).len();
        let bytes = metadata.disk("Ref:1", &raw).end();
        let step = if flavour == Flavour::V7 { 3 } else { 17 };
        for at in (0..512).chain(512 + text..bytes.len()).step_by(step) {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << (at % 8);
            assert_found(&check(&changed), at as u64, &format!("{flavour:?}"));
        }
    }
}

fn assert_found(report: &Report, at: u64, what: &str) {
    let found = report
        .findings
        .iter()
        .any(|finding| finding.place().archive.contains(&at));
    assert!(found, "{what}: byte {at}: {:?}", texts(report));
}

/// Small random numbers that are the same every time.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }
}

/// `XVA_TRIES` and `XVA_MIB` make more of it.
#[test]
fn random_bytes_are_found_where_they_are() {
    let (tries, mib) = (number("XVA_TRIES", 200), number("XVA_MIB", 2));
    let unit = if mib > 8 { 1 << 20 } else { 64 << 10 };
    let (one, two) = (noise((mib << 20) * 3 / 4, 5), noise((mib << 20) / 4, 6));
    let text = ova(&[("Ref:10", one.len()), ("Ref:9", two.len())]);
    let mut builder = Builder::xapi().entry("ova.xml", text.as_bytes());
    let disks = builder.bytes.len();
    for (id, raw) in [("Ref:10", &one), ("Ref:9", &two)] {
        for (number, data) in raw.chunks(unit).enumerate() {
            builder = builder.block(id, number as u64, data);
        }
    }
    let mut bytes = builder.end();
    assert!(check(&bytes).is_sound());
    let mut random = Random(3);
    let mut metadata_found = 0;
    let mut headers = 0;
    for round in 0..tries {
        // Half of them anywhere, half near the start of an entry.
        let mut at = disks + random.below(bytes.len() - disks);
        if round % 2 == 0 {
            let block = random.below((bytes.len() - 1024 - disks) / (unit + 1536));
            at = disks + block * (unit + 1536) + random.below(1536) + if random.below(2) == 0 { 0 } else { unit };
        }
        let old = bytes[at];
        bytes[at] ^= 1 + random.below(255) as u8;
        let report = check(&bytes);
        assert_found(&report, at as u64, "random");
        headers += usize::from(
            report
                .findings
                .iter()
                .any(|f| matches!(f, Finding::DamagedHeader { .. })),
        );
        bytes[at] = old;
    }
    assert!(headers > tries / 10);
    // A small archive, so that the text is most of it.
    let (start, small) = (512, Builder::xapi().entry("ova.xml", text.as_bytes()));
    let small = small.block("Ref:10", 0, &one[..512]).end();
    let whole = check(&small).findings.len();
    let before = texts(&check(&small));
    for _ in 0..tries {
        let mut changed = small.clone();
        changed[start + random.below(text.len())] ^= 1 + random.below(255) as u8;
        let report = check(&changed);
        metadata_found += usize::from(report.findings.len() != whole || texts(&report) != before);
    }
    eprintln!("{tries} of {tries} found in the disks, {metadata_found} of {tries} in the metadata");
    assert!(metadata_found > tries / 2);
}

/// Checks that an archive gives this finding and no other, and whether xapi would take it.
macro_rules! assert_only {
    ($bytes:expr, $pattern:pat, $severity:expr) => {{
        let report = check(&$bytes);
        assert!(
            report.findings.iter().all(|finding| matches!(finding, $pattern)) && report.findings.len() == 1,
            "{:?}",
            texts(&report)
        );
        assert_eq!(report.findings[0].severity(), $severity);
        assert_eq!(report.is_sound(), $severity < Severity::Damage);
        assert_eq!(report.would_import(), $severity == Severity::Note);
        report
    }};
}

fn one_disk(hash: Hash, size: usize) -> Builder {
    Builder::new(Flavour::V7, hash).entry("ova.xml", ova(&[("Ref:1", size)]).as_bytes())
}

#[test]
fn a_damaged_block() {
    let (one, _) = two_disks();
    let mut bytes = one_disk(Hash::Xxhash, one.len()).disk("Ref:1", &one).end();
    let start = one_disk(Hash::Xxhash, one.len()).bytes.len() + 2 * (UNIT + 1536);
    bytes[start + 600] ^= 1;
    let report = assert_only!(bytes, Finding::Damaged { .. }, Severity::Damage);
    let place = report.findings[0].place();
    assert_eq!(place.archive, start as u64..(start + UNIT + 1536) as u64);
    assert_eq!((place.disk.as_deref(), place.number), (Some("Ref:1"), Some(2)));
    assert_eq!(place.on_disk, Some(2 * UNIT as u64..3 * UNIT as u64));
    assert_eq!((report.disks[0].verified, report.disks[0].damaged), (5, 1));
}

#[test]
fn what_can_be_wrong_with_blocks() {
    let raw = sparse(3, 0, &[0, 1, 2]);
    let (a, b, c) = (&raw[..UNIT], &raw[UNIT..2 * UNIT], &raw[2 * UNIT..]);
    let new = || one_disk(Hash::Xxhash, raw.len());
    let sum = |data| format!("{:016X}", twox_hash::XxHash64::oneshot(0, data));

    let bytes = new()
        .block("Ref:1", 0, a)
        .entry("Ref:1/00000001.xxhash", sum(b).as_bytes());
    let report = assert_only!(
        bytes.block("Ref:1", 2, c).end(),
        Finding::BlockMissing { .. },
        Severity::Damage
    );
    assert_eq!(report.findings[0].place().on_disk, Some(UNIT as u64..2 * UNIT as u64));

    let bytes = new()
        .block("Ref:1", 0, a)
        .entry("Ref:1/00000001", b)
        .block("Ref:1", 2, c)
        .end();
    assert_only!(bytes, Finding::ChecksumMissing { .. }, Severity::Form);

    let bytes = new().block("Ref:1", 0, a).block("Ref:1", 1, b).end();
    let report = assert_only!(bytes, Finding::DiskShort { .. }, Severity::Damage);
    assert_eq!(
        report.findings[0].place().on_disk,
        Some(2 * UNIT as u64..3 * UNIT as u64)
    );

    let bytes = new()
        .block("Ref:1", 0, a)
        .entry("Ref:1/00000001", b)
        .entry("Ref:1/00000001.xxhash", b"0123");
    assert_only!(
        bytes.block("Ref:1", 2, c).end(),
        Finding::ChecksumMalformed { .. },
        Severity::Damage
    );

    let bytes = new()
        .block("Ref:1", 0, a)
        .block("Ref:1", 1, b)
        .block("Ref:1", 1, b)
        .block("Ref:1", 2, c)
        .end();
    assert_only!(bytes, Finding::Duplicate { .. }, Severity::Damage);

    let bytes = new().block("Ref:1", 0, a).block("Ref:1", 1, b);
    let bytes = bytes
        .block("Ref:1", 0, a)
        .block("Ref:1", 1, b)
        .block("Ref:1", 2, c)
        .end();
    let report = assert_only!(bytes, Finding::Backwards { previous: 1, .. }, Severity::Damage);
    assert_eq!(report.findings[0].place().number, Some(0));

    let bytes = new()
        .block("Ref:1", 0, a)
        .block("Ref:1", 1, b)
        .block("Ref:1", 2, c)
        .block("Ref:1", 3, c)
        .end();
    assert_only!(bytes, Finding::BeyondEnd { .. }, Severity::Damage);

    let bytes = new()
        .block("Ref:1", 0, a)
        .block("Ref:1", 1, b)
        .block("Ref:1", 2, c)
        .block("Ref:1", 3, b"")
        .end();
    assert_only!(bytes, Finding::BehindEnd { .. }, Severity::Form);

    let bytes = new().block("Ref:1", 1, b).block("Ref:1", 2, c).end();
    assert_only!(bytes, Finding::FirstBlockMissing { .. }, Severity::Damage);
}

#[test]
fn what_can_be_wrong_with_disks() {
    let raw = sparse(2, 0, &[0, 1]);
    let metadata = |ids: [&str; 2]| Builder::xapi().entry("ova.xml", ova(&ids.map(|id| (id, raw.len()))).as_bytes());

    let bytes = metadata(["Ref:5", "Ref:10"])
        .disk("Ref:5", &raw)
        .disk("Ref:10", &raw)
        .end();
    assert_only!(bytes, Finding::DiskOrder { .. }, Severity::Form);

    let bytes = metadata(["Ref:1", "Ref:2"]).disk("Ref:1", &raw).end();
    assert_only!(bytes, Finding::DiskMissing { .. }, Severity::Damage);

    let bytes = metadata(["Ref:1", "Ref:2"])
        .disk("Ref:1", &raw)
        .disk("Ref:2", &raw)
        .disk("Ref:3", &raw)
        .end();
    let report = check(&bytes);
    assert!(matches!(
        report.findings[..],
        [Finding::DiskUnexpected { .. }, Finding::SizeUnknown { .. }]
    ));

    let halves = metadata(["Ref:1", "Ref:2"])
        .block("Ref:1", 0, &raw[..UNIT])
        .disk("Ref:2", &raw);
    assert_only!(
        halves.block("Ref:1", 1, &raw[UNIT..]).end(),
        Finding::DiskReturned { .. },
        Severity::Damage
    );
}

#[test]
fn what_can_be_wrong_with_the_container() {
    let raw = sparse(2, 0, &[0, 1]);
    let whole = one_disk(Hash::Xxhash, raw.len()).disk("Ref:1", &raw);

    assert_only!(whole.bytes, Finding::NoEndBlocks { .. }, Severity::Note);
    let mut bytes = whole.clone().end();
    bytes.resize(bytes.len() + 9000, 0);
    assert_eq!(texts(&check(&bytes)), [""; 0]);
    let end = bytes.len() as u64;
    bytes.extend(b"HTTP/1.1 500 gave up");
    let report = assert_only!(bytes, Finding::TrailingBytes { .. }, Severity::Note);
    assert_eq!(report.findings[0].place().archive.end, end + 20);

    let mut bytes = whole.clone().end();
    let text = ova(&[("Ref:1", raw.len())]).len();
    bytes[512 + text + 3] = b'x';
    assert!(text % 512 < 500, "there is padding");
    let report = assert_only!(bytes, Finding::Padding { .. }, Severity::Note);
    assert_eq!(report.findings[0].place().archive.start, 512 + text as u64 + 3);

    let bytes = one_disk(Hash::LowercaseXxhash, raw.len()).block("Ref:1", 0, &raw[..UNIT]);
    let bytes = bytes.block("Ref:1", 1, &raw[UNIT..]).end();
    let report = check(&bytes);
    assert!(report.is_sound() && !report.would_import());
    assert!(
        report
            .obstacles()
            .all(|finding| matches!(finding, Finding::ChecksumForm { .. }))
    );
    assert_eq!(report.obstacles().count(), 2);

    let bytes = whole.clone().entry("notes.txt", b"hello").end();
    assert_only!(bytes, Finding::UnexpectedEntry { .. }, Severity::Form);
    let bytes = Builder::xapi().disk("Ref:1", &raw).end();
    assert_only!(bytes, Finding::MetadataMissing { .. }, Severity::Form);
    let bytes = Builder::xapi()
        .entry("ova.xml", b"<value><struct")
        .disk("Ref:1", &raw)
        .end();
    assert_only!(bytes, Finding::MetadataUnreadable { .. }, Severity::Damage);

    let cut = &whole.bytes[..whole.bytes.len() - UNIT];
    let report = check(cut);
    assert!(
        matches!(
            report.findings[..],
            [.., Finding::Truncated { .. }, Finding::DiskShort { .. }]
                | [.., Finding::DiskShort { .. }, Finding::Truncated { .. }]
        ),
        "{:?}",
        texts(&report)
    );

    for nothing in [&b""[..], b"conectix and more", &[7; 3000]] {
        assert!(!check(nothing).is_sound());
    }
}

#[test]
fn damaged_compression() {
    let raw = noise(299_008, 1);
    let bytes = Builder::xapi()
        .entry("ova.xml", ova(&[("Ref:1", raw.len())]).as_bytes())
        .disk("Ref:1", &raw)
        .end();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    io::Write::write_all(&mut gzip, &bytes).unwrap();
    let gzip = gzip.finish().unwrap();
    assert!(check(&gzip).is_sound());
    let mut damaged = gzip.clone();
    let len = damaged.len();
    damaged[len - 5] ^= 1;
    assert_only!(damaged, Finding::Compression { .. }, Severity::Damage);
    assert_only!(gzip[..len - 4], Finding::CompressionCutOff { .. }, Severity::Damage);
}

#[test]
fn old_layouts() {
    let raw = sparse(3, 512, &[0, 2, 3]);
    let table = |builder: &Builder| {
        let members: String = builder
            .table
            .iter()
            .map(|(name, sum)| format!("<member><name>{name}</name><value>{sum}</value></member>"))
            .collect();
        format!("<value><struct>{members}</struct></value>")
    };
    for (export_vsn, hash) in [(None, Hash::None), (Some(0), Hash::None), (Some(1), Hash::Sha1)] {
        let text = ova_of_version(export_vsn, &[("Ref:1", raw.len())]);
        let builder = Builder::new(Flavour::V7, hash)
            .entry("ova.xml", text.as_bytes())
            .disk("Ref:1", &raw);
        let sums = table(&builder);
        let bytes = builder.clone().entry("checksum.xml", sums.as_bytes()).end();
        let report = check(&bytes);
        assert!(report.is_sound(), "{:?}", texts(&report));
        assert_eq!(report.disks[0].verified, 3, "{export_vsn:?}");
        let mut changed = bytes.clone();
        let at = 512 + text.len().next_multiple_of(512) + 512 + 100;
        changed[at] ^= 1;
        let report = check(&changed);
        assert_found(&report, at as u64, "old");
        assert_eq!(report.disks[0].damaged, 1);
    }
}

#[test]
fn metadata_that_makes_no_sense() {
    let raw = sparse(2, 0, &[0, 1]);
    let genuine = ova(&[("Ref:1", raw.len())]);
    for (from, to) in [
        ("<boolean>1", "<boolean>7"),
        ("<boolean>1</boolean>", "<boolean>1</boolean><boo></boo>"),
        ("Ref:901</value>", "Ref:902</value>"),
        (">Disk<", ">Desk<"),
        (">RW<", ">R <"),
        (">SR<", ">SS<"),
        ("a &amp; b", "a &#7; b"),
    ] {
        assert!(genuine.contains(from), "{from}");
        let bytes = Builder::xapi()
            .entry("ova.xml", genuine.replacen(from, to, 1).as_bytes())
            .disk("Ref:1", &raw)
            .end();
        let report = check(&bytes);
        let odd = |finding: &Finding| {
            matches!(
                finding,
                Finding::MetadataOdd { .. } | Finding::MetadataUnreadable { .. } | Finding::DiskUnexpected { .. }
            )
        };
        assert!(report.findings.iter().any(odd), "{from}: {:?}", texts(&report));
    }
    let twice = genuine.replace("</data>", &(object("VDI", "Ref:8", &[("uuid", "x")]) + "</data>"));
    let bytes = Builder::xapi()
        .entry("ova.xml", twice.as_bytes())
        .disk("Ref:1", &raw)
        .end();
    let all = texts(&check(&bytes)).join("\n");
    assert!(
        all.contains("impossible value") && all.contains("not those of others"),
        "{all}"
    );
}

#[test]
fn findings_beyond_the_limit_are_counted() {
    let mut builder = one_disk(Hash::Xxhash, 50 * UNIT);
    for number in 0..50 {
        let start = builder.bytes.len();
        builder = builder.block("Ref:1", number, &noise(UNIT, number));
        builder.bytes[start + 700] ^= 1;
    }
    let report = Verifier::new().findings_limit(10).run(&builder.end()[..]).unwrap();
    assert_eq!((report.findings.len(), report.findings_left_out), (10, 40));
    assert!(!report.is_sound() && !report.would_import());
    let report = Verifier::new().findings_limit(0).run(&b""[..]).unwrap();
    assert!(!report.is_sound());
}

#[test]
fn a_failing_source_is_an_error() {
    struct Failing;
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("gone"))
        }
    }
    let bytes = two_disk_archive().end();
    let source = bytes[..5000].chain(Failing);
    assert!(matches!(archive(source), Err(xva::Error::Io { read: 5000, .. })));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_anywhere(
        at in any::<prop::sample::Index>(),
        replaced in 0..2000usize,
        by in prop::collection::vec(any::<u8>(), 0..2000),
    ) {
        let mut bytes = two_disk_archive().end();
        let at = at.index(bytes.len());
        let end = bytes.len().min(at + replaced);
        let same = bytes[at..end] == by;
        bytes.splice(at..end, by);
        let report = check(&bytes);
        prop_assert!(same || !report.findings.is_empty() || bytes.starts_with(b"ova.xml"));
    }
}
