//! What the formats of other programs and damaged files read as, and what a write changes.

use std::io::{self, Cursor, Read};

use vhd_mbr::Guid;
use vhd_mbr::vhd::{
    Creator, Error, Finding, Footer, FooterAt, Geometry, Grow, Header, Kind, Parent, Part, Problem, Repaired, Severity,
    Vhd, VhdStream, Writer, apply, changed_ranges, check, copy_to_raw, repair,
};
use vhd_mbr::xen_disk::{ReadAt, Window, WriteAt};

const MIB: usize = 1 << 20;
const BLOCK: usize = 2 * MIB;

fn sum(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(0_u32, |sum, &byte| sum.wrapping_add(byte.into()))
}

fn vhd(writer: Writer<&Vec<u8>>) -> Vec<u8> {
    let mut file = Vec::new();
    writer.plan().unwrap().write_to(&mut file).unwrap();
    file
}

fn dynamic(disk: &Vec<u8>) -> Vec<u8> {
    vhd(Writer::dynamic(disk))
}

fn read(disk: &impl ReadAt) -> Vec<u8> {
    let mut bytes = vec![0xee; disk.size().unwrap() as usize];
    disk.read_exact_at(0, &mut bytes).unwrap();
    bytes
}

fn vhd_error(error: io::Error) -> Error {
    *error.into_inner().unwrap().downcast().unwrap()
}

/// A disk of 5 MiB with something in its first and last block.
fn sample() -> Vec<u8> {
    let mut disk = vec![0; 5 * MIB];
    disk[..2000].fill(1);
    disk[5 * MIB - 700..].fill(2);
    disk
}

/// A VHD put together by hand, as other programs make them.
struct Built {
    footer: Footer,
    header: Header,
    batmap: Option<(u32, Vec<u8>)>,
    /// Number, sector, bitmap, data.
    blocks: Vec<(u32, u32, Vec<u8>, Vec<u8>)>,
    /// The length of the footer at the end.
    footer_len: usize,
}

