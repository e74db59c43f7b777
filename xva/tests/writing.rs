//! Archives that the crate writes itself.

mod common;

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::Path;
use std::process::Command;

use common::{Disks, header, noise, read};
use proptest::prelude::*;
use xva::ova::Ova;
use xva::write::{Compressor, DiskSpec, Firmware, Plan, SpecError, VifSpec, VmSpec, WriteError, Writer};
use xva::{Algorithm, Compression, ReadAt, Reader, WithExtents};

const MIB: usize = 1 << 20;

/// A disk of this length with noise in these blocks.
fn disk(size: usize, filled: &[usize]) -> Vec<u8> {
    let mut raw = vec![0; size];
    for &block in filled {
        let end = size.min((block + 1) * MIB);
        if let Some(part) = raw.get_mut(block * MIB..end) {
            part.copy_from_slice(&noise(part.len(), block as u64 + 1));
        }
    }
    raw
}

fn vm<S>(disks: impl IntoIterator<Item = S>) -> VmSpec<S> {
    let disks = disks.into_iter().enumerate();
    disks.fold(VmSpec::new("written"), |vm, (i, source)| {
        vm.disk(DiskSpec::new(format!("disk {i}"), source))
    })
}

fn plan<S: ReadAt>(disks: impl IntoIterator<Item = S>) -> Plan<S> {
    Writer::new(vm(disks)).plan().unwrap()
}

fn bytes<S: ReadAt>(plan: &Plan<S>) -> Vec<u8> {
    let mut archive = Vec::new();
    assert_eq!(plan.write_to(&mut archive).unwrap(), plan.size());
    assert_eq!(archive.len() as u64, plan.size());
    archive
}

/// The disks of an archive in the order of its machine's drives.
fn drives(archive: &[u8]) -> Vec<Vec<u8>> {
    let mut reader = Reader::new(archive);
    let vm = reader.ova().unwrap().unwrap().vms()[0].clone();
    let mut disks: Disks = read(archive).unwrap();
    let mut take = |id: &str| disks.remove(disks.iter().position(|(found, _)| found == id).unwrap()).1;
    vm.disks.iter().map(|disk| take(&disk.id)).collect()
}

/// The entries of a tar file whose headers are those of xapi, without a second thought.
fn entries(archive: &[u8]) -> Vec<(String, &[u8])> {
    let mut entries = Vec::new();
    let mut rest = archive;
    while rest[0] != 0 {
        let name = str::from_utf8(&rest[..100]).unwrap().trim_end_matches('\0').to_owned();
        let size = str::from_utf8(&rest[124..135]).unwrap();
        let size = usize::from_str_radix(size, 8).unwrap();
        let mtime = if name == "ova.xml" {
            &rest[136..147]
        } else {
            &b"00000000000"[..]
        };
        let mut expected = header(&name, size as u64, 0, b"");
        expected[108..116].copy_from_slice(b"0000000\0");
        expected[116..124].copy_from_slice(b"0000000\0");
        expected[136..147].copy_from_slice(mtime);
        assert!(rest[..512] == common::sign(expected), "header of {name}");
        entries.push((name, &rest[512..512 + size]));
        let end = 512 + size.next_multiple_of(512);
        assert!(rest[512 + size..end].iter().all(|&byte| byte == 0));
        rest = &rest[end..];
    }
    assert_eq!(rest, [0; 1024]);
    entries
}

/// Puts a disk together as the tools that go by the numbers do: a number left out is 1 MiB of zeros.
fn by_counter(entries: &[(String, &[u8])], id: &str) -> Vec<u8> {
    let mut raw = Vec::new();
    let mut next = 0;
    for (name, content) in entries {
        let Some(number) = name
            .strip_prefix(&format!("{id}/"))
            .and_then(|name| name.parse::<usize>().ok())
        else {
            continue;
        };
        raw.resize(raw.len() + (number - next) * MIB, 0);
        raw.extend(*content);
        next = number + 1;
    }
    raw
}

