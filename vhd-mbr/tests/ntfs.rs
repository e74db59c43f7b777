//! Volumes made by ntfs-3g, read by us and by ntfscat.
#![cfg(target_os = "linux")]

mod ntfs_image;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::Command;

use ntfs_image::{Image, all, have_tools, noise, surgery, text, tool};
use vhd_mbr::layout::Place;
use vhd_mbr::ntfs::{Error, FileAttributes, Name, Namespace, Ntfs, Reparse};
use xen_disk::ReadAt;

/// Sets an extended attribute of ntfs-3g: one that stands for something of NTFS.
fn set(path: &Path, name: &str, hex: &str) {
    let status = tool("setfattr")
        .args(["-h", "-n", name, "-v", hex])
        .arg(path)
        .status()
        .unwrap();
    assert!(status.success(), "setfattr {name} {}", path.display());
}

fn utf16_hex(text: &str) -> String {
    text.encode_utf16()
        .flat_map(u16::to_le_bytes)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Every file and stream of the volume, read whole by us and by ntfscat.
fn compare_everything(image: &Image) -> BTreeSet<String> {
    compare_some(image, |_| true)
}

/// The same for those whose path is `wanted`.
fn compare_some(image: &Image, wanted: impl Fn(&str) -> bool) -> BTreeSet<String> {
    let volume = image.open();
    let mut paths = BTreeSet::new();
    for entry in volume.walk().unwrap() {
        let entry = entry.unwrap();
        let file = volume.file(entry.entry.reference).unwrap();
        let stat = file.stat().unwrap();
        assert_eq!(file.is_directory(), entry.entry.is_directory(), "{}", entry.path);
        if !entry.entry.is_system_file() && wanted(&entry.path) {
            let found = volume.lookup(&entry.path).unwrap();
            assert_eq!(found.reference(), file.reference(), "{}", entry.path);
            for info in file.streams().iter().filter(|_| file.reparse().unwrap().is_none()) {
                let stream = file.stream(&info.name.to_string()).unwrap();
                let bytes = all(&stream);
                let theirs = match info.name.to_string() {
                    name if name.is_empty() => image.cat(&entry.path),
                    name => image.cat_stream(&entry.path, &name),
                };
                assert!(bytes == theirs, "{} {} differs", entry.path, info.name);
                assert_eq!(bytes.len() as u64, info.size);
                check_layout(image, &volume, &entry.path, &info.name.to_string(), &bytes);
            }
        }
        assert!(stat.links >= 1);
        assert!(paths.insert(entry.path));
    }
    paths
}

/// Holds every byte that has a place on the volume against the byte that is there.
fn check_layout(image: &Image, volume: &Ntfs<File>, path: &str, stream: &str, bytes: &[u8]) {
    let disk = File::open(image.path()).unwrap();
    let layout = volume.lookup(path).unwrap().layout_of(stream).unwrap();
    assert_eq!(layout.size, bytes.len() as u64);
    let mut at = 0;
    for extent in &layout.extents {
        assert_eq!(extent.file.start, at, "{path}: a gap");
        at = extent.file.end;
        let part = &bytes[extent.file.start as usize..extent.file.end as usize];
        match extent.place {
            Place::Data { offset } => {
                let mut there = vec![0; part.len()];
                ReadAt::read_exact_at(&disk, offset, &mut there).unwrap();
                assert!(there == part, "{path}: other bytes at {offset}");
            }
            Place::Hole | Place::Unwritten { .. } => assert!(part.iter().all(|&byte| byte == 0)),
            _ => {}
        }
    }
    assert_eq!(at, layout.size);
}

/// Writes the file and another one in turn, cluster by cluster from their ends on, so that no two clusters follow each
/// other.
fn write_in_fragments(path: &Path, bytes: &[u8], cluster: usize) {
    let files = [path, &path.with_extension("between")].map(|path| File::create(path).unwrap());
    for (index, chunk) in bytes.chunks(cluster).enumerate().rev() {
        for file in &files {
            file.write_all_at(chunk, (index * cluster) as u64).unwrap();
        }
    }
}

#[test]
fn every_kind_of_file_reads_as_it_was_written() {
    if !have_tools() {
        return;
    }
    let image = Image::new(64 << 20, &["-L", "Größe 𝔑"]);
    let mut written: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let filled = image.mount(|root| {
        let mut write = |path: &str, bytes: Vec<u8>| {
            fs::write(root.join(path), &bytes).unwrap();
            written.insert(format!("/{path}"), bytes);
        };
        fs::create_dir(root.join("resident")).unwrap();
        for len in (0..760).step_by(19) {
            write(&format!("resident/{len}"), noise(len, 1 + len as u64));
        }
        fs::create_dir(root.join("packed")).unwrap();
        set(&root.join("packed"), "system.ntfs_attrib_be", "0x00000800");
        write("packed/text", text(1_000_000));
        write("packed/noise", noise(300_000, 7));
        write("packed/zeros", vec![0; 500_000]);
        write("packed/short", text(5000));
        let mixed = [text(70_000), noise(70_000, 8), vec![0; 200_000], text(33)].concat();
        write("packed/mixed", mixed);
        write("C\u{f4}t\u{e9}", b"accents".to_vec());
        write("\u{1f4be} \u{1d517}.txt", b"outside the BMP".to_vec());
        write(&"long name ".repeat(25), b"250 units".to_vec());
        write("streams", b"the content".to_vec());
        fs::write(root.join("streams:second"), noise(100_000, 9)).unwrap();
        fs::write(root.join("streams:Zone.Identifier"), b"[ZoneTransfer]\r\nZoneId=3\r\n").unwrap();

        write("a file with a short name.text", b"short".to_vec());
        let short = root.join("a file with a short name.text");
        set(
            &short,
            "system.ntfs_dos_name",
            &format!(
                "0x{}",
                "AFILEW~1.TEX".bytes().map(|b| format!("{b:02x}")).collect::<String>()
            ),
        );

        let fragments = noise(3000 * 4096 + 5, 10);
        write_in_fragments(&root.join("fragments"), &fragments, 4096);
        written.insert("/fragments".to_owned(), fragments);

        let sparse = File::create(root.join("sparse")).unwrap();
        sparse.write_all_at(b"middle", 1_000_000).unwrap();
        sparse.set_len(3_000_000).unwrap();
        let mut bytes = vec![0; 3_000_000];
        bytes[1_000_000..1_000_006].copy_from_slice(b"middle");
        written.insert("/sparse".to_owned(), bytes);

        for link in 0..40 {
            fs::hard_link(root.join("streams"), root.join(format!("resident/link {link}"))).unwrap();
        }
    });
    if !filled {
        return;
    }
    let volume = image.open();
    let info = volume.info().unwrap();
    assert_eq!(info.label, "Größe 𝔑");
    assert_eq!((info.version, info.dirty, info.cluster_size), ((3, 1), false, 4096));
    assert_eq!(volume.obstacles().unwrap(), []);

    let paths = compare_everything(&image);
    for (path, bytes) in &written {
        assert!(paths.contains(path), "{path} was not found on the walk");
        let file = volume.lookup(path).unwrap();
        assert!(all(&file.content().unwrap()) == *bytes, "{path} differs");
        assert_eq!(file.stat().unwrap().size, bytes.len() as u64);
    }

    let packed = volume.lookup("/packed/text").unwrap();
    let stat = packed.stat().unwrap();
    assert!(
        stat.attributes.contains(FileAttributes::COMPRESSED),
        "{}",
        stat.attributes
    );
    assert!(packed.streams()[0].compressed);
    let places: Vec<_> = packed
        .layout()
        .unwrap()
        .extents
        .iter()
        .map(|extent| extent.place)
        .collect();
    assert!(places.iter().all(|place| matches!(place, Place::Encoded { .. })));

    let fragments = volume.lookup("fragments").unwrap();
    assert!(fragments.layout().unwrap().extents.len() > 2900);
    let mut random = [0; 10_000];
    fragments
        .content()
        .unwrap()
        .read_exact_at(1_234_567, &mut random)
        .unwrap();
    assert!(random == written["/fragments"][1_234_567..][..10_000]);

    let sparse = volume.lookup("/sparse").unwrap().content().unwrap();
    let data = sparse.next_data(0).unwrap().unwrap();
    assert!(data.start <= 1_000_000 && data.end >= 1_000_006 && data.end - data.start <= 65_536);
    assert_eq!(sparse.next_data(data.end).unwrap(), None);

    let streams = volume.lookup("/STREAMS").unwrap();
    let names: BTreeSet<_> = streams
        .streams()
        .into_iter()
        .map(|stream| stream.name.to_string())
        .collect();
    assert_eq!(names, ["", "second", "Zone.Identifier"].map(str::to_owned).into());
    assert_eq!(all(&streams.stream("SECOND").unwrap()), noise(100_000, 9));
    assert!(matches!(streams.stream("third"), Err(Error::NoSuchStream { .. })));
    assert_eq!(streams.stat().unwrap().links, 41);
    assert_eq!(
        volume.lookup("resident/link 39").unwrap().reference(),
        streams.reference()
    );

    let long = volume.lookup("/A FILE with a short name.TEXT").unwrap();
    let short = volume.lookup("\\afilew~1.tex").unwrap();
    assert_eq!(long.reference(), short.reference());
    assert_eq!(long.stat().unwrap().links, 1);
    assert!(!paths.contains("/AFILEW~1.TEX"));
    let names = volume.root().unwrap().read_dir().unwrap().with_short_names();
    assert!(names.map(Result::unwrap).any(|entry| entry.namespace == Namespace::Dos));

    assert_eq!(volume.lookup("C\u{d4}T\u{c9}").unwrap().stat().unwrap().size, 7);
    assert_eq!(
        volume.lookup("/packed/../resident/./19").unwrap().stat().unwrap().size,
        19
    );
    let missing = volume.lookup("/packed/nothing/here").unwrap_err();
    assert_eq!(missing.to_string(), "there is no /packed/nothing");
    let file = volume.lookup("/packed/text/here").unwrap_err();
    assert_eq!(file.to_string(), "/packed/text is no directory");
}

#[test]
fn a_directory_of_50000() {
    if !have_tools() {
        return;
    }
    let image = Image::new(96 << 20, &[]);
    let name = |number: u32| format!("file number {number:06}");
    let filled = image.mount(|root| {
        fs::create_dir(root.join("many")).unwrap();
        for number in 0..50_000 {
            // One call, where creating takes several.
            make_node(&root.join("many").join(name(number)));
        }
    });
    if !filled {
        return;
    }
    let volume = image.open();
    let directory = volume.lookup("/many").unwrap();
    let found: Vec<_> = directory
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().name.to_string())
        .collect();
    assert!(
        found == (0..50_000).map(name).collect::<Vec<_>>(),
        "in the directory's order"
    );
    for number in (0..50_000).step_by(97) {
        let path = format!("/MANY/{}", name(number).to_uppercase());
        assert!(volume.lookup(&path).is_ok(), "{path}");
    }
    assert!(matches!(
        volume.lookup("/many/file number 05"),
        Err(Error::NotFound { .. })
    ));
    assert_eq!(
        volume
            .walk()
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().path.starts_with("/many/"))
            .count(),
        50_000
    );
}

