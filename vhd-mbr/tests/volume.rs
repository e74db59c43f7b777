//! Files on volumes of every kind, made by the tools of their file systems, read through one API and compared whole.
#![cfg(unix)]

mod images;

use std::fs::{self, File};
use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use images::{Workplace, assert_same, files, have, noise, run, tool};
use vhd_mbr::layout::{Obstacle, Place};
use vhd_mbr::volume::{ContentKind, Error, FileKind, PathError, Volume};
use xen_disk::ReadAt;

fn open(image: &str) -> Volume<File> {
    Volume::open(File::open(image).unwrap()).unwrap()
}

fn content<D: ReadAt>(volume: &Volume<D>, path: &str) -> Vec<u8> {
    let content = volume.content(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut bytes = Vec::new();
    assert_eq!(content.copy_to(&mut bytes).unwrap(), content.len(), "{path}");
    bytes
}

/// The paths of all files that can be listed, with their sizes.
fn walk<D: ReadAt>(volume: &Volume<D>) -> Vec<(String, u64)> {
    let mut found = Vec::new();
    let mut directories = vec![String::new()];
    while let Some(directory) = directories.pop() {
        for entry in volume.list(&directory).unwrap() {
            let entry = entry.unwrap();
            let path = format!("{directory}/{}", entry.name);
            match entry.kind {
                FileKind::Directory => directories.push(path),
                FileKind::File => found.push((path[1..].to_owned(), entry.size)),
                _ => {}
            }
        }
    }
    found.sort();
    found
}

/// All files of the tree are on the volume and no others, and each reads as it was put there: in one go, and from
/// anywhere.
fn compare<D: ReadAt>(work: &Workplace, volume: &Volume<D>) {
    let mut found = walk(volume);
    found.retain(|(path, _)| !path.starts_with("lost+found"));
    let sources = files(&work.tree());
    let difference = found.iter().zip(&sources).find(|((path, _), source)| path != *source);
    assert!(difference.is_none() && found.len() == sources.len(), "{difference:?}");
    for (path, size) in found {
        let expected = work.content(&path);
        assert_eq!(size, expected.len() as u64, "{path}");
        assert_eq!(volume.stat(&path).unwrap().size, size, "{path}");
        assert_same(&content(volume, &path), &expected, &path);
        let content = volume.content(&path).unwrap();
        for (from, to) in [(1, 2), (4095, 4098), (5000, 70_000), (size.saturating_sub(3), size)] {
            let (from, to) = (size.min(from), size.min(to));
            let mut part = vec![1; (to - from) as usize];
            content.read_exact_at(from, &mut part).unwrap();
            assert_same(&part, &expected[from as usize..to as usize], &path);
        }
        let beyond = content.read_exact_at(size, &mut [0]).unwrap_err();
        assert_eq!(beyond.kind(), io::ErrorKind::UnexpectedEof);
        if let Ok(layout) = volume.layout(&path) {
            assert_eq!(layout.size, size, "{path}");
        }
    }
}

/// Files of many sizes, with names of many kinds, and one with holes.
fn workplace() -> Workplace {
    let work = Workplace::new();
    work.put("empty", b"");
    work.put("tiny", b"tiny");
    work.put("etc/fstab", &noise(2, 1000));
    work.put("boot/grub/grub.cfg", &noise(3, 100_000));
    work.put("large", &noise(4, 3_000_001));
    work.put("text", "compresses well, line by line\n".repeat(30_000).as_bytes());
    work.put("größe/naïve ☃ 😀/𝄞", b"beyond the basic plane");
    work.put_sparse("holes", 900_000, &[(300_000, b"island"), (899_000, b"end")]);
    for index in 0..300 {
        work.put(&format!("many/file {index:03}"), format!("{index}").as_bytes());
    }
    work
}

fn with_links(work: &Workplace) {
    work.link("/etc/fstab", "absolute");
    work.link("../boot/../etc/./fstab", "boot/relative");
    work.link("boot", "directory");
    work.link("circle", "circle");
    work.link(&format!("{}etc/fstab", "./".repeat(60)), "long");
}

fn follow_links<D: ReadAt>(work: &Workplace, volume: &Volume<D>) {
    for path in [
        "/absolute",
        "boot/relative",
        "directory/relative",
        "directory/../etc//fstab",
        "/../long",
    ] {
        assert_eq!(content(volume, path), work.content("etc/fstab"), "{path}");
    }
    let link = volume.stat("boot/relative").unwrap();
    assert_eq!(link.kind, FileKind::Symlink);
    assert_eq!(link.target.as_deref(), Some("../boot/../etc/./fstab"));
    assert_eq!(volume.list("directory").unwrap().count(), 2);
    let circle = volume.content("circle").unwrap_err();
    assert!(
        matches!(circle, Error::Path(PathError::TooManyLinks { .. })),
        "{circle}"
    );
}

fn refuse<D: ReadAt>(volume: &Volume<D>) {
    let missing = volume.content("etc/nothing").unwrap_err();
    assert!(matches!(missing, Error::Path(PathError::NotFound { .. })), "{missing}");
    let directory = volume.content("etc").unwrap_err();
    assert!(
        matches!(directory, Error::Path(PathError::NotAFile { .. })),
        "{directory}"
    );
    let file = volume.list("etc/fstab").unwrap_err();
    assert!(matches!(file, Error::Path(PathError::NotADirectory { .. })), "{file}");
    let through = volume.stat("etc/fstab/x").unwrap_err();
    assert!(
        matches!(through, Error::Path(PathError::NotADirectory { .. })),
        "{through}"
    );
}

/// The time that files of the tree have.
fn stamp(work: &Workplace, path: &str) -> SystemTime {
    let time = UNIX_EPOCH + Duration::new(1_500_000_000, 123_456_700);
    let file = File::open(work.tree().join(path)).unwrap();
    file.set_times(fs::FileTimes::new().set_modified(time)).unwrap();
    time
}

#[test]
fn ext() {
    if !have(&["mke2fs"]) {
        return;
    }
    let work = workplace();
    with_links(&work);
    let time = stamp(&work, "tiny");
    for (kind, label, options) in [
        (ContentKind::Ext2, "two", &["-t", "ext2", "-b", "1024", "-I", "128"][..]),
        (ContentKind::Ext3, "three", &["-t", "ext3", "-I", "256"]),
        (
            ContentKind::Ext4,
            "four",
            &["-t", "ext4", "-O", "inline_data", "-b", "4096"],
        ),
    ] {
        let (image, tree) = (work.image(24 << 20), work.tree());
        let mut args = vec!["-q", "-F", "-L", label, "-d", tree.to_str().unwrap()];
        args.extend(options);
        args.push(&image);
        run("mke2fs", &args, "");
        let volume = open(&image);
        assert_eq!(volume.kind(), kind);
        assert_eq!(volume.label().unwrap().as_deref(), Some(label));
        compare(&work, &volume);
        follow_links(&work, &volume);
        refuse(&volume);
        let modified = volume.stat("tiny").unwrap().modified.unwrap();
        assert_eq!(
            modified.duration_since(UNIX_EPOCH).unwrap().as_secs(),
            time.duration_since(UNIX_EPOCH).unwrap().as_secs()
        );
    }
}

#[test]
fn xfs() {
    if !have(&["mkfs.xfs"]) {
        return;
    }
    let work = workplace();
    // A prototype has no spaces in names.
    fs::remove_dir_all(work.tree().join("größe")).unwrap();
    fs::remove_dir_all(work.tree().join("many")).unwrap();
    for index in 0..300 {
        work.put(&format!("many/file-{index:03}-😀"), format!("{index}").as_bytes());
    }
    with_links(&work);
    let image = work.image(64 << 20);
    let prototype = work.path("prototype");
    fs::write(&prototype, format!("/none\n0 0\n{}", prototype_of(&work.tree()))).unwrap();
    for options in [&[][..], &["-m", "crc=0"], &["-b", "size=1024", "-m", "bigtime=0"]] {
        make_xfs(&image, &prototype, &[options, &["-L", "system"]].concat());
        let volume = open(&image);
        assert_eq!(volume.kind(), ContentKind::Xfs);
        assert_eq!(volume.label().unwrap().as_deref(), Some("system"));
        compare(&work, &volume);
        follow_links(&work, &volume);
        refuse(&volume);
        let made = volume.stat("tiny").unwrap().modified.unwrap();
        assert!(made.elapsed().is_ok_and(|ago| ago < Duration::from_secs(3600)));
    }
}

fn make_xfs(image: &str, prototype: &str, options: &[&str]) {
    let mut command = tool("mkfs.xfs");
    // Volumes of less than 300 MiB are for its own tests.
    command
        .env("TEST_DIR", "1")
        .env("TEST_DEV", "1")
        .env("QA_CHECK_FS", "1");
    let made = command
        .args(["-q", "-f", "-p", prototype])
        .args(options)
        .arg(image)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

/// A folder as `mkfs.xfs -p` takes it, with all that is in it.
fn prototype_of(folder: &std::path::Path) -> String {
    let mut lines = "d--755 0 0\n".to_owned();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
        let kind = entry.file_type().unwrap();
        lines += &if kind.is_dir() {
            format!("{name} {}", prototype_of(&path))
        } else if kind.is_symlink() {
            format!("{name} l--777 0 0 {}\n", fs::read_link(&path).unwrap().display())
        } else {
            format!("{name} ---644 0 0 {}\n", path.display())
        };
    }
    lines + "$\n"
}

#[test]
fn btrfs() {
    if !have(&["mkfs.btrfs"]) {
        return;
    }
    let work = workplace();
    with_links(&work);
    let (image, tree) = (work.image(128 << 20), work.tree());
    run(
        "mkfs.btrfs",
        &["-q", "-f", "-L", "data", "--rootdir", tree.to_str().unwrap(), &image],
        "",
    );
    let volume = open(&image);
    assert_eq!(volume.kind(), ContentKind::Btrfs);
    assert_eq!(volume.label().unwrap().as_deref(), Some("data"));
    compare(&work, &volume);
    follow_links(&work, &volume);
    refuse(&volume);
    let layout = volume.layout("large").unwrap();
    assert_eq!(layout.obstacles, [Obstacle::CopyOnWrite]);
    let disk = File::open(&image).unwrap();
    assert_same(&images::read(&disk, &layout), &work.content("large"), "large");
}

#[test]
fn fat() {
    if !have(&["mkfs.fat", "mcopy"]) {
        return;
    }
    let work = workplace();
    // mtools has no names beyond the basic plane.
    fs::remove_dir_all(work.tree().join("größe")).unwrap();
    work.put("EFI/Microsoft/naïve ☃.efi", &noise(7, 5000));
    let time = stamp(&work, "tiny");
    for (kind, size, options) in [
        (ContentKind::Fat12, 8 << 20, &["-F", "12", "-s", "8"][..]),
        (ContentKind::Fat16, 16 << 20, &["-F", "16"]),
        (ContentKind::Fat32, 40 << 20, &["-F", "32"]),
    ] {
        let image = work.image(size);
        run("mkfs.fat", &[options, &["-n", "EFI", &image]].concat(), "");
        for entry in fs::read_dir(work.tree()).unwrap() {
            let path = entry.unwrap().path();
            run("mcopy", &["-m", "-s", "-i", &image, path.to_str().unwrap(), "::"], "");
        }
        let volume = open(&image);
        assert_eq!(volume.kind(), kind);
        assert_eq!(volume.label().unwrap().as_deref(), Some("EFI"));
        compare(&work, &volume);
        refuse(&volume);
        assert_eq!(
            content(&volume, r"\efi\MICROSOFT\NAÏVE ☃.EFI"),
            work.content("EFI/Microsoft/naïve ☃.efi")
        );
        let modified = volume.stat("TINY").unwrap().modified.unwrap();
        // FAT has local time, and every second one.
        let off = modified.duration_since(time).unwrap_or_else(|error| error.duration());
        assert!(off < Duration::from_secs(14 * 3600 + 2), "{off:?}");
    }
}

#[test]
fn iso() {
    if !have(&["xorriso", "genisoimage"]) {
        return;
    }
    let work = workplace();
    with_links(&work);
    let time = stamp(&work, "tiny");
    // More than eight directories deep, where Rock Ridge moves them; and a name with many fields.
    work.put(&format!("{}deepest", "down/".repeat(12)), b"deep");
    work.put(&"x".repeat(240), b"a long name");
    let tree = work.tree();
    let tree = tree.to_str().unwrap();
    let image = work.path("image.iso");
    let quiet = ["-quiet", "-input-charset", "utf-8", "-V", "DISC", "-o", &image];
    let xorriso = ["-as", "mkisofs", "-quiet", "-V", "DISC", "-o", &image];
    for (program, options) in [
        ("genisoimage", [&quiet[..], &["-R"]].concat()),
        (
            "genisoimage",
            [&quiet[..], &["-r", "-J", "-joliet-long", "-D"]].concat(),
        ),
        ("xorriso", [&xorriso[..], &["-R", "-J"]].concat()),
    ] {
        run(program, &[&options[..], &[tree]].concat(), "");
        let volume = open(&image);
        assert_eq!(volume.kind(), ContentKind::Iso9660);
        assert_eq!(volume.label().unwrap().as_deref(), Some("DISC"));
        compare(&work, &volume);
        follow_links(&work, &volume);
        refuse(&volume);
        let modified = volume.stat("tiny").unwrap().modified.unwrap();
        assert_eq!(modified, time - Duration::from_nanos(123_456_700), "{program}");
    }
    for path in ["absolute", "directory", "circle", "long", "boot/relative"] {
        fs::remove_file(tree.to_owned() + "/" + path).unwrap();
    }
    // Joliet has no names beyond the basic plane.
    fs::remove_dir_all(work.tree().join("größe")).unwrap();
    work.put("größe/naïve ☃", b"in capitals too");
    fs::remove_dir_all(work.tree().join("down")).unwrap();
    fs::remove_file(work.tree().join("x".repeat(240))).unwrap();
    run(
        "xorriso",
        &["-as", "mkisofs", "-quiet", "-J", "--norock", "-o", &image, tree],
        "",
    );
    let volume = open(&image);
    compare(&work, &volume);
    assert_eq!(content(&volume, "ETC/FSTAB"), work.content("etc/fstab"));
    assert_eq!(content(&volume, "GRÖßE/NAÏVE ☃"), b"in capitals too");
    run(
        "genisoimage",
        &[
            "-quiet",
            "-input-charset",
            "utf-8",
            "-iso-level",
            "1",
            "-o",
            &image,
            tree,
        ],
        "",
    );
    let volume = open(&image);
    assert_eq!(content(&volume, "/etc/fstab"), work.content("etc/fstab"));
    assert_eq!(
        content(&volume, "/BOOT/GRUB/GRUB.CFG"),
        work.content("boot/grub/grub.cfg")
    );
}

#[test]
fn ntfs() {
    if !have(&["mkfs.ntfs", "ntfscp"]) {
        return;
    }
    let work = Workplace::new();
    for (index, name) in ["empty", "tiny", "Naïve ☃ 😀.txt", "large"].into_iter().enumerate() {
        work.put(name, &noise(index as u64, [0, 100, 5000, 2_000_001][index]));
    }
    let image = work.image(16 << 20);
    run("mkfs.ntfs", &["-q", "-F", "-f", "-L", "Windows", &image], "");
    for path in files(&work.tree()) {
        let source = work.tree().join(&path);
        run("ntfscp", &["-q", "-f", &image, source.to_str().unwrap(), &path], "");
    }
    let volume = open(&image);
    assert_eq!(volume.kind(), ContentKind::Ntfs);
    assert_eq!(volume.label().unwrap().as_deref(), Some("Windows"));
    compare(&work, &volume);
    assert_eq!(content(&volume, r"\NAÏVE ☃ 😀.TXT"), work.content("Naïve ☃ 😀.txt"));
    let missing = volume.content("nothing").unwrap_err();
    assert!(matches!(missing, Error::Path(PathError::NotFound { .. })), "{missing}");
    let inside = volume
        .list(r"$Extend")
        .unwrap()
        .map(|entry| entry.unwrap().name.to_string());
    assert!(inside.collect::<Vec<_>>().contains(&"$Reparse".to_owned()));
    let boot = volume.layout("$Boot").unwrap();
    assert_eq!(boot.extents[0].place, Place::Data { offset: 0 });
    assert_eq!(boot.obstacles, [Obstacle::SystemFile]);
}

#[test]
fn a_directory_of_50_000_entries() {
    if !have(&["mkfs.xfs"]) {
        return;
    }
    const COUNT: usize = 50_000;
    let work = Workplace::new();
    let (image, prototype) = (work.image(64 << 20), work.path("prototype"));
    let lines: String = (0..COUNT)
        .map(|index| format!("entry-{index:05} ---644 0 0 /dev/null\n"))
        .collect();
    fs::write(
        &prototype,
        format!("/none\n0 0\nd--755 0 0\nmany d--755 0 0\n{lines}$\n$\n"),
    )
    .unwrap();
    make_xfs(&image, &prototype, &["-i", "maxpct=100"]);
    let volume = open(&image);
    let names = volume.list("many").unwrap();
    let mut names: Vec<_> = names.map(|entry| entry.unwrap().name.to_string()).collect();
    names.sort();
    let expected = (0..COUNT).map(|index| format!("entry-{index:05}"));
    assert!(names.iter().eq(expected.collect::<Vec<_>>().iter()));
    assert_eq!(volume.stat("many/entry-49999").unwrap().kind, FileKind::File);
}

#[test]
fn names_that_are_no_text() {
    if !have(&["mke2fs"]) {
        return;
    }
    use std::os::unix::ffi::OsStrExt;
    let work = Workplace::new();
    let name = b"caf\xe9";
    fs::write(work.tree().join(std::ffi::OsStr::from_bytes(name)), b"latin").unwrap();
    let (image, tree) = (work.image(4 << 20), work.tree());
    run("mke2fs", &["-q", "-F", "-d", tree.to_str().unwrap(), &image], "");
    let volume = open(&image);
    let entries: Vec<_> = volume.list("").unwrap().map(|entry| entry.unwrap().name).collect();
    let found = entries.iter().find(|entry| entry.as_bytes() == name).unwrap();
    assert_eq!(found.to_string(), "caf\u{fffd}");
    let mut bytes = Vec::new();
    volume.content(found).unwrap().copy_to(&mut bytes).unwrap();
    assert_eq!(bytes, b"latin");
}
