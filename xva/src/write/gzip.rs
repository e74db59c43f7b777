//! gzip on all CPUs.
//!
//! Pieces are deflated each on its own and end at a byte (a sync flush), so that joined together they are one member as
//! any gzip reads it; `pigz` does the same.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use flate2::{Compress, Compression, Crc, FlushCompress};

/// How much is deflated at a time.
const PIECE: usize = 256 << 10;

/// The header of a member: deflate, no name, no time, from an unnamed system (RFC 1952).
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

pub(super) struct Gzip<W> {
    output: W,
    piece: Vec<u8>,
    jobs: Sender<Job>,
    /// What the workers will have done, in order.
    done: VecDeque<Receiver<io::Result<Done>>>,
    /// How many pieces may be on their way.
    ahead: usize,
    crc: Crc,
    begun: bool,
}

struct Job {
    piece: Vec<u8>,
    is_last: bool,
    reply: SyncSender<io::Result<Done>>,
}

struct Done {
    deflated: Vec<u8>,
    crc: Crc,
}

impl<W: Write> Gzip<W> {
    pub(super) fn new(output: W, level: u32) -> io::Result<Self> {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let (jobs, waiting) = channel();
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..threads {
            let waiting = Arc::clone(&waiting);
            // They end when the channel does.
            thread::Builder::new()
                .name("gzip".to_owned())
                .spawn(move || work(&waiting, Compression::new(level)))?;
        }
        Ok(Self {
            output,
            piece: Vec::with_capacity(PIECE),
            jobs,
            done: VecDeque::new(),
            ahead: threads + 2,
            crc: Crc::new(),
            begun: false,
        })
    }

    pub(super) fn finish(mut self) -> io::Result<W> {
        self.dispatch(true)?;
        while !self.done.is_empty() {
            self.take()?;
        }
        self.output.write_all(&self.crc.sum().to_le_bytes())?;
        self.output.write_all(&self.crc.amount().to_le_bytes())?;
        self.output.flush()?;
        Ok(self.output)
    }

    fn dispatch(&mut self, is_last: bool) -> io::Result<()> {
        while self.done.len() >= self.ahead {
            self.take()?;
        }
        let (reply, done) = sync_channel(1);
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE));
        let job = Job { piece, is_last, reply };
        self.jobs.send(job).map_err(|_| lost())?;
        self.done.push_back(done);
        Ok(())
    }

    /// Writes the piece whose turn it is.
    fn take(&mut self) -> io::Result<()> {
        let Some(next) = self.done.pop_front() else {
            return Ok(());
        };
        let done = next.recv().map_err(|_| lost())??;
        if !self.begun {
            self.output.write_all(&HEADER)?;
            self.begun = true;
        }
        self.output.write_all(&done.deflated)?;
        self.crc.combine(&done.crc);
        Ok(())
    }
}

impl<W: Write> Write for Gzip<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(PIECE - self.piece.len());
        self.piece.extend_from_slice(&bytes[..count]);
        if self.piece.len() == PIECE {
            self.dispatch(false)?;
        }
        Ok(count)
    }

    /// Writes what is compressed already.
    fn flush(&mut self) -> io::Result<()> {
        while !self.done.is_empty() {
            self.take()?;
        }
        self.output.flush()
    }
}

fn work(waiting: &Mutex<Receiver<Job>>, level: Compression) {
    let mut deflate = Compress::new(level, false);
    loop {
        let job = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else {
            return;
        };
        // Where nobody waits any more, the archive was given up.
        let _ = job.reply.send(squeeze(&mut deflate, &job.piece, job.is_last));
    }
}

fn squeeze(deflate: &mut Compress, piece: &[u8], is_last: bool) -> io::Result<Done> {
    deflate.reset();
    let mut crc = Crc::new();
    crc.update(piece);
    let end = if is_last {
        FlushCompress::Finish
    } else {
        FlushCompress::Sync
    };
    let mut deflated = Vec::with_capacity(piece.len() / 2 + 1024);
    loop {
        let taken = deflate.total_in() as usize;
        deflate.compress_vec(&piece[taken..], &mut deflated, end)?;
        // A flush is complete when it left room.
        if deflate.total_in() as usize == piece.len() && deflated.len() < deflated.capacity() {
            return Ok(Done { deflated, crc });
        }
        deflated.reserve(piece.len() / 4 + 1024);
    }
}

fn lost() -> io::Error {
    io::Error::other("a thread that compresses has gone")
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn one_member_of_any_length() {
        for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, 20 * PIECE + 3] {
            let content: Vec<u8> = (0..length as u32)
                .map(|at| (at.wrapping_mul(0x9e37_79b9) >> 20 & at >> 12) as u8)
                .collect();
            let mut gzip = Gzip::new(Vec::new(), 6).unwrap();
            for part in content.chunks(100_000) {
                gzip.write_all(part).unwrap();
            }
            let packed = gzip.finish().unwrap();
            let mut decoder = flate2::bufread::GzDecoder::new(&packed[..]);
            let mut read = Vec::new();
            decoder.read_to_end(&mut read).unwrap();
            assert!(read == content, "{length}");
            assert!(decoder.into_inner().is_empty(), "more than one member");
        }
    }

    #[test]
    fn what_does_not_compress_grows_little() {
        let mut random = 1_u64;
        let mut next = || {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (random >> 56) as u8
        };
        let content: Vec<u8> = (0..3 * PIECE).map(|_| next()).collect();
        let mut gzip = Gzip::new(Vec::new(), 6).unwrap();
        gzip.write_all(&content).unwrap();
        assert!(gzip.finish().unwrap().len() < content.len() + content.len() / 1000 + 100);
    }

    #[test]
    fn a_failing_output_is_told() {
        let mut full = [0; 1000];
        let mut gzip = Gzip::new(&mut full[..], 0).unwrap();
        let written = (0..100).try_for_each(|_| gzip.write_all(&[7; 50_000]));
        assert!(written.is_err() || gzip.finish().is_err());
    }
}