fn padded(mut raw: Vec<u8>) -> Vec<u8> {
    raw.resize(raw.len().next_multiple_of(MIB), 0);
    raw
}

#[test]
fn what_is_written_is_laid_out_as_xapi_does() {
    let raw = disk(5 * MIB + 700, &[2]);
    let plan = plan([raw.clone()]);
    let archive = bytes(&plan);
    let entries = entries(&archive);
    let id = Ova::parse(plan.ova_xml()).unwrap().vms()[0].disks[0].id.clone();
    let names: Vec<&str> = entries.iter().map(|(name, _)| name.trim_start_matches(&id)).collect();
    assert_eq!(
        names,
        [
            "ova.xml",
            "/00000000",
            "/00000000.xxhash",
            "/00000002",
            "/00000002.xxhash",
            "/00000005",
            "/00000005.xxhash"
        ]
    );
    let zeros = "3EE3FB2D6BA1E1A1".len();
    assert_eq!(entries[2].1.len(), zeros);
    assert_eq!(entries[2].1, entries[2].1.to_ascii_uppercase());
    assert_eq!(by_counter(&entries, &id), padded(raw));
    assert_eq!(plan.data_size(), 3 * MIB as u64);
}

#[test]
fn eleven_disks_are_sorted_as_text() {
    let raws: Vec<Vec<u8>> = (0..11).map(|i| vec![i + 1; MIB]).collect();
    let archive = bytes(&plan(raws.clone()));
    let read = read(&archive[..]).unwrap();
    assert!(read.is_sorted_by(|a, b| a.0 < b.0));
    let is_prefixed = |(id, _): &(String, Vec<u8>)| id == "Ref:13" || id == "Ref:20";
    assert_eq!(read.iter().filter(|disk| is_prefixed(disk)).count(), 2);
    assert_eq!(drives(&archive), raws);
}