impl Built {
    fn new(size: u64, block_size: u32, entries: u32) -> Self {
        let footer = Footer {
            features: 2,
            data_offset: 512,
            timestamp: 1,
            creator: Creator::TAP,
            creator_version: 0x0001_0003,
            creator_os: 0,
            original_size: size,
            current_size: size,
            geometry: Geometry::of_disk(size),
            kind: Kind::Dynamic,
            id: Guid::from_u128(7),
            saved_state: false,
            hidden: false,
        };
        let header = Header {
            table_offset: 2048,
            table_entries: entries,
            block_size,
            parent_id: Guid::NIL,
            parent_timestamp: 0,
            parent_name: String::new(),
            locators: Default::default(),
        };
        Self {
            footer,
            header,
            batmap: None,
            blocks: Vec::new(),
            footer_len: 512,
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut file = self.footer.to_bytes().to_vec();
        file.extend(self.header.to_bytes());
        file.resize(2048, 0);
        let mut table = vec![u32::MAX; self.header.table_entries as usize];
        for (number, sector, ..) in &self.blocks {
            table[*number as usize] = *sector;
        }
        file.extend(table.iter().flat_map(|entry| entry.to_be_bytes()));
        file.resize(file.len().next_multiple_of(512), 0xff);
        if let Some((version, map)) = &self.batmap {
            let mut header = b"tdbatmap".to_vec();
            header.extend((file.len() as u64 + 512).to_be_bytes());
            header.extend((map.len() as u32 / 512).to_be_bytes());
            header.extend(version.to_be_bytes());
            let signed = map.iter().map(|&byte| i32::from(byte as i8) as u32);
            let signed = !signed.fold(0, u32::wrapping_add);
            let checksum = if *version == 0x0001_0001 { signed } else { sum(map) };
            header.extend(checksum.to_be_bytes());
            header.resize(512, 0);
            file.extend(header);
            file.extend(map);
        }
        for (_, sector, bitmap, data) in &self.blocks {
            let at = *sector as usize * 512;
            let end = at + bitmap.len() + data.len();
            file.resize(file.len().max(end), 0xaa);
            file[at..at + bitmap.len()].copy_from_slice(bitmap);
            file[at + bitmap.len()..end].copy_from_slice(data);
        }
        file.extend(&self.footer.to_bytes()[..self.footer_len]);
        file
    }
}

/// A bitmap of one sector with these bytes at its start.
fn bitmap(start: &[u8]) -> Vec<u8> {
    let mut bitmap = start.to_vec();
    bitmap.resize(512, 0);
    bitmap
}

#[test]
fn a_disk_as_blktap_leaves_it_is_read() {
    // Blocks of 8 KiB with gaps between them, out of order, in a table made for a larger disk; the map says that
    // the last one is whole, and so its bitmap must not matter.
    let mut built = Built::new(3 * 8192 - 1024, 8192, 4096);
    let mut map = vec![0; 512];
    map[0] = 0b0010_0000;
    built.batmap = Some((0x0001_0002, map));
    built.blocks = vec![
        (2, 55, bitmap(&[]), vec![3; 8192]),
        (0, 79, bitmap(&[0b1000_0000, 0b0000_0001]), vec![1; 8192]),
    ];
    let file = built.bytes();
    let disk = Vhd::open(&file).unwrap();
    assert_eq!(disk.block_count(), Some((3, 2)));
    assert!(disk.batmap().unwrap().is_full(2));
    let mut expected = vec![0; 3 * 8192 - 1024];
    expected[..512].fill(1);
    expected[15 * 512..16 * 512].fill(1);
    expected[2 * 8192..].fill(3);
    assert!(read(&disk) == expected);
    assert_eq!(disk.next_present(0).unwrap(), Some(0..512));
    assert_eq!(disk.next_present(512).unwrap(), Some(15 * 512..16 * 512));
    assert_eq!(disk.next_present(16 * 512).unwrap(), Some(2 * 8192..3 * 8192 - 1024));
    assert_eq!(disk.next_data(3 * 8192 - 1024).unwrap(), None);
    assert!(disk.read_exact_at(3 * 8192 - 1024, &mut [0]).is_err());
    let findings = check(&file).unwrap().findings;
    assert_eq!(findings, [Finding::BatmapWrong { block: 2 }]);
    // As a stream, the batmap is not looked at.
    let mut stream = VhdStream::open(file.as_slice()).unwrap();
    let run = stream.next_run().unwrap().unwrap();
    assert_eq!((run.offset, run.data), (0, [1; 512].as_slice()));
}

#[test]
fn a_batmap_of_the_first_version_is_summed_up_with_signs() {
    let mut built = Built::new(8192, 8192, 1);
    built.batmap = Some((0x0001_0001, vec![0xff; 512]));
    built.blocks = vec![(0, 15, bitmap(&[0xff, 0xff]), vec![3; 8192])];
    let mut file = built.bytes();
    assert!(Vhd::open(&file).unwrap().batmap().is_some_and(|map| map.is_full(0)));
    assert_eq!(check(&file).unwrap().findings, []);
    // A damaged one is left aside.
    let at = file.windows(8).position(|text| text == b"tdbatmap").unwrap();
    file[at + 512] ^= 1;
    let disk = Vhd::open(&file).unwrap();
    assert_eq!(disk.batmap(), None);
    assert!(read(&disk) == [3; 8192]);
    assert!(matches!(
        check(&file).unwrap().findings[..],
        [Finding::Batmap(Problem::Checksum { .. })]
    ));
}

#[test]
fn version_0_1_has_its_bits_the_other_way_round() {
    let mut built = Built::new(8192, 8192, 1);
    built.footer.creator_version = 1;
    built.blocks = vec![(0, 15, bitmap(&[0b0000_0010]), vec![3; 8192])];
    let mut file = built.bytes();
    assert_eq!(Vhd::open(&file).unwrap().next_present(0).unwrap(), Some(512..1024));
    let mut disk = Vhd::open(&mut file).unwrap().allocating().unwrap();
    disk.write_all_at(1024, &[9]).unwrap();
    assert_eq!(file[15 * 512], 0b0000_0110);
    // Early programs did not sum up again after they had hidden the disk.
    let at = file.len() - 512;
    file[at + 85] = 1;
    let disk = Vhd::open(&file).unwrap();
    assert_eq!(disk.footer_at(), FooterAt::End { offset: at as u64 });
    assert!(disk.footer().hidden);
}

#[test]
fn a_footer_of_511_bytes_will_do() {
    let mut built = Built::new(8192, 8192, 1);
    built.footer_len = 511;
    built.blocks = vec![(0, 15, bitmap(&[0xff, 0xff]), vec![3; 8192])];
    let file = built.bytes();
    let disk = Vhd::open(&file).unwrap();
    assert!(matches!(disk.footer_at(), FooterAt::End { .. }));
    assert!(read(&disk) == [3; 8192]);
    assert_eq!(check(&file).unwrap().findings, [Finding::ShortFooter]);
    let mut raw = Cursor::new(Vec::new());
    VhdStream::open(file.as_slice()).unwrap().copy_to(&mut raw).unwrap();
    assert!(raw.into_inner() == [3; 8192]);
}

#[test]
fn a_damaged_footer_is_replaced_by_its_copy() {
    let whole = dynamic(&sample());
    let end = whole.len() - 512;
    for damage in [end..end + 8, end + 40..end + 48] {
        let mut file = whole.clone();
        file[damage].fill(0xff);
        let disk = Vhd::open(&file).unwrap();
        assert!(matches!(disk.footer_at(), FooterAt::Start { .. }));
        assert!(read(&disk) == sample());
        let refused = Vhd::open(&mut file.clone()).unwrap().allocating().unwrap_err();
        assert!(matches!(refused, Error::CannotGrow { .. }));
        assert_eq!(check(&file).unwrap().severity(), Some(Severity::Warning));
        assert_eq!(repair(&mut file).unwrap(), Repaired::Footer { offset: end as u64 });
        assert!(file == whole);
        assert_eq!(repair(&mut file).unwrap(), Repaired::Nothing);
    }
    let mut file = whole.clone();
    file[3] = 0;
    assert!(matches!(
        check(&file).unwrap().findings[..],
        [Finding::FooterCopy(Problem::Cookie { .. })]
    ));
    assert_eq!(repair(&mut file).unwrap(), Repaired::Copy);
    assert!(file == whole);

    file[end..end + 8].copy_from_slice(b"v_poison");
    let disabled = |result: Result<(), Error>| {
        matches!(
            result,
            Err(Error::NoFooter {
                end: Problem::Disabled,
                ..
            })
        )
    };
    assert!(disabled(Vhd::open(&file).map(drop)));
    assert!(disabled(repair(&mut file).map(drop)));
    assert_eq!(check(&file).unwrap().severity(), Some(Severity::Damage));
}

#[test]
fn a_file_that_was_cut_off_gives_what_is_left() {
    let whole = dynamic(&sample());
    let mut file = whole[..whole.len() - 1000].to_vec();
    let disk = Vhd::open(&file).unwrap();
    assert!(read(&Window::new(&disk, 0, 4 << 20)) == sample()[..4 << 20]);
    let lost = disk.read_exact_at(5 * MIB as u64 - 1, &mut [0]);
    lost.expect("the disk's last byte is not the block's");
    let report = check(&file).unwrap();
    assert!(
        matches!(report.findings[1], Finding::BlockOutside { block: 2, .. }),
        "{report:?}"
    );
    assert!(matches!(repair(&mut file), Err(Error::BlockOutside { block: 2, .. })));

    let file = whole[..whole.len() - BLOCK].to_vec();
    let error = Vhd::open(&file)
        .unwrap()
        .read_exact_at(5 * MIB as u64 - 1, &mut [0])
        .unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    assert!(matches!(vhd_error(error), Error::BlockOutside { block: 2, .. }));

    for cut in [
        600,
        1800,
        3000,
        whole.len() - 512 - 700,
        whole.len() - 512,
        whole.len() - 2,
    ] {
        let copied = VhdStream::open(&whole[..cut]).and_then(|mut stream| stream.copy_to(&mut Cursor::new(Vec::new())));
        assert!(
            matches!(copied, Err(Error::Truncated { position, .. }) if position == cut as u64),
            "{cut}: {copied:?}"
        );
    }
    assert!(
        VhdStream::open(&whole[..whole.len() - 1])
            .unwrap()
            .copy_to(&mut Cursor::new(Vec::new()))
            .is_ok()
    );
}

#[test]
fn a_block_that_shares_its_bytes_is_never_written() {
    let image = vec![1; 4 << 20];
    for entry in [1, 2] {
        let mut file = Vec::new();
        Writer::dynamic(&image).plan().unwrap().write_to(&mut file).unwrap();
        let table = u64::from_be_bytes(file[512 + 16..512 + 24].try_into().unwrap()) as usize;
        // The second block is where the first one is, or where the header is.
        let first: [u8; 4] = file[table..table + 4].try_into().unwrap();
        let place = if entry == 1 { 1_u32.to_be_bytes() } else { first };
        file[table + 4..table + 8].copy_from_slice(&place);
        let before = file.clone();
        let written = Vhd::open(&mut file).unwrap().write_all_at(0, b"no");
        assert!(written.unwrap_err().to_string().contains("lies over another block"));
        assert!(matches!(
            Vhd::open(&mut file).unwrap().allocating(),
            Err(vhd_mbr::vhd::Error::Misplaced { block: 1, .. } | vhd_mbr::vhd::Error::Misplaced { block: 0, .. })
        ));
        assert!(file == before);
    }
}

#[test]
fn blocks_over_each_other_and_over_the_tables_are_found() {
    let mut built = Built::new(4 * 8192, 8192, 4);
    built.blocks = vec![
        (0, 15, bitmap(&[0xff, 0xff]), vec![1; 8192]),
        (1, 20, bitmap(&[0xff, 0xff]), vec![2; 8192]),
    ];
    let mut file = built.bytes();
    let set = |file: &mut Vec<u8>, block: usize, entry: u32| {
        file[2048 + 4 * block..][..4].copy_from_slice(&entry.to_be_bytes());
    };
    set(&mut file, 2, 1);
    set(&mut file, 3, 1 << 30);
    let report = check(&file).unwrap();
    assert!(!report.is_sound());
    assert_eq!(
        report.findings,
        [
            Finding::BlockOverTables { block: 2, offset: 512 },
            Finding::BlocksOverlap {
                first: 2,
                second: 0,
                offset: 15 * 512
            },
            Finding::BlocksOverlap {
                first: 0,
                second: 1,
                offset: 20 * 512
            },
            Finding::BlockOutside {
                block: 3,
                offset: 512 << 30,
                end: file.len() as u64 - 512
            },
        ]
    );
    assert!(Vhd::open(&mut file).unwrap().allocating().is_err());
    let backwards = VhdStream::open(file.as_slice()).and_then(|mut stream| stream.next_run().map(|_| ()));
    assert!(
        matches!(
            backwards,
            Err(Error::Backwards {
                part: Part::Block(2),
                ..
            })
        ),
        "{backwards:?}"
    );
}

#[test]
fn a_parent_can_be_anything_of_any_size() {
    let base = vec![7; 3 * MIB];
    let mut disk = base.clone();
    disk.resize(6 * MIB, 0);
    disk[MIB..MIB + 512].fill(9);
    let file = vhd(Writer::differencing(
        &disk,
        Parent::raw(),
        Some(MIB as u64..MIB as u64 + 1),
    ));
    let orphan = Vhd::open(&file).unwrap();
    assert_eq!(orphan.next_present(0).unwrap(), Some(MIB as u64..MIB as u64 + 512));
    assert!(matches!(
        vhd_error(orphan.read_exact_at(0, &mut [0]).unwrap_err()),
        Error::NoParent { .. }
    ));
    assert!(matches!(
        vhd_error(orphan.next_data(0).unwrap_err()),
        Error::NoParent { .. }
    ));
    orphan.read_exact_at(MIB as u64, &mut [0; 512]).unwrap();
    let orphan = orphan.with_parent_vhd(Vhd::open(dynamic(&base)).unwrap());
    assert!(matches!(orphan, Err(Error::WrongParent { .. })));

    let chain = Vhd::open(&file).unwrap().with_parent(&base);
    assert!(read(&chain) == disk);
    assert_eq!(chain.next_data(3 * MIB as u64).unwrap(), None);
    let boxed: Box<dyn ReadAt + Send + Sync> = Box::new(Vhd::open(dynamic(&base)).unwrap());
    assert!(read(&Vhd::open(&file).unwrap().with_parent(boxed)) == disk);
    // The parent is larger.
    let large = vec![5; 10 * MIB];
    let chain = Vhd::open(&file).unwrap().with_parent(&large);
    assert_eq!(chain.size().unwrap(), 6 * MIB as u64);
    assert_eq!(
        chain.next_data(4 * MIB as u64).unwrap().map(|data| data.end),
        Some(6 * MIB as u64)
    );
    let mut small = vec![0; 5 * MIB];
    let refused = apply(&Vhd::open(&file).unwrap(), &mut small);
    assert!(matches!(refused, Err(Error::TargetTooSmall { .. })));
    let mut stream = VhdStream::open(file.as_slice()).unwrap();
    assert!(matches!(stream.apply_to(&mut small), Err(Error::TargetTooSmall { .. })));
    assert!(matches!(
        stream.copy_to(&mut Cursor::new(Vec::new())),
        Err(Error::NeedsBase { .. })
    ));
}

#[test]
fn a_difference_can_turn_data_into_zeros() {
    let base = vec![7; 4 * MIB];
    let mut disk = base.clone();
    disk[MIB..3 * MIB].fill(0);
    let changed = changed_ranges(&disk, &base, 4096).unwrap();
    assert_eq!(changed, vec![MIB as u64..3 * MIB as u64]);
    let file = vhd(Writer::differencing(&disk, Parent::raw(), changed));
    assert!(read(&Vhd::open(&file).unwrap().with_parent(&base)) == disk);
    let mut applied = base.clone();
    VhdStream::open(file.as_slice())
        .unwrap()
        .apply_to(&mut applied)
        .unwrap();
    assert!(applied == disk);
}

#[test]
fn writes_stay_inside_what_is_there() {
    let disk = sample();
    let mut file = dynamic(&disk);
    let before = file.clone();
    let mut opened = Vhd::open(&mut file).unwrap();
    opened.write_all_at(1000, b"hello").unwrap();
    let refused = opened.write_all_at(2 * MIB as u64 - 2, b"over the end");
    assert!(matches!(vhd_error(refused.unwrap_err()), Error::NotPresent { offset } if offset == BLOCK as u64));
    assert!(opened.write_all_at(5 * MIB as u64, b"x").is_err());
    let mut opened = opened.with_children(true);
    let refused = opened.write_all_at(1000, b"again").unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
    assert!(opened.allocating().unwrap().write_all_at(1000, b"again").is_err());
    assert_eq!(file.len(), before.len());
    let differing: Vec<_> = (0..file.len()).filter(|&at| file[at] != before[at]).collect();
    let at = before.windows(4).position(|bytes| bytes == [1; 4]).unwrap() + 1000;
    assert_eq!(differing, (at..at + 5).collect::<Vec<_>>());

    let fixed = vhd(Writer::fixed(&disk));
    let mut opened = Vhd::open(fixed).unwrap().allocating().unwrap();
    opened.write_all_at(3 * MIB as u64, b"hello").unwrap();
    assert_eq!(opened.into_disk().into_inner()[3 * MIB..][..5], *b"hello");
}

#[test]
fn the_batmap_follows_the_blocks() {
    let mut built = Built::new(3 * 8192, 8192, 3);
    let mut map = vec![0; 512];
    // Left behind by a program that has dropped block 2.
    map[0] = 0b0010_0000;
    built.batmap = Some((0x0001_0002, map));
    built.blocks = vec![(0, 15, bitmap(&[0xff, 0xfe]), vec![1; 8192])];
    let mut file = built.bytes();
    let mut disk = Vhd::open(&mut file).unwrap().allocating().unwrap();
    disk.write_all_at(2 * 8192 + 100, &[4; 10]).unwrap();
    disk.write_all_at(8191, &[5]).unwrap();
    disk.write_all_at(8192, &[0; 1000]).unwrap();
    let mut expected = vec![1; 3 * 8192];
    expected[15 * 512..].fill(0);
    expected[8191] = 5;
    expected[2 * 8192 + 100..][..10].fill(4);
    assert!(read(&disk) == expected);
    assert_eq!(disk.disk().block_count(), Some((3, 2)), "zeros take no block");
    let disk = Vhd::open(&file).unwrap();
    assert!(read(&disk) == expected);
    assert!(disk.batmap().unwrap().is_full(0) && !disk.batmap().unwrap().is_full(2));
    assert_eq!(check(&file).unwrap().findings, []);
}

#[test]
fn a_block_added_to_a_difference_keeps_the_parent_around_it() {
    let base = vec![7; 5 * MIB];
    let none: [std::ops::Range<u64>; 0] = [];
    let mut file = vhd(Writer::differencing(&base, Parent::raw(), none));
    let mut disk = Vhd::open(&mut file).unwrap().with_parent(&base).allocating().unwrap();
    let mut expected = base.clone();
    for (offset, len) in [(700, 10), (2 * MIB - 3, 1000), (5 * MIB - 1, 1), (0, 512), (701, 2)] {
        disk.write_all_at(offset as u64, &vec![9; len]).unwrap();
        expected[offset..offset + len].fill(9);
    }
    disk.write_all_at(3 * MIB as u64, &[0; 512]).unwrap();
    expected[3 * MIB..][..512].fill(0);
    assert!(read(&disk) == expected);
    let disk = Vhd::open(&file).unwrap();
    assert_eq!(disk.next_present(0).unwrap(), Some(0..1024));
    assert!(read(&disk.with_parent(&base)) == expected);
    assert_eq!(
        check(&file).unwrap().severity(),
        Some(Severity::Note),
        "it does not say where its parent is"
    );
}

/// A file of which only the first writes last.
struct Failing {
    bytes: Vec<u8>,
    writes: usize,
}

impl ReadAt for Failing {
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.bytes.read_exact_at(offset, buf)
    }

