//! Changes planned, applied and undone, on disks in memory that obey or fail.

use std::io;

use proptest::collection::vec;
use proptest::prelude::*;
use vhd_mbr::layout::{Extent, Layout, Obstacle, Place};
use vhd_mbr::patch::{ApplyError, Change, OnDisk, Overlay, Padding, Refused, Restored, Undo, UndoError, WritePlan};
use xen_disk::{ReadAt, WriteAt};

fn data(file: std::ops::Range<u64>, offset: u64) -> Extent {
    Extent::new(file, Place::Data { offset })
}

/// A disk that counts in its bytes, and a volume on it that holds a file in two parts.
fn scene() -> (Vec<u8>, OnDisk, Layout) {
    let disk: Vec<u8> = (0..10_000u32).map(|at| (at % 251) as u8).collect();
    let layout = Layout::new(300, vec![data(0..100, 3000), data(100..300, 1000)]);
    (disk, OnDisk::from(2000..9000), layout)
}

fn plan(changes: &[Change]) -> Result<WritePlan, Refused> {
    let (disk, volume, layout) = scene();
    WritePlan::for_file(&disk, &volume, &layout, changes)
}

#[test]
fn a_plan_has_the_bytes_that_differ_and_shows_them() {
    let (disk, ..) = scene();
    let mut new = vec![0xff; 4];
    new[1] = disk[5099];
    let plan = plan(&[Change::write(98, new)]).unwrap();
    assert_eq!(
        plan.to_string(),
        "3 bytes in 2 places of the disk\nbytes 3000 to 3001 (2): ef f0 -> ff ff\nbyte 5098: 4e -> ff\n"
    );
    assert_eq!(
        (plan.disk_size(), plan.changed_bytes(), plan.edits().len()),
        (10_000, 3, 2)
    );
    let long = super_long();
    assert!(long.to_string().contains("(100): "), "{long}");
    assert!(long.to_string().lines().all(|line| line.len() < 140), "{long}");
}

fn super_long() -> WritePlan {
    plan(&[Change::write(0, vec![0xff; 100])]).unwrap()
}

#[test]
fn very_many_small_changes_become_fewer() {
    let disk = vec![0; 4 << 20];
    let layout = Layout::new(4 << 20, vec![data(0..4 << 20, 0)]);
    let new: Vec<u8> = (0..4 << 20).map(|at| (at % 2) as u8).collect();
    let plan = WritePlan::for_file(
        &disk,
        &OnDisk::from(0..4 << 20),
        &layout,
        &[Change::write(0, new.clone())],
    )
    .unwrap();
    assert!(plan.edits().len() < 5000, "{}", plan.edits().len());
    let mut changed = disk.clone();
    plan.apply(&mut changed).unwrap();
    assert!(changed == new);
    plan.undo().apply(&mut changed).unwrap();
    assert!(changed == disk);
}

#[test]
fn what_is_there_already_is_no_change() {
    let (disk, ..) = scene();
    let plan = plan(&[Change::write(10, &disk[5010..5030]), Change::write(0, "")]).unwrap();
    assert!(plan.is_empty());
    assert_eq!(plan.to_string(), "0 bytes in 0 places of the disk\n");
}

#[test]
fn the_rest_of_a_file_is_filled_up() {
    for (padding, byte) in [(Padding::Newlines, b'\n'), (Padding::Spaces, b' '), (Padding::Zeros, 0)] {
        let (mut disk, volume, layout) = scene();
        let change = Change::replace("set timeout=1\n", padding);
        WritePlan::for_file(&disk, &volume, &layout, &[change])
            .unwrap()
            .apply(&mut disk)
            .unwrap();
        let file = [&disk[5000..5100], &disk[3000..3200]].concat();
        assert!(file.starts_with(b"set timeout=1\n"));
        assert!(file[14..].iter().all(|&found| found == byte));
    }
    let exact = plan(&[Change::replace(vec![1; 299], Padding::Exact)]).unwrap_err();
    assert!(matches!(exact, Refused::Shorter { size: 300, len: 299 }), "{exact}");
    plan(&[Change::replace(vec![1; 300], Padding::Exact)]).unwrap();
    let larger = plan(&[Change::replace(vec![1; 301], Padding::Zeros)]).unwrap_err();
    assert!(matches!(larger, Refused::BeyondEnd { size: 300, end: 301 }), "{larger}");
}

