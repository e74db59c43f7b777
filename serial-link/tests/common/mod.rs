//! A virtual machine: QEMU without acceleration, and a boot sector as its guest.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

const GUEST: &[u8] = include_bytes!("../guest/guest.bin");

const QEMU: &str = "qemu-system-x86_64";

/// What a test needs from the system, or the reason why it is skipped; with CI set, there is no skipping.
pub(crate) fn needs(programs: &[&str]) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let there = |program: &str| std::env::split_paths(&path).any(|folder| folder.join(program).exists());
    let missing: Vec<_> = programs.iter().filter(|program| !there(program)).collect();
    if missing.is_empty() {
        return true;
    }
    assert!(std::env::var_os("CI").is_none(), "not installed: {missing:?}");
    eprintln!("skipped: not installed: {missing:?}");
    false
}

/// Whether there is a QEMU.
pub(crate) fn has_qemu() -> bool {
    needs(&[QEMU])
}

/// A VM with a serial port of a certain form.
pub(crate) struct Vm {
    pub(crate) folder: TempDir,
    process: Child,
}

impl Drop for Vm {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Vm {
    /// Starts one; `FOLDER` in the form is a folder of its own.
    pub(crate) fn start(form: &str) -> Self {
        Self::start_in(tempfile::tempdir().expect("a folder"), form)
    }

    pub(crate) fn start_in(folder: TempDir, form: &str) -> Self {
        Self::start_with(folder, form, &[])
    }

    /// With more arguments, in which `FOLDER` is the folder, too.
    pub(crate) fn start_with(folder: TempDir, form: &str, more: &[&str]) -> Self {
        let at = folder.path().display().to_string();
        fs::write(folder.path().join("guest"), GUEST).expect("the guest");
        let process = Command::new(QEMU)
            .args([
                "-display",
                "none",
                "-nodefaults",
                "-machine",
                "pc",
                "-accel",
                "tcg",
                "-m",
                "16",
            ])
            .args(["-drive", &format!("file={at}/guest,format=raw,if=floppy,readonly=on")])
            .args(["-debugcon", &format!("file:{at}/ticks")])
            .args(["-qmp", &format!("unix:{at}/qmp,server,nowait")])
            .args(["-serial", &form.replace("FOLDER", &at)])
            .args(more.iter().map(|word| word.replace("FOLDER", &at)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.path().join("said")).expect("a file"))
            .spawn()
            .expect("qemu");
        Self { folder, process }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    fn ticks(&self) -> u64 {
        fs::metadata(self.path("ticks")).map_or(0, |file| file.len())
    }

    /// Whether the guest does anything, now.
    pub(crate) fn runs(&self) -> bool {
        let before = self.ticks();
        until(Duration::from_secs(10), || self.ticks() > before + 1)
    }

    /// Whether the guest does nothing for a while, and QEMU is there.
    pub(crate) fn is_frozen(&mut self, time: Duration) -> bool {
        let before = self.ticks();
        std::thread::sleep(time);
        self.ticks() == before && self.process.try_wait().expect("its status").is_none()
    }

    /// What QEMU said when it ended; none while it lives.
    pub(crate) fn ended(&mut self) -> Option<String> {
        let ended = until(Duration::from_secs(10), || {
            self.process.try_wait().expect("its status").is_some()
        });
        ended.then(|| fs::read_to_string(self.path("said")).unwrap_or_default())
    }
}

/// Waits for something, and tells whether it came.
pub(crate) fn until(time: Duration, mut there: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + time;
    while Instant::now() < end {
        if there() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    there()
}

/// What the guest sends and expects.
pub(crate) fn pattern(units: usize) -> Vec<u8> {
    (0..(units << 16) as u32)
        .map(|at| (at ^ (at >> 8) ^ (at >> 16)) as u8)
        .collect()
}

/// Whether a path is there soon.
pub(crate) fn appears(path: &Path) -> bool {
    until(Duration::from_secs(10), || path.exists())
}