fn make_node(path: &Path) {
    let path = CString::new(path.as_os_str().as_encoded_bytes()).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        path,
        rustix::fs::FileType::RegularFile,
        0o644.into(),
        0,
    )
    .unwrap();
}

#[test]
fn an_index_in_several_records() {
    if !have_tools() {
        return;
    }
    let image = Image::new(8 << 20, &["-c", "512"]);
    let name = |number: u32| format!("{number:04} {}", "name ".repeat(40));
    let filled = image.mount(|root| {
        let names = root.join("names");
        fs::create_dir(&names).unwrap();
        for number in 0..90 {
            make_node(&names.join(name(number)));
        }
        // Told apart by case only, as Windows itself does not make them.
        for name in ["case", "CASE", "Case"] {
            fs::write(names.join(name), name).unwrap();
        }
    });
    if !filled {
        return;
    }
    let record = image.open().lookup("/names").unwrap().reference().record;
    image.change(|bytes| surgery::split(bytes, record as usize, 0xa0, 16));
    let about = image.run(tool("ntfsinfo").args(["-f", "-v", "-F", "/names"]).arg(image.path()));
    let about = String::from_utf8_lossy(&about);
    assert_eq!(
        about.matches("Dumping attribute $INDEX_ALLOCATION").count(),
        2,
        "{about}"
    );

    let volume = image.open();
    let names = volume.lookup("/names").unwrap();
    let listed: Vec<_> = names
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().name.to_string())
        .collect();
    let expected = (0..90).map(name).chain(["CASE", "Case", "case"].map(str::to_owned));
    assert_eq!(listed, expected.collect::<Vec<_>>());
    let theirs = image.run(tool("ntfsls").args(["-f", "-p", "/names"]).arg(image.path()));
    let theirs = String::from_utf8(theirs).unwrap();
    let theirs: BTreeSet<_> = theirs.lines().filter(|name| !matches!(*name, "." | "..")).collect();
    assert_eq!(theirs, listed.iter().map(String::as_str).collect());
    for entry in names.read_dir().unwrap() {
        let entry = entry.unwrap();
        assert_eq!(names.child(&entry.name).unwrap(), Some(entry.reference));
    }
    for name in ["case", "CASE", "Case"] {
        let file = volume.lookup(&format!("/names/{name}")).unwrap();
        assert_eq!(all(&file.content().unwrap()), name.as_bytes());
    }
    let first = volume.lookup("/names/cASE").unwrap();
    assert_eq!(all(&first.content().unwrap()), b"CASE", "the first in the directory");
}