#[test]
fn one_id_can_begin_another() {
    let xml = common::ova(&[("Ref:10", MIB), ("Ref:1", 3 * MIB)]);
    let (short, long) = (disk(MIB, &[0]), disk(3 * MIB, &[1]));
    let plan = Writer::with_ova(&xml[..], [("Ref:1", &long), ("Ref:10", &short)])
        .plan()
        .unwrap();
    let archive = bytes(&plan);
    assert_eq!(plan.ova_xml(), xml);
    assert_eq!(
        read(&archive[..]).unwrap(),
        [("Ref:1".into(), long), ("Ref:10".into(), short)]
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn disks_come_back(
        shapes in prop::collection::vec((0..4usize, 0..MIB, prop::collection::vec(0..4usize, 0..3)), 1..4),
        sha1 in any::<bool>(),
        exact in any::<bool>(),
        step in 1..3 * MIB,
    ) {
        let raws: Vec<Vec<u8>> = shapes
            .iter()
            .enumerate()
            .map(|(i, (blocks, tail, filled))| {
                // Of exact sizes the first must be a whole block.
                let blocks = if i == 0 { blocks + 1 } else { *blocks };
                let size = (blocks * MIB + tail).next_multiple_of(if exact { 512 } else { 1 }).max(512);
                disk(size, filled)
            })
            .collect();
        let mut writer = Writer::new(vm(raws.clone()));
        if sha1 {
            writer = writer.checksums(Algorithm::Sha1);
        }
        if exact {
            writer = writer.exact_sizes();
        }
        let plan = writer.plan().unwrap();
        let archive = bytes(&plan);
        let expected: Vec<Vec<u8>> = raws.into_iter().map(|raw| if exact { raw } else { padded(raw) }).collect();
        prop_assert!(drives(&archive) == expected);
        let mut reader = Reader::new(&archive[..]);
        let summary = reader.finish().unwrap();
        prop_assert!(summary.is_complete() && summary.unverified == 0);

        let mut reader = plan.into_reader();
        let mut again = Vec::<u8>::new();
        let mut buffer = vec![0; step];
        while let n @ 1.. = reader.read(&mut buffer).unwrap() {
            again.extend(&buffer[..n]);
        }
        prop_assert!(again == archive);
        prop_assert_eq!(reader.remaining(), 0);
        prop_assert!(bytes(&reader.into_plan()) == archive);
    }
}

#[test]
fn everything_described_is_in_the_metadata() {
    let spec = VmSpec::new("a <b> & \"c\"")
        .description("two\nlines")
        .uuid("11111111-2222-4333-8444-555555555555")
        .memory(3 << 30)
        .vcpus(4)
        .firmware(Firmware::UefiSecureBoot)
        .boot_order("nc")
        .cd_drive()
        .platform("viridian", "false")
        .other_config("backup", "yes")
        .disk(DiskSpec::new("root", vec![1; MIB]).bootable(false).sr_name("fast"))
        .disk(
            DiskSpec::new("boot", vec![2; MIB])
                .bootable(true)
                .userdevice(0)
                .read_only(),
        )
        .disk(DiskSpec::new("data", vec![3; 100]).sr_name("fast"))
        .disk(DiskSpec::new("more", vec![4; MIB]))
        .vif(VifSpec::new("LAN").bridge("xenbr0").mac("3a:00:5e:00:00:01").mtu(9000))
        .vif(VifSpec::new("LAN").bridge("xenbr0"))
        .vif(VifSpec::new("DMZ"));
    let archive = bytes(&Writer::new(spec).plan().unwrap());
    let mut reader = Reader::new(&archive[..]);
    let ova = reader.ova().unwrap().unwrap().clone();
    assert_eq!(ova.version().export_vsn, 2);
    let vm = &ova.vms()[0];
    assert_eq!(
        (&vm.name_label[..], &vm.name_description[..]),
        ("a <b> & \"c\"", "two\nlines")
    );
    assert_eq!(vm.uuid, "11111111-2222-4333-8444-555555555555");
    let disks: Vec<_> = vm
        .disks
        .iter()
        .map(|disk| (&disk.userdevice[..], &disk.name_label[..], disk.bootable))
        .collect();
    // Position 3 is left to the CD drive.
    assert_eq!(
        disks,
        [
            ("0", "boot", true),
            ("1", "root", false),
            ("2", "data", false),
            ("4", "more", false)
        ]
    );
    assert!(vm.disks[0].read_only);
    assert_eq!(vm.disks[1].sr_name.as_deref(), Some("fast"));
    assert_eq!(vm.disks[2].virtual_size, Some(MIB as u64));

    let objects = ova.objects();
    let of = |class: &str| {
        objects
            .iter()
            .filter(|object| object.class == class)
            .collect::<Vec<_>>()
    };
    let text = |object: &xva::ova::Object, field: &str| object.record.get(field).unwrap().as_str().unwrap().to_owned();
    let machine = of("VM")[0];
    for field in [
        "memory_static_max",
        "memory_dynamic_max",
        "memory_dynamic_min",
        "memory_static_min",
    ] {
        assert_eq!(text(machine, field), (3u64 << 30).to_string());
    }
    assert_eq!(
        (text(machine, "VCPUs_max"), text(machine, "VCPUs_at_startup")),
        ("4".into(), "4".into())
    );
    let entry = |map: &str, key: &str| {
        machine
            .record
            .get(map)
            .unwrap()
            .get(key)
            .unwrap()
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(
        (entry("HVM_boot_params", "firmware"), entry("HVM_boot_params", "order")),
        ("uefi".into(), "nc".into())
    );
    assert_eq!(
        (entry("platform", "secureboot"), entry("platform", "viridian")),
        ("true".into(), "false".into())
    );
    assert_eq!(entry("other_config", "backup"), "yes");
    assert_eq!(of("VBD").len(), 5);
    assert_eq!(
        of("VBD")
            .iter()
            .filter(|vbd| text(vbd, "type") == "CD" && text(vbd, "userdevice") == "3")
            .count(),
        1
    );
    let vifs = of("VIF");
    let vif = |i: usize| (text(vifs[i], "device"), text(vifs[i], "MAC"), text(vifs[i], "MTU"));
    assert_eq!(vif(0), ("0".into(), "3a:00:5e:00:00:01".into(), "9000".into()));
    assert_eq!(vif(1), ("1".into(), String::new(), "1500".into()));
    assert_eq!(text(vifs[0], "network"), text(vifs[1], "network"));
    assert_eq!(
        of("network")
            .iter()
            .map(|network| text(network, "name_label"))
            .collect::<Vec<_>>(),
        ["LAN", "DMZ"]
    );
    assert_eq!(of("SR").len(), 2);
    assert!(reader.finish().unwrap().is_complete());
}

/// The fields of each class are those that a real xapi exports.
#[cfg(feature = "zstd")]
#[test]
fn records_have_the_fields_of_a_real_export() {
    let real = include_bytes!("fixtures/three-disks-metadata.xva.zst");
    let mut reader = Reader::new(&real[..]);
    let real = reader.ova().unwrap().unwrap().objects();
    let spec = vm([vec![0; MIB]]).cd_drive().vif(VifSpec::new("LAN"));
    let ours = Ova::parse(Writer::new(spec).plan().unwrap().ova_xml())
        .unwrap()
        .objects();
    let fields = |objects: &[xva::ova::Object], class: &str| -> Vec<String> {
        let object = objects.iter().find(|object| object.class == class).unwrap();
        let xva::ova::Value::Struct(fields) = &object.record else {
            panic!()
        };
        fields.iter().map(|(name, _)| name.clone()).collect()
    };
    for class in ["VM", "VBD", "VIF", "network", "VDI", "SR"] {
        assert_eq!(fields(&ours, class), fields(&real, class), "{class}");
    }
}

#[test]
fn without_end_blocks() {
    let full = bytes(&plan([vec![1; MIB]]));
    let cut = bytes(&Writer::new(vm([vec![1; MIB]])).without_end_blocks().plan().unwrap());
    assert_eq!(cut.len() + 1024, full.len());
    let mut reader = Reader::new(&cut[..]);
    let summary = reader.finish().unwrap();
    assert!(summary.has_all_disks() && !summary.end_blocks);
}

#[test]
fn a_machine_without_disks() {
    let archive = bytes(&plan(Vec::<Vec<u8>>::new()));
    assert!(Reader::new(&archive[..]).finish().unwrap().is_complete());
}

#[test]
fn compressed() {
    let plan = plan([disk(4 * MIB, &[1])]);
    for compression in [Compression::Gzip, Compression::Zstd] {
        let mut output = match Compressor::new(Vec::new(), compression) {
            Ok(output) => output,
            Err(WriteError::CompressionDisabled { .. }) => continue,
            Err(error) => panic!("{error}"),
        };
        plan.write_to(&mut output).unwrap();
        let archive = output.finish().unwrap();
        let mut reader = Reader::new(&archive[..]);
        assert!(reader.finish().unwrap().is_complete());
        assert_eq!(reader.compression(), Some(compression));
        if let Some(unpacked) = unpacked(compression, &archive) {
            assert!(unpacked == bytes(&plan), "{compression}");
        }
    }
}

/// What the program that the format is named after makes of it, if it is there; it must be where tests run for everyone.
fn unpacked(compression: Compression, archive: &[u8]) -> Option<Vec<u8>> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(archive).unwrap();
    let program = compression.to_string();
    match Command::new(&program).arg("-dc").stdin(file.reopen().unwrap()).output() {
        Ok(output) => {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            Some(output.stdout)
        }
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "{program}: {error}");
            eprintln!("skipped: {program}: {error}");
            None
        }
    }
}