#[test]
fn each_reason_to_refuse_is_told() {
    let (disk, volume, mut layout) = scene();
    layout.extents[1] = Extent::new(100..300, Place::Hole);
    let refused = |layout: &Layout, change: Change| {
        WritePlan::for_file(&disk, &volume, layout, &[change])
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        refused(&layout, Change::write(90, [1; 20])),
        "not changed: bytes 100 to 110 of the file are in a hole"
    );
    layout.extents[1] = Extent::new(100..300, Place::Unwritten { offset: 0 });
    assert!(refused(&layout, Change::write(290, [1; 10])).contains("290 to 300 of the file are reserved"));
    layout.extents[1] = Extent::new(100..300, Place::Encoded { offset: 0 });
    assert!(refused(&layout, Change::write(100, [1])).contains("compressed or encrypted"));
    layout.extents[1] = data(100..300, 6900);
    assert!(refused(&layout, Change::write(199, [1, 2])).contains("not on the disk"));
    layout.extents[1] = data(100..300, u64::MAX - 3);
    assert!(refused(&layout, Change::write(100, [1; 200])).contains("not on the disk"));
    layout.extents.truncate(1);
    assert!(refused(&layout, Change::write(100, [1])).contains("not on the disk"));
    assert!(refused(&layout, Change::write(u64::MAX, [1])).contains("cannot grow"));
    assert_eq!(
        refused(&layout, Change::write(10, [1, 2]).expecting([disk[5010], 0])),
        "not changed: byte 11 of the file (byte 5011 of the disk) is not what was expected"
    );
    layout.obstacles = vec![Obstacle::JournalNotEmpty, Obstacle::Shared];
    assert_eq!(
        refused(&layout, Change::write(0, [1])),
        "not changed: the journal has changes that are not written yet; blocks of the file are shared with other files"
    );
    let twice = plan(&[Change::write(0, [0; 10]), Change::write(9, [1])]).unwrap_err();
    assert!(matches!(twice, Refused::Twice(5009)), "{twice}");
    let volume_beyond = WritePlan::for_file(&disk, &OnDisk::from(9000..20_000), &scene().2, &[Change::write(0, [1])]);
    assert!(matches!(volume_beyond, Err(Refused::OutsideDisk(_))));
}

#[test]
fn a_volume_in_several_places_is_put_together() {
    let (mut disk, _, layout) = scene();
    let volume: OnDisk = [9000..10_000, 0..2050, 7000..9000].into_iter().collect();
    let plan = WritePlan::for_file(&disk, &volume, &layout, &[Change::write(0, vec![0xff; 300])]).unwrap();
    plan.apply(&mut disk).unwrap();
    // Byte 3000 of the volume is byte 2000 of its second part, which ends 50 bytes later.
    let ones = |range: std::ops::Range<usize>| disk[range].iter().all(|&byte| byte == 0xff);
    assert!(ones(2000..2050) && ones(7000..7050) && ones(0..200));
    assert_eq!(disk.iter().filter(|&&byte| byte == 0xff).count(), 300);
}

/// A disk that fails at one of its writes, and perhaps at all that follow.
struct Failing {
    bytes: Vec<u8>,
    writes: usize,
    fails_at: usize,
    recovers: bool,
    forgets: bool,
}