#[test]
fn a_master_file_table_in_several_records() {
    if !have_tools() {
        return;
    }
    // A file record takes two clusters, and both are somewhere else.
    let image = Image::new(8 << 20, &["-c", "512"]);
    for number in 0..60 {
        image.put(&format!("/file {number}"), &noise(300 + number, number as u64));
    }
    image.change(|bytes| surgery::split(bytes, 0, 0x80, 17));
    let volume = image.open();
    assert!(volume.records() >= 120);
    assert!(volume.lookup("$MFT").unwrap().layout().unwrap().extents.len() > 60);
    let paths = compare_some(&image, |_| true);
    assert_eq!(paths.iter().filter(|path| path.starts_with("/file")).count(), 60);
    for number in 0..60 {
        let file = volume.lookup(&format!("/FILE {number}")).unwrap();
        assert_eq!(all(&file.content().unwrap()), noise(300 + number, number as u64));
    }
}

#[test]
fn sectors_and_clusters_of_every_size() {
    if !have_tools() {
        return;
    }
    let small = b"small enough for the record".to_vec();
    let big = noise(3_000_000, 5);
    for (sector, cluster) in [
        (512, 512),
        (512, 2048),
        (512, 65_536),
        (512, 131_072),
        (512, 2 << 20),
        (4096, 4096),
        (4096, 65_536),
    ] {
        let args = [format!("-s{sector}"), format!("-c{cluster}")];
        let image = Image::new(64 << 20, &[&args[0], &args[1]]);
        image.put("/small", &small);
        image.put("/big", &big);
        for number in 0..12 {
            image.put(&format!("/one of several files {number}"), &small);
        }
        let volume = image.open();
        let info = volume.info().unwrap();
        assert_eq!((u64::from(info.sector_size), info.cluster_size), (sector, cluster));
        assert_eq!(info.record_size, if sector == 4096 { 4096 } else { 1024 });
        assert_eq!(all(&volume.lookup("/SMALL").unwrap().content().unwrap()), small);
        assert!(all(&volume.lookup("/big").unwrap().content().unwrap()) == big);
        let entries = volume.root().unwrap().read_dir().unwrap().map(Result::unwrap);
        assert_eq!(entries.filter(|entry| !entry.is_system_file()).count(), 14);
        for path in ["/small", "/big"] {
            check_layout(&image, &volume, path, "", &image.cat(path));
        }
    }
}