/// A disk that counts what is read of it.
struct Counted<S> {
    source: S,
    read: Cell<u64>,
}

impl<S: ReadAt> ReadAt for Counted<S> {
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.read.set(self.read.get() + buf.len() as u64);
        self.source.read_exact_at(offset, buf)
    }

    fn size(&self) -> io::Result<u64> {
        self.source.size()
    }

    fn next_data(&self, from: u64) -> io::Result<Option<Range<u64>>> {
        self.source.next_data(from)
    }
}

#[test]
fn holes_are_not_read() {
    let raw = disk(64 * MIB, &[]);
    let count = |extents: Vec<Range<u64>>| {
        let counted = Counted {
            source: WithExtents::new(&raw, extents),
            read: Cell::new(0),
        };
        plan([&counted]).write_to(io::sink()).unwrap();
        counted.read.get()
    };
    assert_eq!(count(vec![]), 0);
    // Once for the plan, once for the archive.
    assert_eq!(
        count(vec![5..6, 20 << 20..21 << 20, 70 << 20..80 << 20]),
        2 * (1 + MIB as u64)
    );
    assert_eq!(count(vec![0..1 << 20, 0..u64::MAX]), 2 * 64 * MIB as u64);
    let dense = Counted {
        source: &raw[..],
        read: Cell::new(0),
    };
    plan([&dense]);
    assert_eq!(dense.read.get(), 64 * MIB as u64);
}

