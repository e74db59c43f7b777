//! What an upload sends, and how long it is.

use std::fmt;
use std::future::Future;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::{BufMut, Bytes, BytesMut};
use futures_core::Stream;
use futures_util::{StreamExt, stream};
use tokio::io::{AsyncRead, ReadBuf};

use crate::transport::UploadStream;

/// What is read from a reader at once.
const PIECE: usize = 256 << 10;
/// The most bytes in one frame of a sparse upload.
const LONGEST_FRAME: u64 = 1 << 20;
/// A frame's head: its offset in eight bytes, its length in four, the lowest first.
const FRAME_HEAD: u64 = 12;

/// Opens what is sent, from its beginning; `None` where it can be read only once, and was.
pub(super) type Open = Box<dyn FnMut() -> Option<UploadStream> + Send>;

/// What an upload sends. The server must be told how long it is before the first byte, so each way to make one says
/// where the length comes from.
pub struct Source {
    pub(super) open: Open,
    pub(super) length: u64,
    /// Whether the length is only a limit, and what is sent marks its own end.
    pub(super) is_limit: bool,
    /// Whether it can be opened more than once.
    pub(super) is_repeatable: bool,
    pub(super) is_framed: bool,
}

impl Source {
    /// These bytes.
    pub fn bytes(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let length = bytes.len() as u64;
        Self::repeatable(move || stream::iter([Ok(bytes.clone())]), length)
    }

    /// Exactly `length` bytes from a reader, for example a file of that length. A reader that ends earlier fails the
    /// upload; one that has more is read no further.
    pub fn reader(reader: impl AsyncRead + Send + 'static, length: u64) -> Self {
        Self::stream(Pieces::new(reader), length)
    }

    /// Exactly `length` bytes in pieces, under the conditions of [`reader`](Source::reader).
    pub fn stream(pieces: impl Stream<Item = io::Result<Bytes>> + Send + 'static, length: u64) -> Self {
        let mut pieces: Option<UploadStream> = Some(Box::pin(pieces));
        Self {
            open: Box::new(move || pieces.take()),
            length,
            is_limit: false,
            is_repeatable: false,
            is_framed: false,
        }
    }

