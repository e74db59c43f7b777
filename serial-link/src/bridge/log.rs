use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use tokio::fs::{self, File, OpenOptions};
use tokio::io::AsyncWriteExt;

use super::reader::{Piece, Reader};

/// A file of what the guest sends, with the time in front of every line, that is changed for a new one when it is full.
///
/// `serial.log` becomes `serial.log.1`, that `serial.log.2`, and the oldest is removed.
///
/// ```no_run
/// # async fn example(bridge: serial_link::bridge::Bridge) -> Result<(), Box<dyn std::error::Error>> {
/// use serial_link::bridge::{Log, Replay};
///
/// let log = Log::new("serial.log").limit(10 << 20).keep(5);
/// log.write_all(bridge.reader("log", Replay::All)).await?; // until the bridge is closed
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Log {
    path: PathBuf,
    limit: u64,
    keep: usize,
    stamp: bool,
}

/// A log that cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("the log {} is not written: {source}", path.display())]
pub struct LogError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

impl Log {
    /// A log at this path, of at most 10 MiB, with three older ones beside it.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            limit: 10 << 20,
            keep: 3,
            stamp: true,
        }
    }

    /// How many bytes a file has at most; a piece of the port, up to 64 KiB, is not split between two.
    pub fn limit(mut self, bytes: u64) -> Self {
        self.limit = bytes.max(1);
        self
    }

    /// How many older files are kept.
    pub fn keep(mut self, files: usize) -> Self {
        self.keep = files;
        self
    }

    /// Whether lines begin with the time (UTC, RFC 3339), and what was lost is said in a line of its own. Without, the file
    /// has the port's bytes and nothing else.
    pub fn stamp(mut self, yes: bool) -> Self {
        self.stamp = yes;
        self
    }

    /// Writes what a reader gets until the bridge is closed. What was there before is kept.
    pub async fn write_all(&self, mut reader: Reader) -> Result<(), LogError> {
        let mut file = self.open().await?;
        let mut size = file.metadata().await.map_err(|source| self.wrong(source))?.len();
        let mut lines = Lines::default();
        while let Some(piece) = reader.next().await {
            let text = match self.stamp {
                true => lines.stamp(&piece, Timestamp::now()),
                false => piece.bytes.to_vec(),
            };
            if size > 0 && size + text.len() as u64 > self.limit {
                self.rotate().await.map_err(|source| self.wrong(source))?;
                file = self.open().await?;
                size = 0;
            }
            let written = async {
                file.write_all(&text).await?;
                file.flush().await
            };
            written.await.map_err(|source| self.wrong(source))?;
            size += text.len() as u64;
        }
        Ok(())
    }

    async fn open(&self) -> Result<File, LogError> {
        let opened = OpenOptions::new().create(true).append(true).open(&self.path).await;
        opened.map_err(|source| self.wrong(source))
    }

    async fn rotate(&self) -> io::Result<()> {
        if self.keep == 0 {
            return fs::remove_file(&self.path).await;
        }
        for number in (1..self.keep).rev() {
            match fs::rename(numbered(&self.path, number), numbered(&self.path, number + 1)).await {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs::rename(&self.path, numbered(&self.path, 1)).await
    }

    fn wrong(&self, source: io::Error) -> LogError {
        LogError {
            path: self.path.clone(),
            source,
        }
    }
}

fn numbered(path: &Path, number: usize) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

/// Whether a line is under way.
#[derive(Debug, Default)]
struct Lines {
    begun: bool,
}

impl Lines {
    fn stamp(&mut self, piece: &Piece, now: Timestamp) -> Vec<u8> {
        let mut text = Vec::with_capacity(piece.bytes.len() + 32);
        if piece.lost > 0 {
            if std::mem::take(&mut self.begun) {
                text.push(b'\n');
            }
            text.extend(format!("{now:.3} [{} bytes were lost here]\n", piece.lost).into_bytes());
        }
        for line in piece.bytes.split_inclusive(|&byte| byte == b'\n') {
            if !self.begun {
                text.extend(format!("{now:.3} ").into_bytes());
            }
            text.extend_from_slice(line);
            self.begun = !line.ends_with(b"\n");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn lines_begin_with_the_time_once() {
        let now: Timestamp = "2026-11-23T12:00:00.1239Z".parse().unwrap();
        let mut lines = Lines::default();
        let mut text = Vec::new();
        for (lost, bytes) in [(0, "log"), (0, "in: \nroot\npa"), (7, "word\n")] {
            let piece = Piece {
                lost,
                position: 0,
                bytes: Bytes::from_static(bytes.as_bytes()),
            };
            text.extend(lines.stamp(&piece, now));
        }
        let time = "2026-11-23T12:00:00.123Z";
        assert_eq!(
            String::from_utf8(text).unwrap(),
            format!("{time} login: \n{time} root\n{time} pa\n{time} [7 bytes were lost here]\n{time} word\n")
        );
    }
}