impl Failing {
    fn new(bytes: Vec<u8>, fails_at: usize, recovers: bool) -> Self {
        Self {
            bytes,
            writes: 0,
            fails_at,
            recovers,
            forgets: false,
        }
    }
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
        let number = self.writes;
        self.writes += 1;
        if number == self.fails_at || (number > self.fails_at && !self.recovers) {
            if self.forgets {
                return Ok(());
            }
            // As a disk may: some of it is there.
            self.bytes.write_all_at(offset, &bytes[..bytes.len() / 2])?;
            return Err(io::Error::other("no more"));
        }
        self.bytes.write_all_at(offset, bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn several() -> WritePlan {
    plan(&[
        Change::write(0, [0xff; 20]),
        Change::write(50, [0xff; 5]),
        Change::write(95, [0xff; 100]),
    ])
    .unwrap()
}

#[test]
fn where_writing_fails_the_old_bytes_come_back() {
    let (disk, ..) = scene();
    for fails_at in 0..several().edits().len() {
        let mut failing = Failing::new(disk.clone(), fails_at, true);
        let error = several().apply(&mut failing).unwrap_err();
        assert!(
            matches!(
                error,
                ApplyError::Write {
                    restored: Restored::Yes,
                    ..
                }
            ),
            "{error}"
        );
        assert!(error.to_string().ends_with("the old bytes are back"));
        assert_eq!(failing.bytes, disk);
    }
}

#[test]
fn where_nothing_can_be_written_any_more_undo_does_it_later() {
    let (disk, ..) = scene();
    for fails_at in 0..several().edits().len() {
        let mut failing = Failing::new(disk.clone(), fails_at, false);
        let error = several().apply(&mut failing).unwrap_err();
        assert!(
            matches!(
                error,
                ApplyError::Write {
                    restored: Restored::No { .. },
                    ..
                }
            ),
            "{error}"
        );
        let mut later = failing.bytes;
        several().undo().apply(&mut later).unwrap();
        assert_eq!(later, disk);
    }
}

#[test]
fn a_disk_that_forgets_is_found_out() {
    let (disk, ..) = scene();
    let mut failing = Failing::new(disk.clone(), 1, true);
    failing.forgets = true;
    let error = several().apply(&mut failing).unwrap_err();
    assert!(
        matches!(
            error,
            ApplyError::ReadBack {
                restored: Restored::Yes,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(failing.bytes, disk);
}

#[test]
fn nothing_is_written_to_a_disk_that_is_not_as_it_was() {
    let (mut disk, ..) = scene();
    let plan = several();
    disk[5052] ^= 1;
    let before = disk.clone();
    assert!(matches!(
        plan.apply(&mut disk),
        Err(ApplyError::Changed { offset: 5052 })
    ));
    assert!(matches!(
        plan.undo().apply(&mut disk),
        Err(ApplyError::Changed { offset: 5052 })
    ));
    assert!(
        plan.sectors(&disk, 512)
            .any(|range| matches!(range, Err(ApplyError::Changed { offset: 5052 })))
    );
    assert_eq!(disk, before);
    disk.push(0);
    assert!(matches!(
        plan.apply(&mut disk),
        Err(ApplyError::OtherDisk {
            expected: 10_000,
            found: 10_001
        })
    ));
}

#[test]
fn an_undo_file_is_checked() {
    let undo = several().undo();
    let mut file = Vec::new();
    undo.write(&mut file).unwrap();
    assert_eq!(Undo::read(file.as_slice()).unwrap(), undo);
    assert_eq!(undo.plan(), &several());
    for at in 0..file.len() {
        let mut damaged = file.clone();
        damaged[at] ^= 0x10;
        assert!(Undo::read(damaged.as_slice()).is_err(), "byte {at}");
        assert!(Undo::read(&file[..at]).is_err(), "{at} bytes");
    }
    assert!(matches!(Undo::read(&b"not an undo file"[..]), Err(UndoError::NotUndo)));
    file[8] = 2;
    assert_eq!(
        Undo::read(file.as_slice()).unwrap_err().to_string(),
        "the undo file is of format 2, and only format 1 is known"
    );
    // Lengths that nobody has.
    let mut huge = b"DISKUNDO\x01\0\0\0".to_vec();
    huge.extend([0xff; 60]);
    assert!(Undo::read(huge.as_slice()).is_err());
}

#[test]
fn sectors_are_whole_and_end_with_the_disk() {
    let (disk, volume, _) = scene();
    let layout = Layout::new(7000, vec![data(0..7000, 0)]);
    let changes = [
        Change::write(0, [0xff; 1]),
        Change::write(100, [0xff; 1]),
        Change::write(6999, [0xff; 1]),
    ];
    let plan = WritePlan::for_file(&disk, &volume, &layout, &changes).unwrap();
    let ranges = |sector| {
        let ranges: Result<Vec<_>, _> = plan.sectors(&disk, sector).collect();
        ranges
            .unwrap()
            .iter()
            .map(|range| range.offset..range.offset + range.bytes.len() as u64)
            .collect::<Vec<_>>()
    };
    assert_eq!(ranges(512), [1536..2560, 8704..9216]);
    assert_eq!(ranges(4096), [0..4096, 8192..10_000]);

    let disk = vec![0; 5 << 20];
    let layout = Layout::new(3 << 20, vec![data(0..3 << 20, 0)]);
    let change = Change::write(0, vec![1; 3 << 20]);
    let plan = WritePlan::for_file(&disk, &OnDisk::from(100..5 << 20), &layout, &[change]).unwrap();
    let lengths: Vec<_> = plan
        .sectors(&disk, 4096)
        .map(|range| range.unwrap().bytes.len())
        .collect();
    assert_eq!(lengths, [1 << 20, 1 << 20, 1 << 20, 4096]);
}

#[test]
fn an_overlay_holds_no_more_than_it_may() {
    let disk = vec![0u8; 20_000];
    let mut overlay = Overlay::new(&disk, 2 * 4096);
    overlay.write_all_at(0, &[1; 8192]).unwrap();
    assert!(overlay.write_all_at(8192, &[1]).is_err());
    overlay.write_all_at(100, &[2; 8000]).unwrap();
    assert!(overlay.write_all_at(19_999, &[1, 2]).is_err());
    assert!(overlay.write_all_at(u64::MAX, &[1]).is_err());
}

/// Parts of a file in random order on the disk, each 1 to 50 bytes long.
fn scattered() -> impl Strategy<Value = (Vec<u8>, Layout)> {
    (vec(any::<u8>(), 4096..4097), vec((1..50u64, any::<u16>()), 1..40)).prop_map(|(disk, mut parts)| {
        parts.sort_by_key(|part| part.1);
        let mut places: Vec<u64> = (0..parts.len() as u64).map(|index| index * 100 + 7).collect();
        places.sort_by_key(|place| place.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut at = 0;
        let extents = parts.iter().zip(places).map(|((len, _), place)| {
            at += len;
            data(at - len..at, place)
        });
        let extents: Vec<_> = extents.collect();
        (disk, Layout::new(at, extents))
    })
}

fn content(disk: &[u8], layout: &Layout) -> Vec<u8> {
    let ranges = layout.on_volume(0..layout.size).unwrap();
    ranges
        .into_iter()
        .flat_map(|range| disk[range.start as usize..range.end as usize].to_vec())
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_change_changes_the_file_and_nothing_else(
        (disk, layout) in scattered(),
        at in any::<u16>(),
        bytes in vec(any::<u8>(), 0..300),
        sector in prop_oneof![Just(512u32), Just(1024), Just(4096)],
    ) {
        let at = u64::from(at) % (layout.size + 1);
        let bytes = &bytes[..bytes.len().min((layout.size - at) as usize)];
        let volume = OnDisk::from(0..4096);
        let change = Change::write(at, bytes).expecting(&content(&disk, &layout)[at as usize..]);
        let plan = WritePlan::for_file(&disk, &volume, &layout, &[change]).unwrap();

        let mut changed = disk.clone();
        plan.apply(&mut changed).unwrap();
        let mut expected = content(&disk, &layout);
        expected[at as usize..at as usize + bytes.len()].copy_from_slice(bytes);
        prop_assert_eq!(content(&changed, &layout), expected);
        let differing = disk.iter().zip(&changed).filter(|(old, new)| old != new).count();
        prop_assert_eq!(differing as u64, plan.changed_bytes());
        for edit in plan.edits() {
            prop_assert!(edit.old.iter().zip(&edit.new).all(|(old, new)| old != new));
        }

        let mut by_sectors = disk.clone();
        for range in plan.sectors(&disk, sector) {
            let range = range.unwrap();
            prop_assert_eq!(range.offset % u64::from(sector), 0);
            by_sectors.write_all_at(range.offset, &range.bytes).unwrap();
        }
        prop_assert_eq!(&by_sectors, &changed);

        let mut file = Vec::new();
        plan.undo().write(&mut file).unwrap();
        let undo = Undo::read(file.as_slice()).unwrap();
        undo.apply(&mut changed).unwrap();
        prop_assert_eq!(&changed, &disk);
        undo.apply(&mut changed).unwrap();
    }

    #[test]
    fn an_overlay_is_like_the_disk_under_it(
        disk in vec(any::<u8>(), 1..20_000),
        writes in vec((any::<u16>(), vec(any::<u8>(), 0..6000)), 0..10),
    ) {
        let mut overlay = Overlay::new(&disk, 1 << 20);
        let mut expected = disk.clone();
        for (at, bytes) in &writes {
            let at = u64::from(*at);
            let (one, other) = (overlay.write_all_at(at, bytes), expected.write_all_at(at, bytes));
            prop_assert_eq!(one.is_ok(), other.is_ok());
        }
        let mut found = vec![0; disk.len()];
        overlay.read_exact_at(0, &mut found).unwrap();
        prop_assert_eq!(&found, &expected);
        let mut copy = disk.clone();
        overlay.plan().unwrap().apply(&mut copy).unwrap();
        prop_assert_eq!(copy, expected);
    }

    #[test]
    fn any_undo_file_gives_an_answer(bytes in vec(any::<u8>(), 0..200)) {
        let mut file = b"DISKUNDO\x01\0\0\0".to_vec();
        file.extend(bytes);
        assert!(Undo::read(file.as_slice()).is_err());
    }
}