#[test]
fn reparse_points_are_shown_and_not_followed() {
    if !have_tools() {
        return;
    }
    let names = |substitute: &str, printed: &str, flags: &str| {
        let (substitute, printed) = (utf16_hex(substitute), utf16_hex(printed));
        let (a, b) = (substitute.len() / 2, printed.len() / 2);
        let le = |number: usize| format!("{:02x}{:02x}", number & 255, number >> 8);
        format!("{}{}{}{}{flags}{substitute}{printed}", le(0), le(a), le(a), le(b))
    };
    let reparse = |tag: &str, data: &str| format!("0x{tag}{:02x}000000{data}", data.len() / 2);
    let image = Image::new(16 << 20, &[]);
    let filled = image.mount(|root| {
        let point = "system.ntfs_reparse_data";
        fs::create_dir(root.join("junction")).unwrap();
        set(
            &root.join("junction"),
            point,
            &reparse("030000a0", &names(r"\??\C:\Users", r"C:\Users", "")),
        );
        fs::write(root.join("link"), b"").unwrap();
        set(
            &root.join("link"),
            point,
            &reparse("0c0000a0", &names(r"..\there", "", "01000000")),
        );
        fs::write(root.join("linux"), b"").unwrap();
        set(&root.join("linux"), point, &reparse("1d0000a0", "020000002f657463"));
        fs::write(root.join("wof.exe"), vec![0; 5000]).unwrap();
        fs::write(root.join("wof.exe:WofCompressedData"), noise(900, 2)).unwrap();
        set(
            &root.join("wof.exe"),
            point,
            &reparse("17000080", "01000000020000000100000000000000"),
        );
        fs::write(root.join("dedup"), b"stub").unwrap();
        set(&root.join("dedup"), point, &reparse("13000080", "0100000000000000"));
    });
    if !filled {
        return;
    }
    let volume = image.open();
    let reparse = |path| volume.lookup(path).unwrap().reparse().unwrap().unwrap();
    assert_eq!(reparse("junction").target(), Some(r"C:\Users"));
    let Reparse::Symlink { target, relative, .. } = reparse("link") else {
        panic!("{:?}", reparse("link"));
    };
    assert_eq!(
        (target.as_str(), relative),
        (r"..\there", true),
        "shown by what it resolves to, having nothing to print"
    );
    assert_eq!(reparse("linux").target(), Some("/etc"));
    assert_eq!(reparse("wof.exe"), Reparse::SystemCompressed { provider: 2 });
    assert_eq!(reparse("dedup").tag(), 0x8000_0013);

    let wof = volume.lookup("wof.exe").unwrap();
    assert!(matches!(wof.content(), Err(Error::SystemCompressed { .. })));
    assert_eq!(all(&wof.stream("WofCompressedData").unwrap()), noise(900, 2));
    assert_eq!(format!("{:?}", wof.layout().unwrap().obstacles), "[SystemCompressed]");
    let dedup = volume.lookup("dedup").unwrap();
    assert!(matches!(
        dedup.content(),
        Err(Error::Elsewhere { tag: 0x8000_0013, .. })
    ));
    assert_eq!(
        format!("{:?}", dedup.layout().unwrap().obstacles),
        "[ReparsePoint { tag: 2147483667 }]"
    );

    let through = volume.lookup(r"\junction\Public").unwrap_err().to_string();
    assert_eq!(
        through,
        r"/junction is a reparse point (tag 0xa0000003) to C:\Users; look there"
    );
    let listed: BTreeMap<String, _> = volume
        .root()
        .unwrap()
        .read_dir()
        .unwrap()
        .map(Result::unwrap)
        .map(|entry| (entry.name.to_string(), entry.reparse_tag))
        .collect();
    assert_eq!(listed["junction"], Some(0xa000_0003));
    assert_eq!(listed["$MFT"], None);
}