    fn size(&self) -> io::Result<u64> {
        self.bytes.size()
    }
}

impl WriteAt for Failing {
    fn write_all_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.writes = self.writes.checked_sub(1).ok_or(io::ErrorKind::StorageFull)?;
        self.bytes.write_all_at(offset, bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Grow for Failing {
    fn set_size(&mut self, size: u64) -> io::Result<()> {
        self.bytes.set_size(size)
    }
}

#[test]
fn whenever_writing_stops_the_disk_is_whole() {
    let mut built = Built::new(3 * 8192, 8192, 3);
    built.batmap = Some((0x0001_0002, vec![0; 512]));
    built.blocks = vec![(0, 15, bitmap(&[0xff, 0xff]), vec![1; 8192])];
    let mut before = vec![0; 3 * 8192];
    before[..8192].fill(1);
    let mut after = before.clone();
    after[8192..].fill(2);
    for writes in 0.. {
        let bytes = built.bytes();
        let mut disk = Vhd::open(Failing { bytes, writes }).unwrap().allocating().unwrap();
        let done = disk.write_all_at(8192, &[2; 2 * 8192]).is_ok();
        let mut file = disk.into_disk().into_inner().bytes;
        repair(&mut file).unwrap();
        let disk = Vhd::open(&file).unwrap();
        let report = check(&file).unwrap();
        assert!(report.is_sound(), "after {writes} writes: {report:?}");
        let now = read(&disk);
        for (block, bytes) in now.chunks(8192).enumerate() {
            let at = block * 8192..(block + 1) * 8192;
            assert!(
                bytes == &before[at.clone()] || bytes == &after[at],
                "after {writes} writes: block {block}"
            );
        }
        if done {
            assert!(now == after);
            assert!(writes > 8);
            break;
        }
    }
}

#[test]
fn the_length_is_known_before_the_first_byte() {
    let disk = sample();
    for writer in [
        Writer::dynamic(&disk),
        Writer::fixed(&disk),
        Writer::differencing(&disk, Parent::raw().path("a/b.vhd"), Some(0..1)),
    ] {
        let plan = writer.plan().unwrap();
        let size = plan.size();
        let mut with_holes = Cursor::new(Vec::new());
        assert_eq!(plan.write_with_holes(&mut with_holes).unwrap(), size);
        let mut reader = plan.into_reader();
        let mut file = Vec::new();
        reader.read_to_end(&mut file).unwrap();
        assert_eq!((file.len() as u64, reader.remaining()), (size, 0));
        assert!(with_holes.into_inner() == file);
    }
    let huge = Window::new(&disk, 0, (2040 << 30) + 1);
    assert!(matches!(Writer::dynamic(huge).plan(), Err(Error::TooLarge { .. })));
}

#[test]
fn a_disk_that_ends_in_the_middle_of_a_sector_is_rounded_up() {
    let disk = vec![3; 1001];
    for writer in [Writer::dynamic(&disk), Writer::fixed(&disk)] {
        let file = vhd(writer);
        let mut expected = disk.clone();
        expected.resize(1024, 0);
        assert!(read(&Vhd::open(&file).unwrap()) == expected);
    }
    let empty = Vec::new();
    let file = dynamic(&empty);
    assert_eq!(Vhd::open(&file).unwrap().next_data(0).unwrap(), None);
    assert_eq!(
        copy_to_raw(&Vhd::open(&file).unwrap(), &mut Cursor::new(Vec::new())).unwrap(),
        0
    );
}

#[test]
fn exports_of_xapi_are_read_as_they_arrive() {
    // Laid out as vhd_format does it: a zeroed sector where a path should be, the parent's name in the header alone.
    let disk = sample();
    let mut file = vhd(Writer::differencing(
        &disk,
        Parent::raw(),
        [0..BLOCK as u64, 2 * BLOCK as u64..5 * MIB as u64],
    ));
    let mut header = Header::parse(&file[512..]).unwrap();
    header.parent_id = Guid::from_u128(99);
    header.parent_name = "/var/run/sr-mount/x/base.vhd".into();
    header.locators[0] = vhd_mbr::vhd::Locator {
        platform: vhd_mbr::vhd::Platform::FILE_URL,
        space: 512,
        len: 30,
        offset: 0,
    };
    file[512..1536].copy_from_slice(&header.to_bytes());
    let opened = Vhd::open(&file).unwrap();
    assert_eq!(opened.parent_id(), Guid::from_u128(99));
    assert!(
        opened
            .parent_paths()
            .unwrap()
            .contains(&"/var/run/sr-mount/x/base.vhd".to_owned())
    );
    let mut applied = vec![8; 5 * MIB];
    let mut stream = VhdStream::open(file.as_slice()).unwrap();
    assert_eq!(stream.apply_to(&mut applied).unwrap(), 3 * MIB as u64);
    assert_eq!(stream.position(), file.len() as u64);
    assert!(applied[..BLOCK] == disk[..BLOCK] && applied[2 * BLOCK..] == disk[2 * BLOCK..]);
    assert!(applied[BLOCK..2 * BLOCK].iter().all(|&byte| byte == 8));
}

#[test]
fn other_files_are_told_apart() {
    let refused = Vhd::open(vec![0; 100]).unwrap_err();
    assert!(matches!(
        refused,
        Error::NoFooter {
            end: Problem::Missing,
            ..
        }
    ));
    let refused = Vhd::open(vec![b'Q'; 4096]).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "no VHD: at the end of the file, it starts with \"QQQQQQQQ\" instead of its mark; at its start, it starts with \
         \"QQQQQQQQ\" instead of its mark"
    );
    let fixed = vhd(Writer::fixed(&sample()));
    assert!(matches!(
        VhdStream::open(fixed.as_slice()),
        Err(Error::NotStreamable(_))
    ));
    // A fixed disk that holds a VHD is a fixed disk.
    let inner = dynamic(&sample());
    let outer = vhd(Writer::fixed(&inner));
    assert!(read(&Vhd::open(&outer).unwrap()) == inner);
}