    /// Exactly `length` bytes in pieces that can be had again: `open` is called for each host that the upload is
    /// offered to, and answers with all of them from the first on.
    ///
    /// A host that cannot take an upload says at once which one can. One that says so only when it has been sent some
    /// of it fails the upload of a source that can be read once, with [`Error::SentOnLate`](crate::Error::SentOnLate).
    pub fn repeatable<S>(mut open: impl FnMut() -> S + Send + 'static, length: u64) -> Self
    where
        S: Stream<Item = io::Result<Bytes>> + Send + 'static,
    {
        Self {
            open: Box::new(move || Some(Box::pin(open()))),
            length,
            is_limit: false,
            is_repeatable: true,
            is_framed: false,
        }
    }

    /// A stream that nobody knows the length of, but which marks its own end: an XVA archive, also a compressed one.
    /// The server is told `limit` bytes (a generous guess; it reserves nothing), and the connection is held open after
    /// the last byte until the task has ended.
    ///
    /// Do not use it for raw disks: there the server waits for all that it was told.
    pub fn marked_end(pieces: impl Stream<Item = io::Result<Bytes>> + Send + 'static, limit: u64) -> Self {
        Self {
            is_limit: true,
            ..Self::stream(pieces, limit)
        }
    }

    /// Only these ranges of a disk, each at its place: `read` is asked for one piece of at most 1 MiB after the other.
    /// What is not sent stays as it is on the disk, which is zero where the disk is new. For raw uploads only.
    ///
    /// The server knows this framing since XenServer 6.1.
    pub fn sparse<R, F>(ranges: impl IntoIterator<Item = Range<u64>>, read: R) -> Self
    where
        R: FnMut(Range<u64>) -> F + Send + 'static,
        F: Future<Output = io::Result<Bytes>> + Send + 'static,
    {
        let frames: Arc<[_]> = ranges.into_iter().flat_map(frames).collect();
        let length = frames
            .iter()
            .map(|frame| FRAME_HEAD + frame.end - frame.start)
            .sum::<u64>()
            + FRAME_HEAD;
        let read = Arc::new(Mutex::new(read));
        let open = move || {
            let (frames, read) = (frames.clone(), read.clone());
            let frames = (0..frames.len()).map(move |place| frames[place].clone());
            let contents = stream::iter(frames).then(move |frame: Range<u64>| {
                let content = read.lock().unwrap_or_else(PoisonError::into_inner)(frame.clone());
                async move { framed(frame, content.await?) }
            });
            contents.chain(stream::once(async { Ok(head(0, 0)) }))
        };
        Self {
            is_framed: true,
            ..Self::repeatable(open, length)
        }
    }

    /// Whether this is a [`sparse`](Source::sparse) one, of which the server must be told.
    pub fn is_sparse(&self) -> bool {
        self.is_framed
    }

    /// How many bytes go over the network, frames included.
    pub fn length(&self) -> u64 {
        self.length
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

/// A range in frames. An empty one has none: without content, a frame means the end.
fn frames(range: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let count = range.end.saturating_sub(range.start).div_ceil(LONGEST_FRAME);
    (0..count).map(move |place| {
        let start = range.start + place * LONGEST_FRAME;
        start..range.end.min(start + LONGEST_FRAME)
    })
}

fn head(offset: u64, length: u32) -> Bytes {
    let mut head = BytesMut::with_capacity(FRAME_HEAD as usize);
    head.put_u64_le(offset);
    head.put_u32_le(length);
    head.freeze()
}

fn framed(frame: Range<u64>, content: Bytes) -> io::Result<Bytes> {
    let wanted = frame.end - frame.start;
    if content.len() as u64 != wanted {
        let reason = format!("asked for {wanted} bytes at {}, got {}", frame.start, content.len());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
    }
    // Frames are at most 1 MiB long.
    let length = u32::try_from(wanted).map_err(io::Error::other)?;
    let mut whole = BytesMut::with_capacity(content.len() + FRAME_HEAD as usize);
    whole.put(head(frame.start, length));
    whole.put(content);
    Ok(whole.freeze())
}

/// A reader as a stream.
struct Pieces<R> {
    reader: Pin<Box<R>>,
    buffer: BytesMut,
}

impl<R> Pieces<R> {
    fn new(reader: R) -> Self {
        Self {
            reader: Box::pin(reader),
            buffer: BytesMut::new(),
        }
    }
}

impl<R: AsyncRead> Stream for Pieces<R> {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let this = &mut *self;
        this.buffer.resize(PIECE, 0);
        let mut buffer = ReadBuf::new(&mut this.buffer);
        match this.reader.as_mut().poll_read(context, &mut buffer) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Err(error)) => Poll::Ready(Some(Err(error))),
            Poll::Ready(Ok(())) => {
                let length = buffer.filled().len();
                let piece = this.buffer.split_to(length).freeze();
                Poll::Ready((length > 0).then_some(Ok(piece)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(source: &mut Source) -> Vec<u8> {
        let mut bytes = Vec::new();
        let waker = std::task::Waker::noop();
        let mut context = Context::from_waker(waker);
        let mut pieces = (source.open)().expect("a source that was not opened");
        while let Poll::Ready(Some(piece)) = pieces.as_mut().poll_next(&mut context) {
            bytes.extend_from_slice(&piece.unwrap());
        }
        bytes
    }

    #[test]
    fn ranges_become_frames_of_known_length() {
        let ranges = [0..3, 5 << 20..(6 << 20) + 2, 9..9];
        let mut source = Source::sparse(ranges, |range| async move {
            Ok(vec![7; (range.end - range.start) as usize].into())
        });
        let (length, bytes) = (source.length(), drain(&mut source));
        assert!(drain(&mut source) == bytes, "it can be had again");
        assert_eq!(bytes.len() as u64, length);
        assert_eq!(bytes[..15], [0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 7, 7, 7]);
        assert_eq!(bytes[15..27], [0, 0, 0x50, 0, 0, 0, 0, 0, 0, 0, 0x10, 0]);
        assert_eq!(bytes[bytes.len() - 12..], [0; 12]);
        assert_eq!(length, 5 * 12 - 12 + 3 + (1 << 20) + 2);
    }

    #[test]
    fn a_reader_comes_whole() {
        let bytes: Vec<u8> = (0..600_000u32).map(|number| number as u8).collect();
        let mut source = Source::reader(std::io::Cursor::new(bytes.clone()), bytes.len() as u64);
        assert_eq!(drain(&mut source), bytes);
        assert!((source.open)().is_none(), "it can be had once");
    }
}