#[test]
fn extents_inside_a_block_leave_zeros_around() {
    // What lies outside the extents counts as zero, whatever the source says.
    let raw = vec![9; 3 * MIB];
    let source = WithExtents::new(
        &raw,
        [MIB as u64 + 10..MIB as u64 + 20, 2 * MIB as u64 - 5..2 * MIB as u64 + 5],
    );
    let mut expected = vec![0; 3 * MIB];
    for range in [MIB + 10..MIB + 20, 2 * MIB - 5..2 * MIB + 5] {
        expected[range].fill(9);
    }
    assert!(drives(&bytes(&plan([source]))) == [expected]);
}

#[cfg(target_os = "linux")]
#[test]
fn holes_of_a_sparse_file_are_not_read() {
    let mut file = tempfile::tempfile().unwrap();
    file.set_len(512 * MIB as u64).unwrap();
    file.seek(SeekFrom::Start(300 * MIB as u64)).unwrap();
    file.write_all(&noise(4096, 1)).unwrap();
    if file.next_data(0).unwrap() == Some(0..512 * MIB as u64) {
        eprintln!("skipped: the file system of the temporary folder has no holes");
        return;
    }
    let counted = Counted {
        source: file,
        read: Cell::new(0),
    };
    let plan = plan([&counted]);
    assert_eq!(plan.data_size(), 3 * MIB as u64);
    let archive = bytes(&plan);
    assert!(
        counted.read.get() <= 2 * MIB as u64,
        "{} bytes read",
        counted.read.get()
    );
    let mut reader = Reader::new(&archive[..]);
    let mut disk = reader.next_disk().unwrap().unwrap();
    let offsets: Vec<u64> = std::iter::from_fn(|| disk.next_block().unwrap().map(|block| block.offset)).collect();
    assert_eq!(offsets, [0, 300 * MIB as u64, 511 * MIB as u64]);
}

/// A disk that becomes another one when it is read for the second time.
struct Changing {
    disks: [Vec<u8>; 2],
    second: Cell<bool>,
}

impl Changing {
    fn now(&self) -> &Vec<u8> {
        &self.disks[usize::from(self.second.get())]
    }
}

impl ReadAt for Changing {
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.now().read_exact_at(offset, buf)
    }

    fn size(&self) -> io::Result<u64> {
        self.now().size()
    }
}

fn with_byte(mut disk: Vec<u8>, place: usize) -> Vec<u8> {
    disk[place] ^= 1;
    disk
}

