//! Programs that have a terminal of their own, and somebody who types.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command as Program, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use tokio::process::Command;

use crate::sshd::find;

/// A program at a terminal, which is the one it asks passwords at, too.
pub(crate) struct Terminal {
    program: Child,
    keyboard: File,
    screen: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    /// `None`, with the reason printed, where nothing starts programs at a terminal.
    pub(crate) fn start(command: &Command) -> Option<Self> {
        let Some(setsid) = find("setsid") else {
            assert!(std::env::var_os("CI").is_none(), "setsid is not installed");
            eprintln!("skipped: setsid is not installed");
            return None;
        };
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap();
        let theirs = rustix::fs::open(&name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).unwrap();
        let command = command.as_std();
        let mut program = Program::new(setsid);
        program
            .arg("--ctty")
            .arg(command.get_program())
            .args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => program.env(name, value),
                None => program.env_remove(name),
            };
        }
        program
            .stdin(Stdio::from(theirs.try_clone().unwrap()))
            .stdout(Stdio::from(theirs.try_clone().unwrap()))
            .stderr(Stdio::from(theirs));
        let program = program.spawn().unwrap();
        let keyboard = File::from(ours);
        let (screen, mut from) = (Arc::default(), keyboard.try_clone().unwrap());
        let seen: Arc<Mutex<Vec<u8>>> = Arc::clone(&screen);
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(length @ 1..) = from.read(&mut piece) {
                seen.lock().unwrap().extend_from_slice(&piece[..length]);
            }
        });
        Some(Self {
            program,
            keyboard,
            screen,
        })
    }

    pub(crate) fn type_in(&mut self, text: &str) {
        self.keyboard.write_all(text.as_bytes()).unwrap();
    }

    /// All that was shown.
    pub(crate) fn shown(&self) -> String {
        String::from_utf8_lossy(&self.screen.lock().unwrap()).into_owned()
    }

    /// Waits until a text was shown so often.
    pub(crate) fn shows(&self, text: &str, times: usize) {
        let end = Instant::now() + Duration::from_secs(20);
        while self.shown().matches(text).count() < times {
            assert!(
                Instant::now() < end,
                "{text:?} is not shown {times} times: {:?}",
                self.shown()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits for the program's end, and tells its exit code.
    pub(crate) fn ended(&mut self) -> Option<i32> {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(status) = self.program.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < end, "it does not end: {:?}", self.shown());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}
