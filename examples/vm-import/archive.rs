//! The archive on its way to the server.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use anyhow::Context;
use bytes::Bytes;
use futures_util::{Stream, stream};
use tokio::sync::mpsc;
use xenapi::Source;
use xenapi_examples::{Inspection, Total, note};
use xva::Verify;

/// What is read at once, and how many such pieces may wait.
const PIECE: usize = 256 << 10;
const WAITING: usize = 4;

/// More than any archive has: the server is told this of one whose length nobody knows.
const LIMIT: u64 = 1 << 44;

/// What is wrong with an archive. The server, which only sees that it ends early, cannot tell.
pub(crate) type Damage = Arc<OnceLock<String>>;

/// An archive in a file or on standard input.
pub(crate) struct Archive {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    length: Option<u64>,
}

impl Archive {
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        if path == Path::new("-") {
            return Ok(Self {
                pieces: read_aside(io::stdin()),
                length: None,
            });
        }
        let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        let about = file.metadata()?;
        Ok(Self {
            length: about.is_file().then_some(about.len()),
            pieces: read_aside(file),
        })
    }

    pub(crate) fn total(&self) -> Total {
        self.length.map_or(Total::Unknown, Total::Known)
    }

    /// What is uploaded, its last piece only where the whole archive was found to be good; and where it is not, later,
    /// what was found.
    pub(crate) fn checked(self, verify: Verify) -> (Source, Damage) {
        let damage = Damage::default();
        let pieces = checked(self.pieces, verify, damage.clone());
        let source = match self.length {
            Some(length) => Source::stream(pieces, length),
            None => Source::marked_end(pieces, LIMIT),
        };
        (source, damage)
    }
}

/// Reads in a thread of its own, and not one that the runtime would wait for: standard input may never end.
fn read_aside(mut source: impl Read + Send + 'static) -> mpsc::Receiver<io::Result<Bytes>> {
    let (sender, pieces) = mpsc::channel(WAITING);
    std::thread::spawn(move || {
        loop {
            let mut piece = vec![0; PIECE];
            let read = match source.read(&mut piece) {
                Ok(0) => break,
                Ok(length) => {
                    piece.truncate(length);
                    Ok(piece.into())
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Err(error),
            };
            let failed = read.is_err();
            if sender.blocking_send(read).is_err() || failed {
                break;
            }
        }
    });
    pieces
}

/// Each piece is passed on when the one behind it has been looked at.
struct Passage {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    ahead: Option<Bytes>,
    /// It has nothing more to say once the archive proper is over.
    inspection: Option<Inspection>,
    damage: Damage,
}

fn checked(
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    verify: Verify,
    damage: Damage,
) -> impl Stream<Item = io::Result<Bytes>> + Send {
    let passage = Passage {
        pieces,
        ahead: None,
        inspection: Some(Inspection::begin(verify)),
        damage,
    };
    stream::try_unfold(passage, |mut passage| async move {
        if passage.ahead.is_none() {
            passage.ahead = passage.look().await?;
        }
        let Some(piece) = passage.ahead.take() else {
            return Ok(None);
        };
        passage.ahead = passage.look().await?;
        Ok(Some((piece, passage)))
    })
}

impl Passage {
    async fn look(&mut self) -> io::Result<Option<Bytes>> {
        let piece = self.pieces.recv().await.transpose()?;
        if let Some(mut inspection) = self.inspection.take() {
            let wants_more = match &piece {
                Some(bytes) => inspection.show(bytes).await,
                None => false,
            };
            if wants_more {
                self.inspection = Some(inspection);
            } else {
                let summary = inspection.finish().await.map_err(|damage| {
                    let damage = self.damage.get_or_init(|| format!("{damage:#}"));
                    io::Error::other(damage.as_str())
                })?;
                if summary.damaged > 0 {
                    note(format!("{} blocks differ from their checksums", summary.damaged));
                }
            }
        }
        Ok(piece)
    }
}
