//! Volumes made by the tools of their file systems, and what they hold.
#![allow(dead_code, reason = "each test file uses some of it")]

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;
use vhd_mbr::layout::{Layout, Place};
use xen_disk::ReadAt;

/// The program, found even where only the superuser's search path leads to it.
pub(crate) fn tool(program: &str) -> Command {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new(program);
    command
        .env("PATH", format!("{path}:/usr/sbin:/sbin"))
        .env("LC_ALL", "C.UTF-8");
    command
}

/// Whether all programs can be run; where they cannot, the test is skipped, but not in CI.
pub(crate) fn have(programs: &[&str]) -> bool {
    let missing = |program: &&&str| tool(program).arg("-V").output().is_err();
    let Some(program) = programs.iter().find(missing) else {
        return true;
    };
    assert!(
        std::env::var("CI").as_deref() != Ok("true"),
        "{program} must be installed in CI"
    );
    eprintln!("skipped: {program} is not installed");
    false
}

/// Runs a program to its end, whatever its exit status.
pub(crate) fn outcome(program: &str, args: &[&str], input: &str) -> Output {
    let mut command = tool(program);
    command
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        // A program may answer before it has read everything, or read nothing.
        scope.spawn(move || drop(stdin.write_all(input.as_bytes())));
        child.wait_with_output().unwrap()
    })
}

/// Runs a program that must succeed and gives what it printed.
pub(crate) fn run(program: &str, args: &[&str], input: &str) -> String {
    let Output { status, stdout, stderr } = outcome(program, args, input);
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{program} {args:?}: {stdout}{stderr}");
    stdout.into_owned()
}

/// Bytes that compress badly and repeat nowhere.
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..len.div_ceil(8)).flat_map(|_| next()).take(len).collect()
}

/// A folder with room for an image and for the files to put into it.
pub(crate) struct Workplace {
    folder: TempDir,
}

impl Workplace {
    pub(crate) fn new() -> Self {
        // The tools wait for the disk at their end; memory has nothing to wait for.
        let folder = TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).unwrap();
        fs::create_dir(folder.path().join("tree")).unwrap();
        Self { folder }
    }

    /// What is to be put into the image.
    pub(crate) fn tree(&self) -> PathBuf {
        self.folder.path().join("tree")
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// Writes a file into the tree.
    pub(crate) fn put(&self, path: &str, content: &[u8]) {
        let path = self.tree().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Writes a file into the tree that has these parts only, and holes between them.
    pub(crate) fn put_sparse(&self, path: &str, size: u64, parts: &[(u64, &[u8])]) {
        let file = File::create(self.tree().join(path)).unwrap();
        file.set_len(size).unwrap();
        for (offset, part) in parts {
            file.write_all_at(part, *offset).unwrap();
        }
    }

    pub(crate) fn link(&self, target: &str, path: &str) {
        std::os::unix::fs::symlink(target, self.tree().join(path)).unwrap();
    }

    pub(crate) fn content(&self, path: &str) -> Vec<u8> {
        fs::read(self.tree().join(path)).unwrap()
    }

    /// An empty image file.
    pub(crate) fn image(&self, size: u64) -> String {
        let path = self.path("image");
        File::create(&path).unwrap().set_len(size).unwrap();
        path
    }
}

/// The paths of all files below `folder`.
pub(crate) fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let entry = entry.unwrap();
            match entry.file_type().unwrap() {
                kind if kind.is_dir() => folders.push(entry.path()),
                kind if kind.is_file() => {
                    found.push(entry.path().strip_prefix(folder).unwrap().to_str().unwrap().to_owned());
                }
                _ => {}
            }
        }
    }
    found.sort();
    found
}

/// Compares without printing megabytes.
#[track_caller]
pub(crate) fn assert_same(found: &[u8], expected: &[u8], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    if found == expected {
        return;
    }
    let difference = found.iter().zip(expected).position(|(one, other)| one != other);
    assert_eq!(difference, None, "{what}: the first byte that differs");
}

/// The content of a file, read where its layout says it is.
pub(crate) fn read(volume: &dyn ReadAt, layout: &Layout) -> Vec<u8> {
    let mut content = Vec::new();
    for extent in &layout.extents {
        assert_eq!(extent.file.start, content.len() as u64, "{layout:?}");
        let mut part = vec![0; (extent.file.end - extent.file.start) as usize];
        match extent.place {
            Place::Data { offset } => volume.read_exact_at(offset, &mut part).unwrap(),
            Place::Hole | Place::Unwritten { .. } => {}
            other => panic!("{other:?}"),
        }
        content.append(&mut part);
    }
    assert_eq!(content.len() as u64, layout.size);
    content
}

/// For each block of the file the number of the volume's block that holds it, 0 in a hole, and whether it is written.
pub(crate) fn blocks(layout: &Layout, block_size: u64) -> Vec<(u64, bool)> {
    let mut found = Vec::new();
    let mut extents = layout.extents.iter().peekable();
    for at in (0..layout.size).step_by(block_size as usize) {
        while extents.next_if(|extent| extent.file.end <= at).is_some() {}
        let extent = extents.peek().unwrap();
        let inside = at - extent.file.start;
        found.push(match extent.place {
            Place::Data { offset } => ((offset + inside) / block_size, true),
            Place::Unwritten { offset } => ((offset + inside) / block_size, false),
            Place::Hole => (0, true),
            other => panic!("{other:?}"),
        });
    }
    found
}
