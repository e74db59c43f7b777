//! Any byte of a disk, with few reads, and changes in place.

mod common;

use std::cell::{Cell, RefCell};
use std::io::{self, Cursor, ErrorKind, Read, Seek, SeekFrom, Write};
use std::ops::Range;

use common::{Builder, FLAVOURS, Flavour, Hash, UNIT, header, noise, ova, ova_of_version, read, sparse};
use proptest::prelude::*;
use xva::{Archive, Error, Index, Options, Patch, PatchError, ReadAt, Stretch, Verify};

/// Counts what is read.
struct Counted<S> {
    source: S,
    reads: Cell<u64>,
    bytes: Cell<u64>,
}

impl<S> Counted<S> {
    fn new(source: S) -> Self {
        Self {
            source,
            reads: Cell::new(0),
            bytes: Cell::new(0),
        }
    }

    /// How many reads there were since the last time, and how many bytes.
    fn take(&self) -> (u64, u64) {
        (self.reads.take(), self.bytes.take())
    }
}

impl<S: ReadAt> ReadAt for Counted<S> {
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.reads.set(self.reads.get() + 1);
        self.bytes.set(self.bytes.get() + buf.len() as u64);
        self.source.read_exact_at(offset, buf)
    }

    fn size(&self) -> io::Result<u64> {
        self.source.size()
    }
}

/// Reads a whole disk in pieces of odd sizes, last piece first.
fn backwards(archive: &Archive<impl ReadAt>, id: &str) -> Vec<u8> {
    let disk = archive.disk(id).unwrap();
    let mut raw = vec![0xee; disk.size().unwrap() as usize];
    let mut end = raw.len();
    while end > 0 {
        let start = end.saturating_sub(777);
        disk.read(start as u64, &mut raw[start..end]).unwrap();
        end = start;
    }
    raw
}

/// The stretches of a disk, from its start.
fn stretches(archive: &Archive<impl ReadAt>, id: &str) -> Vec<Stretch> {
    let disk = archive.disk(id).unwrap();
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(stretch) = disk.stretch(at).unwrap() {
        assert!(stretch.offset <= at && stretch.end > at);
        at = stretch.end;
        found.push(stretch);
    }
    assert_eq!(at, disk.size().unwrap());
    assert_eq!(
        data(&disk),
        found
            .iter()
            .filter(|stretch| stretch.is_data())
            .map(|stretch| stretch.offset..stretch.end)
            .collect::<Vec<_>>()
    );
    found
}

/// Where a disk says that it holds data.
fn data(disk: &impl ReadAt) -> Vec<Range<u64>> {
    let next = |from: u64| disk.next_data(from).unwrap();
    std::iter::successors(next(0), |data| next(data.end)).collect()
}

#[test]
fn every_flavour_is_read_anywhere() {
    let (one, two) = (sparse(40, 100, &[0, 3, 4, 5, 20, 39]), sparse(9, 0, &[0, 8]));
    for flavour in FLAVOURS {
        for hash in [Hash::Xxhash, Hash::LowercaseXxhash, Hash::Sha1, Hash::None] {
            let bytes = Builder::new(flavour, hash)
                .entry(
                    "ova.xml",
                    ova(&[("Ref:1", one.len()), ("Ref:10", two.len())]).as_bytes(),
                )
                .disk("Ref:1", &one)
                .disk("Ref:10", &two)
                .end();
            let archive = Archive::open(bytes).unwrap();
            assert_eq!(backwards(&archive, "Ref:10"), two, "{flavour:?} {hash:?}");
            assert_eq!(backwards(&archive, "Ref:1"), one, "{flavour:?} {hash:?}");
            assert_eq!(archive.disks().unwrap(), ["Ref:1", "Ref:10"]);
        }
    }
}

#[test]
fn heartbeats_break_the_stride_but_not_the_reading() {
    let raw = sparse(12, 0, &[0, 1, 2, 5, 6, 7, 8, 11]);
    let unit = |i: usize| &raw[i * UNIT..][..UNIT];
    let bytes = Builder::xapi()
        .entry("ova.xml", ova(&[("Ref:3", raw.len())]).as_bytes())
        .block("Ref:3", 0, unit(0))
        .block("Ref:3", 1, b"")
        .block("Ref:3", 2, unit(1))
        .block("Ref:3", 3, unit(2))
        .block("Ref:3", 5, b"")
        .block("Ref:3", 7, unit(5))
        .block("Ref:3", 8, unit(6))
        .block("Ref:3", 9, unit(7))
        .block("Ref:3", 10, unit(8))
        .block("Ref:3", 11, b"")
        .block("Ref:3", 14, unit(11))
        .end();
    assert_eq!(read(&bytes[..]).unwrap(), [("Ref:3".to_owned(), raw.clone())]);
    let archive = Archive::open(bytes).unwrap();
    assert_eq!(backwards(&archive, "Ref:3"), raw);
    let data: u64 = stretches(&archive, "Ref:3")
        .iter()
        .filter(|stretch| stretch.is_data())
        .map(|stretch| stretch.end - stretch.offset)
        .sum();
    assert_eq!(data, 8 * UNIT as u64);
}

