use std::collections::VecDeque;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Where a capture goes.
pub struct Sink {
    label: String,
    kind: Kind,
}

pub(super) type Output = Box<dyn Write + Send>;

enum Kind {
    Writer(Option<Output>),
    File(PathBuf),
    Fifo(PathBuf),
    Rotating(Rotation),
}

struct Rotation {
    path: PathBuf,
    bytes: u64,
    keep: Option<usize>,
    begun: u64,
    kept: VecDeque<PathBuf>,
}

impl Sink {
    /// A file, which is made anew.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Self {
            label: path.display().to_string(),
            kind: Kind::File(path),
        }
    }

    /// Files of about this many bytes, each complete in itself: `web.pcapng` becomes `web_00001.pcapng`,
    /// `web_00002.pcapng` and so on. Of them the newest `keep` stay, or all.
    pub fn rotating(path: impl Into<PathBuf>, bytes: u64, keep: Option<usize>) -> Self {
        let path = path.into();
        Self {
            label: path.display().to_string(),
            kind: Kind::Rotating(Rotation {
                path,
                bytes,
                keep,
                begun: 0,
                kept: VecDeque::new(),
            }),
        }
    }

    /// A FIFO that is there, such as the one that Wireshark hands to its capture programs. The capture starts when
    /// somebody reads it.
    pub fn fifo(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Self {
            label: path.display().to_string(),
            kind: Kind::Fifo(path),
        }
    }

    /// The standard output.
    pub fn stdout() -> Self {
        Self::writer("standard output", io::stdout())
    }

    /// Anything else, such as the input of a program; `label` is what errors call it. It is written from a thread of its
    /// own, and may block.
    pub fn writer(label: impl Into<String>, writer: impl Write + Send + 'static) -> Self {
        Self {
            label: label.into(),
            kind: Kind::Writer(Some(Box::new(writer))),
        }
    }

    pub(super) fn label(&self) -> &str {
        &self.label
    }

    /// After so many bytes, the next output is to be opened.
    pub(super) fn limit(&self) -> Option<u64> {
        match &self.kind {
            Kind::Rotating(rotation) => Some(rotation.bytes),
            _ => None,
        }
    }

    /// The first output, and with rotation each that follows.
    pub(super) fn open(&mut self) -> io::Result<Output> {
        match &mut self.kind {
            Kind::Writer(writer) => writer.take().ok_or_else(|| io::ErrorKind::NotConnected.into()),
            Kind::File(path) => Ok(Box::new(File::create(path)?)),
            Kind::Fifo(path) => Ok(Box::new(OpenOptions::new().write(true).open(path)?)),
            Kind::Rotating(rotation) => Ok(Box::new(rotation.open()?)),
        }
    }
}

impl Rotation {
    fn open(&mut self) -> io::Result<File> {
        self.begun += 1;
        let path = numbered(&self.path, self.begun);
        let file = File::create(&path)?;
        self.kept.push_back(path);
        while self.keep.is_some_and(|keep| self.kept.len() > keep.max(1)) {
            if let Some(oldest) = self.kept.pop_front() {
                match fs::remove_file(oldest) {
                    // Somebody may have moved it away.
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
        }
        Ok(file)
    }
}

fn numbered(path: &Path, number: u64) -> PathBuf {
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    name.push(format!("_{number:05}"));
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sink({})", self.label)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_follow_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let mut sink = Sink::rotating(folder.path().join("we.b.pcapng"), 10, Some(2));
        for _ in 0..3 {
            sink.open().unwrap();
        }
        let mut names: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|file| file.unwrap().file_name())
            .collect();
        names.sort();
        assert_eq!(names, ["we.b_00002.pcapng", "we.b_00003.pcapng"]);
        assert_eq!(numbered(Path::new("x/plain"), 1), Path::new("x/plain_00001"));
    }
}
