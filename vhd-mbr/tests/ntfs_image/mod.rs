//! NTFS images made by ntfs-3g and its tools, and changed by hand where no tool makes what is wanted.
#![allow(dead_code)]

pub(crate) mod surgery;

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use vhd_mbr::ntfs::Ntfs;
use xen_disk::{ReadAt, WriteAt};

/// The program, found even where only the superuser's search path leads to it.
pub(crate) fn tool(program: &str) -> Command {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new(program);
    command
        .env("PATH", format!("{path}:/usr/sbin:/sbin"))
        .env("LC_ALL", "C.UTF-8");
    command
}

/// The test is skipped where something is missing, but not in CI.
fn skip(reason: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{reason}, which CI needs");
    eprintln!("skipped: {reason}");
}

/// Whether the tools of ntfs-3g can be run.
pub(crate) fn have_tools() -> bool {
    let found = tool("ntfscat").arg("--version").output().is_ok();
    if !found {
        skip("ntfs-3g is not installed");
    }
    found
}

/// An image file that is one NTFS volume.
pub(crate) struct Image {
    folder: TempDir,
}

impl Image {
    /// A new volume of `size` bytes.
    pub(crate) fn new(size: u64, args: &[&str]) -> Self {
        let image = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        File::create(image.path()).unwrap().set_len(size).unwrap();
        image.run(tool("mkfs.ntfs").args(["-q", "-F", "-f"]).args(args).arg(image.path()));
        image
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("ntfs.img")
    }

    pub(crate) fn open(&self) -> Ntfs<File> {
        Ntfs::open(File::open(self.path()).unwrap()).unwrap()
    }

    pub(crate) fn run(&self, command: &mut Command) -> Vec<u8> {
        let output = command.stdin(Stdio::null()).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?}: {stderr}");
        output.stdout
    }

    /// Puts a file on the volume, to which no directory has to be made.
    pub(crate) fn put(&self, path: &str, bytes: &[u8]) {
        let source = self.folder.path().join("source");
        fs::write(&source, bytes).unwrap();
        self.run(
            tool("ntfscp")
                .args(["-q", "-f"])
                .args([&self.path(), &source])
                .arg(path),
        );
    }

    /// What ntfscat reads of a file.
    pub(crate) fn cat(&self, path: &str) -> Vec<u8> {
        self.run(tool("ntfscat").args(["-q", "-f"]).arg(self.path()).arg(path))
    }

    /// What ntfscat reads of a file's stream.
    pub(crate) fn cat_stream(&self, path: &str, stream: &str) -> Vec<u8> {
        self.run(
            tool("ntfscat")
                .args(["-q", "-f", "-n", stream])
                .arg(self.path())
                .arg(path),
        )
    }

    /// Lets `fill` write to the volume through FUSE; false where there is none.
    pub(crate) fn mount(&self, fill: impl FnOnce(&Path)) -> bool {
        let point = self.folder.path().join("mounted");
        fs::create_dir_all(&point).unwrap();
        let outside = fs::metadata(&point).unwrap().dev();
        let mut driver = tool("ntfs-3g")
            .args(["-o", "no_detach,streams_interface=windows,big_writes,noatime"])
            .args([&self.path(), &point])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let started = Instant::now();
        while fs::metadata(&point).unwrap().dev() == outside {
            if driver.try_wait().unwrap().is_some() || started.elapsed() > Duration::from_secs(10) {
                driver.kill().unwrap();
                driver.wait().unwrap();
                skip("ntfs-3g cannot mount through FUSE here");
                return false;
            }
            sleep(Duration::from_millis(5));
        }
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| fill(&point)));
        let unmounted = tool("umount").arg(&point).status().is_ok_and(|status| status.success())
            || tool("fusermount")
                .arg("-u")
                .arg(&point)
                .status()
                .is_ok_and(|status| status.success());
        assert!(unmounted);
        // Only when the driver has ended is everything in the image.
        assert!(driver.wait().unwrap().success());
        if let Err(panic) = result {
            std::panic::resume_unwind(panic);
        }
        true
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        fs::read(self.path()).unwrap()
    }

    /// Changes the image as a whole.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = self.bytes();
        change(&mut bytes);
        File::create(self.path()).unwrap().write_all(&bytes).unwrap();
    }

    pub(crate) fn patch(&self, offset: u64, bytes: &[u8]) {
        let mut file = File::options().read(true).write(true).open(self.path()).unwrap();
        file.write_all_at(offset, bytes).unwrap();
    }
}

/// All bytes of a disk or stream.
pub(crate) fn all(stream: &impl ReadAt) -> Vec<u8> {
    let mut bytes = vec![0; stream.size().unwrap() as usize];
    stream.read_exact_at(0, &mut bytes).unwrap();
    bytes
}

/// Bytes that no compression makes shorter, the same for the same seed.
pub(crate) fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// Lines of text, which compress well.
pub(crate) fn text(len: usize) -> Vec<u8> {
    let lines = (0..).map(|number| format!("line {number} of {len}, as in a configuration file\r\n"));
    let mut text = lines
        .scan(0, |done, line| (*done < len).then(|| (*done += line.len(), line).1))
        .collect::<String>();
    text.truncate(len);
    text.into_bytes()
}

pub(crate) fn number(bytes: &[u8], at: usize, len: usize) -> u64 {
    bytes[at..at + len]
        .iter()
        .rev()
        .fold(0, |number, &byte| number << 8 | u64::from(byte))
}

pub(crate) fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}

/// Where `$MFT` starts.
pub(crate) fn mft(image: &[u8]) -> usize {
    cluster_size(image) * number(image, 48, 8) as usize
}

pub(crate) fn cluster_size(image: &[u8]) -> usize {
    (number(image, 11, 2) * number(image, 13, 1)) as usize
}

/// Changes a file record of 1024 bytes of a volume whose `$MFT` starts in one piece, with its sector ends in place.
pub(crate) fn change_record(image: &mut [u8], record: usize, change: impl FnOnce(&mut [u8])) {
    let at = mft(image) + record * 1024;
    let array = at + number(image, at + 4, 2) as usize;
    for sector in 0..2 {
        image.copy_within(array + 2 + 2 * sector..array + 4 + 2 * sector, at + sector * 512 + 510);
    }
    change(&mut image[at..at + 1024]);
    let array = at + number(image, at + 4, 2) as usize;
    for sector in 0..2 {
        let end = at + sector * 512 + 510;
        image.copy_within(end..end + 2, array + 2 + 2 * sector);
        image.copy_within(array..array + 2, end);
    }
}

/// Where the first attribute of this kind is in a record.
pub(crate) fn attribute(record: &[u8], kind: u64) -> usize {
    let mut at = number(record, 20, 2) as usize;
    while number(record, at, 4) != kind {
        assert!(number(record, at, 4) < kind, "no attribute {kind:#x}");
        at += number(record, at + 4, 4) as usize;
    }
    at
}