#[test]
fn an_archive_on_the_disk_of_an_archive_deceives_nobody() {
    let inner = sparse(30, 0, &(0..30).collect::<Vec<_>>());
    let inner = Builder::xapi()
        .entry("ova.xml", ova(&[("Ref:3", inner.len())]).as_bytes())
        .disk("Ref:3", &inner)
        .end();
    // It begins at every place in a block that a header can have.
    for shift in (0..UNIT).step_by(512) {
        let mut raw = noise(UNIT + shift, 7);
        raw.extend(&inner);
        raw.resize(raw.len().next_multiple_of(UNIT), 1);
        let bytes = Builder::xapi()
            .entry("ova.xml", ova(&[("Ref:3", raw.len())]).as_bytes())
            .disk("Ref:3", &raw)
            .end();
        let archive = Archive::open(bytes).unwrap();
        assert_eq!(backwards(&archive, "Ref:3"), raw, "{shift}");
    }
}

#[test]
fn what_is_damaged_is_not_given_out() {
    let raw = sparse(20, 0, &(0..20).collect::<Vec<_>>());
    let clean = Builder::xapi()
        .entry("ova.xml", ova(&[("Ref:1", raw.len())]).as_bytes())
        .disk("Ref:1", &raw)
        .end();
    let place = clean
        .windows(UNIT)
        .position(|bytes| bytes == &raw[7 * UNIT..8 * UNIT])
        .unwrap();
    let mut flipped = clean.clone();
    flipped[place + 100] ^= 1;
    let archive = Archive::open(&flipped).unwrap();
    let disk = archive.disk("Ref:1").unwrap();
    let mut sector = [0; 512];
    assert!(matches!(
        disk.read(7 * UNIT as u64 + 512, &mut sector),
        Err(Error::Checksum { number: 7, .. })
    ));
    disk.read(8 * UNIT as u64, &mut sector).unwrap();
    assert_eq!(sector, raw[8 * UNIT..][..512]);
    let lenient = Archive::open_with(&flipped, Options::new().verify(Verify::Report)).unwrap();
    lenient
        .disk("Ref:1")
        .unwrap()
        .read(7 * UNIT as u64, &mut sector)
        .unwrap();

    // The header of that block.
    let mut renamed = clean.clone();
    renamed[place - 512] ^= 1;
    let disk = Archive::open(&renamed).unwrap().disk("Ref:1").unwrap();
    assert!(disk.read(7 * UNIT as u64, &mut sector).is_err());

    let cut = &clean[..place + 50];
    let disk = Archive::open(cut).unwrap().disk("Ref:1").unwrap();
    disk.read(6 * UNIT as u64, &mut sector).unwrap();
    assert!(disk.read(7 * UNIT as u64, &mut sector).is_err());
    assert!(matches!(
        disk.read(raw.len() as u64, &mut sector),
        Err(Error::BeyondDisk { .. })
    ));
    let error = disk.read_exact_at(raw.len() as u64 - 1, &mut sector).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
}