#[test]
fn a_disk_that_changes_is_an_error() {
    let before = disk(6 * MIB, &[1, 3]);
    let cases = [
        ("a block that is zero now", disk(6 * MIB, &[1]), 3),
        ("a byte of a block", with_byte(disk(6 * MIB, &[1, 3]), 3 * MIB + 77), 0),
        ("a block that was zero", disk(6 * MIB, &[1, 2, 3]), 2),
        ("the last block", disk(6 * MIB, &[1, 3, 5]), 0),
        ("a block behind", disk(6 * MIB, &[1, 3, 4]), 4),
        ("a longer disk", disk(7 * MIB, &[1, 3]), 6),
        ("a shorter disk", disk(5 * MIB, &[1, 3]), 5),
    ];
    for (case, after, block) in cases {
        let disk = Changing {
            disks: [before.clone(), after],
            second: Cell::new(false),
        };
        let plan = plan([&disk]);
        disk.second.set(true);
        match plan.write_to(io::sink()) {
            Err(WriteError::Changed { disk, offset }) => {
                assert_eq!((&disk[..], offset), ("disk 0", (block * MIB) as u64), "{case}");
            }
            other => panic!("{case}: {other:?}"),
        }
        let mut reader = plan.into_reader();
        let error = reader.read_to_end(&mut Vec::new()).unwrap_err();
        assert!(error.get_ref().unwrap().is::<WriteError>(), "{case}");
        assert!(reader.read(&mut [0; 10]).is_err(), "{case}: an error is no end");
    }
}

#[test]
fn what_no_server_could_import() {
    fn error<S: ReadAt>(writer: Writer<S>) -> WriteError {
        let error = writer.plan().map(|_| ()).unwrap_err();
        assert!(!error.to_string().is_empty());
        error
    }
    let xml = common::ova(&[("Ref:1", MIB), ("Ref:2", MIB)]);
    let raw = vec![1; MIB];
    let given = |disks: &[(&str, usize)]| {
        let disks: Vec<_> = disks.iter().map(|&(id, size)| (id.to_owned(), vec![1; size])).collect();
        error(Writer::with_ova(xml.clone(), disks))
    };
    assert!(matches!(given(&[("Ref:1", MIB)]), WriteError::MissingDisk { disk } if disk == "Ref:2"));
    assert!(matches!(
        given(&[("Ref:1", MIB), ("Ref:3", MIB)]),
        WriteError::UnknownDisk { disk, known } if disk == "Ref:3" && known == ["Ref:1", "Ref:2"]
    ));
    assert!(matches!(
        given(&[("Ref:1", MIB), ("Ref:1", MIB)]),
        WriteError::DuplicateDisk { .. }
    ));
    assert!(matches!(
        given(&[("Ref:1", 2 * MIB), ("Ref:2", MIB)]),
        WriteError::SizeMismatch { size, virtual_size: Some(1_048_576), .. } if size == 2 << 20
    ));
    assert!(matches!(given(&[("a/b", MIB)]), WriteError::UnusableId { .. }));
    assert!(matches!(
        error(Writer::with_ova("<value/>", [("Ref:1", &raw)])),
        WriteError::Ova(_)
    ));

    assert!(matches!(error(Writer::new(vm([vec![]]))), WriteError::EmptyDisk { .. }));
    assert!(matches!(
        error(Writer::new(vm([vec![1; 700]])).exact_sizes()),
        WriteError::Unaligned { size: 700, .. }
    ));
    let short_first = [vec![1; 512], vec![0; 4 * MIB]];
    assert!(matches!(
        error(Writer::new(vm(short_first)).exact_sizes()),
        WriteError::ShortFirstDisk { .. }
    ));
    let endless = WithExtents::new(Endless, []);
    assert!(matches!(error(Writer::new(vm([endless]))), WriteError::TooLong { .. }));

    let spec = |spec: VmSpec<Vec<u8>>| match error(Writer::new(spec)) {
        WriteError::Spec(error) => error,
        other => panic!("{other}"),
    };
    assert!(matches!(
        spec(VmSpec::new("a\0b")),
        SpecError::ControlCharacter { field: "name", .. }
    ));
    assert_eq!(spec(VmSpec::new("a").memory(0)), SpecError::Zero { field: "memory" });
    assert_eq!(
        spec(VmSpec::new("a").vif(VifSpec::new("b").mac("3a:00:5e"))),
        SpecError::Mac { mac: "3a:00:5e".into() }
    );
    let twice = vm([])
        .disk(DiskSpec::new("a", raw.clone()).userdevice(1))
        .disk(DiskSpec::new("b", raw).userdevice(1));
    assert_eq!(spec(twice), SpecError::PositionTaken { userdevice: 1 });
}