#[test]
fn a_name_with_a_slash_is_found_as_it_is() {
    if !have_tools() {
        return;
    }
    let image = Image::new(8 << 20, &[]);
    if !image.mount(|root| fs::write(root.join(r"back\slash"), b"odd").unwrap()) {
        return;
    }
    let volume = image.open();
    assert!(matches!(volume.lookup(r"/back\slash"), Err(Error::NotFound { .. })));
    let found = volume
        .root()
        .unwrap()
        .child(&Name::from(r"BACK\slash"))
        .unwrap()
        .unwrap();
    assert_eq!(all(&volume.file(found).unwrap().content().unwrap()), b"odd");
}

#[test]
fn ntfsfix_finds_nothing_to_say_of_a_patch_through_the_layout() {
    if !have_tools() {
        return;
    }
    let image = Image::new(8 << 20, &[]);
    let before = noise(500, 11);
    image.put("/resident", &before);
    let layout = image.open().lookup("/resident").unwrap().layout().unwrap();
    assert!(layout.obstacles.is_empty());
    assert!(
        layout.extents.len() >= 3,
        "the record's first sector ends in it: {:?}",
        layout.extents
    );
    let after = noise(500, 12);
    let mut at = 0;
    for range in layout.on_volume(0..500).unwrap() {
        let len = (range.end - range.start) as usize;
        image.patch(range.start, &after[at..at + len]);
        at += len;
    }
    assert_eq!(image.cat("/resident"), after);
    assert_eq!(
        all(&image.open().lookup("/resident").unwrap().content().unwrap()),
        after
    );
    let mut check: Command = tool("ntfsfix");
    image.run(check.arg("-n").arg(image.path()));
}