/// The last block is never left out, so behind the last one that is there nothing is known to be zero.
#[test]
fn what_was_cut_off_is_no_hole() {
    let raw = sparse(20, 0, &[0, 1, 2, 3, 9, 19]);
    let build = |units: &[u64]| {
        let start = Builder::xapi().entry("ova.xml", ova(&[("Ref:1", raw.len())]).as_bytes());
        let block = |builder: Builder, &unit: &u64| builder.block("Ref:1", unit, &raw[unit as usize * UNIT..][..UNIT]);
        units.iter().fold(start, block)
    };
    let cut_off = build(&[0, 1, 2]).bytes;
    let without_the_last = build(&[0, 1, 2]).end();
    let inside_a_block = build(&[0, 1, 2, 3]).bytes[..cut_off.len() + 600].to_vec();
    let mut sector = [0; 512];
    for (bytes, known) in [(cut_off, 3), (without_the_last, 3), (inside_a_block, 4)] {
        let archive = Archive::open(&bytes).unwrap();
        let index: Index = archive.index().unwrap().to_string().parse().unwrap();
        for archive in [archive, Archive::open(&bytes).unwrap().with_index(&index).unwrap()] {
            let disk = archive.disk("Ref:1").unwrap();
            disk.read(2 * UNIT as u64, &mut sector).unwrap();
            assert_eq!(sector, raw[2 * UNIT..][..512]);
            let known = known * UNIT as u64;
            for at in [known, 12 * UNIT as u64, raw.len() as u64 - 512] {
                let error = disk.read(at, &mut sector).unwrap_err();
                assert!(matches!(error, Error::DiskShort { end, .. } if end == known), "{error}");
            }
            assert!(disk.next_data(known).is_err() && disk.stretch(known).is_err());
        }
    }
}

#[test]
fn what_cannot_be_opened_says_why() {
    assert!(matches!(Archive::open(vec![]), Err(Error::NoMetadata)));
    let gzip = vec![0x1f, 0x8b, 8, 0, 0, 0];
    assert!(Archive::open(gzip).unwrap_err().to_string().contains("gzip"));
    assert!(matches!(Archive::open(noise(2000, 3)), Err(Error::NotTar { .. })));
    let other = Builder::xapi().entry("readme", b"text").end();
    assert!(matches!(Archive::open(other), Err(Error::NoMetadata)));
    let empty = Builder::xapi().entry("ova.xml", ova(&[]).as_bytes()).end();
    let error = Archive::open(empty).unwrap().disk("Ref:1").unwrap_err();
    assert_eq!(error.to_string(), "the archive has no disk Ref:1, only none at all");
}

/// A block that is longer than the whole archive has an index that is read again.
#[test]
fn an_index_of_an_archive_that_was_cut_off() {
    let mut bytes = Builder::xapi()
        .entry("ova.xml", ova(&[("Ref:1", 1 << 20)]).as_bytes())
        .bytes;
    bytes.extend(header("Ref:1/00000000", 1 << 20, 0, b""));
    bytes.extend([7; 512]);
    let archive = Archive::open(bytes).unwrap();
    assert!(archive.disk("Ref:1").unwrap().read(0, &mut [0; 512]).is_err());
    let index = archive.index().unwrap();
    assert_eq!(index.to_string().parse(), Ok(index));
}

#[test]
fn an_index_finds_everything_again_and_fits_no_other_archive() {
    let raw = sparse(60, 10, &[0, 1, 2, 3, 30, 31, 59]);
    let bytes = Builder::xapi()
        .entry("ova.xml", ova(&[("Ref:1", raw.len()), ("Ref:2", 3 * UNIT)]).as_bytes())
        .disk("Ref:1", &raw)
        .disk("Ref:2", &sparse(3, 0, &[1]))
        .end();
    let archive = Archive::open(&bytes).unwrap();
    assert_eq!(backwards(&archive, "Ref:1"), raw);
    let index = archive.index().unwrap();
    let text = index.to_string();
    assert_eq!(text.parse::<Index>().unwrap(), index);

    let counted = Counted::new(&bytes);
    let again = Archive::open(&counted).unwrap().with_index(&index).unwrap();
    let disk = again.disk("Ref:1").unwrap();
    counted.take();
    disk.read(31 * UNIT as u64, &mut [0; 512]).unwrap();
    assert_eq!(counted.take().0, 1, "the block itself");
    assert_eq!(backwards(&again, "Ref:1"), raw);

    let longer = [&bytes[..], &[0; 512]].concat();
    let error = Archive::open(longer).unwrap().with_index(&index).unwrap_err();
    assert!(matches!(error, Error::ForeignIndex { .. }), "{error}");
    for (line, wrong) in [
        (1, "index"),
        (2, "xva-index-1 9\nrun 1 2 3 4 5 6"),
        (2, "xva-index-1 9\ndisk x y"),
    ] {
        assert_eq!(wrong.parse::<Index>().unwrap_err().line, line);
    }
    // Right in form, wrong in its numbers: an error, and no wrong bytes.
    let (run, rest) = text
        .split_once("\nrun ")
        .map(|(head, rest)| (head.to_owned() + "\nrun 512", rest))
        .unwrap();
    let forged: Index = format!("{run}{rest}").parse().unwrap_or(index);
    if let Ok(archive) = Archive::open(&bytes).unwrap().with_index(&forged) {
        let mut sector = [0; 512];
        if archive.disk("Ref:1").unwrap().read(0, &mut sector).is_ok() {
            assert_eq!(sector, raw[..512]);
        }
    }
}