/// A disk longer than any can be.
struct Endless;

impl ReadAt for Endless {
    fn read_exact_at(&self, _offset: u64, _buf: &mut [u8]) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn size(&self) -> io::Result<u64> {
        Ok(1 << 60)
    }
}

#[test]
fn sources_and_outputs_that_fail() {
    struct Broken;
    impl ReadAt for Broken {
        fn read_exact_at(&self, _offset: u64, _buf: &mut [u8]) -> io::Result<()> {
            Err(io::Error::other("head crash"))
        }
        fn size(&self) -> io::Result<u64> {
            Ok(4 << 20)
        }
        fn next_data(&self, from: u64) -> io::Result<Option<Range<u64>>> {
            Ok((from < 3 << 20).then_some((5 << 19)..(3 << 20)))
        }
    }
    let error = Writer::new(vm([Broken])).plan().map(|_| ()).unwrap_err();
    assert!(matches!(error, WriteError::Read { disk, offset: 2_621_440, .. } if disk == "disk 0"));

    struct Backwards;
    impl ReadAt for Backwards {
        fn read_exact_at(&self, _offset: u64, buf: &mut [u8]) -> io::Result<()> {
            buf.fill(0);
            Ok(())
        }
        fn size(&self) -> io::Result<u64> {
            Ok(4 << 20)
        }
        fn next_data(&self, _from: u64) -> io::Result<Option<Range<u64>>> {
            Ok(Some(0..10))
        }
    }
    assert!(matches!(
        Writer::new(vm([Backwards])).plan(),
        Err(WriteError::Read { offset: 10, .. })
    ));

    let plan = plan([vec![1; MIB]]);
    let mut full = &mut [0; 100_000][..];
    assert!(matches!(plan.write_to(&mut full), Err(WriteError::Output { .. })));
}

/// Whether GNU tar is there; it must be where tests run for everyone.
fn has_tar() -> bool {
    let found = Command::new("tar")
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success());
    if !found {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "tar is missing");
        eprintln!("skipped: tar is missing");
    }
    found
}

fn tar(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("tar")
        .current_dir(folder)
        .args(arguments)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{errors}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn tar_reads_it() {
    if !has_tar() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let raw = disk(3 * MIB, &[1]);
    let plan = plan([raw.clone()]);
    plan.write_to(File::create(folder.path().join("machine.xva")).unwrap())
        .unwrap();
    let listed = tar(folder.path(), &["-tvf", "machine.xva", "--numeric-owner"]);
    assert_eq!(listed.lines().count(), 7, "{listed}");
    assert!(
        listed.lines().all(|line| line.starts_with("-r-------- 0/0")),
        "{listed}"
    );
    tar(folder.path(), &["-xf", "machine.xva"]);
    assert_eq!(
        std::fs::read_to_string(folder.path().join("ova.xml")).unwrap(),
        plan.ova_xml()
    );
    let id = Ova::parse(plan.ova_xml()).unwrap().vdis()[0].id.clone();
    let blocks = ["00000000", "00000001", "00000002"];
    let parts = blocks.map(|block| std::fs::read(folder.path().join(&id).join(block)).unwrap());
    assert!(parts.concat() == raw);
}