#[test]
fn a_change_in_place_keeps_the_archive_sound_and_can_be_taken_back() {
    let raw = sparse(20, 0, &[0, 1, 2, 3, 9, 19]);
    for (flavour, hash) in [(Flavour::V7, Hash::Xxhash), (Flavour::Pax, Hash::Sha1)] {
        let before = Builder::new(flavour, hash)
            .entry("ova.xml", ova(&[("Ref:1", raw.len())]).as_bytes())
            .disk("Ref:1", &raw)
            .end();
        let disk = Archive::open(&before).unwrap().disk("Ref:1").unwrap();
        // Over the border of two blocks, and what is there already is left out.
        let start = 2 * UNIT - 3;
        let mut new = raw[start..start + 6].to_vec();
        new[1] ^= 0xff;
        new[4] ^= 0xff;
        let patch = disk.patch(start as u64, &new).unwrap();
        assert_eq!(
            patch
                .changes()
                .iter()
                .map(|change| change.new.len())
                .filter(|&len| len == 1)
                .count(),
            2
        );
        assert_eq!(patch.changes().len(), 4);
        let patch: Patch = patch.to_string().parse().unwrap();

        let mut file = Cursor::new(before.clone());
        patch.apply(&mut file).unwrap();
        let mut expected = raw.clone();
        expected[start..start + 6].copy_from_slice(&new);
        assert_eq!(read(&file.get_ref()[..]).unwrap(), [("Ref:1".to_owned(), expected)]);
        patch.apply(&mut file).unwrap();
        let undo: Patch = patch.undo().to_string().parse().unwrap();
        undo.apply(&mut file).unwrap();
        assert!(*file.get_ref() == before, "bit for bit");
        assert!(disk.patch(start as u64, &raw[start..start + 6]).unwrap().is_empty());
    }
}

/// Fails in the middle of a write, once.
struct Torn {
    file: Cursor<Vec<u8>>,
    left: usize,
}

impl Read for Torn {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.file.read(buf)
    }
}

impl Seek for Torn {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

impl Write for Torn {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let some = self.left.min(buf.len());
        self.left -= some;
        match some {
            0 => Err(io::Error::other("gone")),
            some => self.file.write(&buf[..some]),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_write_that_broke_off_can_be_repeated_or_taken_back() {
    let raw = sparse(3, 0, &[0, 1, 2]);
    let before = Builder::xapi()
        .entry("ova.xml", ova(&[("Ref:1", raw.len())]).as_bytes())
        .disk("Ref:1", &raw)
        .end();
    let new: Vec<u8> = raw[UNIT..UNIT + 1000].iter().map(|byte| !byte).collect();
    let patch = Archive::open(&before).unwrap().disk("Ref:1").unwrap();
    let patch = patch.patch(UNIT as u64, &new).unwrap();
    for left in [1, 400, 1000, 1007] {
        let file = Cursor::new(before.clone());
        let mut torn = Torn { file, left };
        assert!(matches!(patch.apply(&mut torn), Err(PatchError::Io { .. })));
        let mut back = torn.file.clone();
        patch.undo().apply(&mut back).unwrap();
        assert!(back.into_inner() == before, "{left}");
        patch.apply(&mut torn.file).unwrap();
        assert_eq!(read(&torn.file.get_ref()[..]).unwrap()[0].1[UNIT..UNIT + 1000], new);
    }
}

#[test]
fn what_cannot_be_changed_in_place_is_refused() {
    let raw = sparse(20, 0, &[0, 1, 2, 3, 9, 19]);
    let build = |hash, version| {
        Builder::new(Flavour::V7, hash)
            .entry("ova.xml", ova_of_version(version, &[("Ref:1", raw.len())]).as_bytes())
            .disk("Ref:1", &raw)
            .end()
    };
    let bytes = build(Hash::Xxhash, Some(2));
    let disk = Archive::open(&bytes).unwrap().disk("Ref:1").unwrap();
    let absent = disk.patch(5 * UNIT as u64, b"new").unwrap_err();
    assert!(matches!(absent, Error::Absent { offset, .. } if offset == 5 * UNIT as u64));
    assert!(
        disk.patch(5 * UNIT as u64, &[0; 100]).unwrap().is_empty(),
        "zeros are there"
    );
    assert!(matches!(
        disk.patch(raw.len() as u64, b"x"),
        Err(Error::BeyondDisk { .. })
    ));
    let old = build(Hash::None, None);
    let error = Archive::open(old)
        .unwrap()
        .disk("Ref:1")
        .unwrap()
        .patch(0, b"x")
        .unwrap_err();
    assert!(matches!(error, Error::ChecksumElsewhere { .. }), "{error}");

    let place = bytes.windows(UNIT).position(|bytes| bytes == &raw[..UNIT]).unwrap();
    let mut damaged = bytes.clone();
    damaged[place] ^= 1;
    let lenient = Archive::open_with(&damaged, Options::new().verify(Verify::Report)).unwrap();
    let error = lenient.disk("Ref:1").unwrap().patch(10, b"x").unwrap_err();
    assert!(
        matches!(error, Error::Checksum { .. }),
        "a new checksum would hide the damage"
    );

    let patch = disk.patch(0, b"changed").unwrap();
    let mut other = Cursor::new(damaged.clone());
    assert!(matches!(patch.apply(&mut other), Err(PatchError::Differs { .. })));
    assert!(*other.get_ref() == damaged, "nothing was written");
    let mut shorter = Cursor::new(bytes[..bytes.len() - 512].to_vec());
    assert!(matches!(
        patch.apply(&mut shorter),
        Err(PatchError::ForeignArchive { .. })
    ));
    for text in [
        "",
        "xva-patch-1 5\n1 00",
        "xva-patch-1 5\n1 00 0000",
        "xva-patch-1 5\n1 0g 00",
        "xva-patch-1 5\n1 +1 00",
    ] {
        assert!(text.parse::<Patch>().is_err(), "{text}");
    }
}

/// An archive of one disk with blocks of 1 MiB, of which only the numbers are real.
struct Made {
    ova: Vec<u8>,
    numbers: Vec<u64>,
    page: RefCell<Vec<u8>>,
}

const STRIDE: u64 = 512 + (1 << 20) + 1024;

impl Made {
    fn new(blocks: u64, numbers: Vec<u64>) -> Self {
        Self {
            ova: Builder::xapi()
                .entry("ova.xml", ova(&[("Ref:1", (blocks << 20) as usize)]).as_bytes())
                .bytes,
            numbers,
            page: RefCell::default(),
        }
    }

    fn sector(&self, position: u64) -> [u8; 512] {
        let Some(inside) = position.checked_sub(self.ova.len() as u64) else {
            return self.ova[position as usize..][..512].try_into().unwrap();
        };
        let Some(&number) = self.numbers.get((inside / STRIDE) as usize) else {
            return [0; 512];
        };
        let name = format!("Ref:1/{number:08}");
        match inside % STRIDE {
            0 => header(&name, 1 << 20, 0, b""),
            at if at == STRIDE - 1024 => header(&format!("{name}.xxhash"), 16, 0, b""),
            _ => [0; 512],
        }
    }
}

impl ReadAt for Made {
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let mut page = self.page.borrow_mut();
        page.clear();
        let mut at = offset / 512 * 512;
        while at < offset + buf.len() as u64 {
            page.extend(self.sector(at));
            at += 512;
        }
        buf.copy_from_slice(&page[(offset % 512) as usize..][..buf.len()]);
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.ova.len() as u64 + self.numbers.len() as u64 * STRIDE + 1024)
    }
}

/// The most reads and bytes that it takes to find one block after opening, out of many places.
fn cost(blocks: u64, numbers: &[u64]) -> (u64, u64) {
    let mut most = (0, 0);
    for place in [0, 1, blocks / 3, blocks / 2, blocks - blocks / 7, blocks - 1] {
        let made = Counted::new(Made::new(blocks, numbers.to_vec()));
        let options = Options::new().verify(Verify::Off);
        let disk = Archive::open_with(&made, options).unwrap().disk("Ref:1").unwrap();
        disk.read(place << 20, &mut [0; 512]).unwrap();
        let (reads, bytes) = made.take();
        most = (most.0.max(reads), most.1.max(bytes));
    }
    most
}

#[test]
fn finding_a_block_takes_few_reads_however_large_the_archive() {
    for blocks in [1_000, 10_000, 100_000] {
        let (reads, bytes) = cost(blocks, &(0..blocks).collect::<Vec<_>>());
        assert!(
            reads <= 12 && bytes < 16 << 10,
            "{blocks} full blocks: {reads} reads of {bytes} bytes"
        );
        // Two thirds are left out, at random places.
        let scattered: Vec<_> = (0..blocks)
            .filter(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 62 == 0 || *n == 0 || n + 1 == blocks)
            .collect();
        let (reads, bytes) = cost(blocks, &scattered);
        let logarithm = u64::from(blocks.ilog2());
        assert!(
            reads <= 12 + 4 * logarithm && bytes < 64 << 10,
            "{blocks} blocks with holes: {reads} reads of {bytes} bytes"
        );
    }
}

/// Empty blocks take numbers but no place on the disk. As many as are as long as full ones look like a part of their run.
#[test]
fn empty_blocks_as_long_as_full_ones_are_no_part_of_a_run() {
    let (full, empty) = (512 + UNIT.next_multiple_of(512) + 1024, 512 + 1024);
    let empties = (1usize..).find(|count| (count * empty).is_multiple_of(full)).unwrap();
    let places = [0, 5, 6, 9, 10, 39];
    let raw = sparse(40, 0, &places);
    let mut builder = Builder::xapi().entry("ova.xml", ova(&[("Ref:1", raw.len())]).as_bytes());
    for place in places {
        let before = if place > 9 { empties } else { 0 };
        if place == 10 {
            builder = (10..10 + empties).fold(builder, |builder, empty| builder.block("Ref:1", empty as u64, b""));
        }
        builder = builder.block("Ref:1", (place + before) as u64, &raw[place * UNIT..][..UNIT]);
    }
    let archive = Archive::open(builder.end()).unwrap();
    assert_eq!(backwards(&archive, "Ref:1"), raw);
}

proptest! {
    #[test]
    fn any_disk_is_read_as_the_reader_reads_it(
        filled in proptest::collection::vec(any::<bool>(), 1..60),
        tail in prop_oneof![Just(0_usize), 1..UNIT],
        beats in proptest::collection::vec(any::<bool>(), 60),
    ) {
        let units = filled.len();
        let places: Vec<_> = (0..units).filter(|&unit| filled[unit]).collect();
        let raw = sparse(units, tail, &places);
        let last = raw.chunks(UNIT).count() - 1;
        let mut builder = Builder::xapi().entry("ova.xml", ova(&[("Ref:1", raw.len()), ("Ref:2", UNIT)]).as_bytes());
        let mut number = 0;
        for (unit, data) in raw.chunks(UNIT).enumerate() {
            let needed = unit == 0 || unit == last;
            if beats[unit % 60] && !needed {
                builder = builder.block("Ref:1", number, b"");
                number += 1;
            }
            if needed || data.iter().any(|&byte| byte != 0) {
                builder = builder.block("Ref:1", number, data);
            }
            number += 1;
        }
        let bytes = builder.disk("Ref:2", &noise(UNIT, 5)).end();
        let expected = read(&bytes[..]).unwrap();
        prop_assert_eq!(&expected[0].1, &raw);
        let archive = Archive::open(bytes).unwrap();
        prop_assert_eq!(backwards(&archive, "Ref:2"), noise(UNIT, 5));
        prop_assert_eq!(backwards(&archive, "Ref:1"), raw);
        stretches(&archive, "Ref:1");
    }

    #[test]
    fn damage_anywhere_gives_no_wrong_byte_and_no_panic(place in any::<prop::sample::Index>(), value in any::<u8>()) {
        let raw = sparse(12, 30, &[0, 1, 2, 3, 7, 8]);
        let mut bytes = Builder::xapi()
            .entry("ova.xml", ova(&[("Ref:1", raw.len())]).as_bytes())
            .disk("Ref:1", &raw)
            .end();
        let place = place.index(bytes.len());
        bytes[place] = value;
        let Ok(archive) = Archive::open(bytes) else { return Ok(()) };
        let Ok(disk) = archive.disk("Ref:1") else { return Ok(()) };
        let mut sector = [0; 64];
        for at in (0..raw.len() - 64).step_by(500) {
            // A changed size or name in the metadata, and a hole in place of a block whose header is damaged, show as
            // zeros; nothing else may differ.
            if disk.read(at as u64, &mut sector).is_ok() {
                prop_assert!(sector[..] == raw[at..at + 64] || sector.iter().all(|&byte| byte == 0) || place < 4096);
            }
        }
        if let Ok(index) = archive.index() {
            prop_assert_eq!(index.to_string().parse::<Index>(), Ok(index));
        }
    }
}
