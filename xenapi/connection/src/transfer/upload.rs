//! A transfer to the server, under way.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use futures_util::StreamExt;
use futures_util::future::{Either, select};
use tokio::sync::watch;

use super::source::{Open, Source};
use super::task::TransferTask;
use crate::transport::{BodyStream, RequestBody, UploadStream};

/// How long the body waits for the server's word: a host that is the wrong one says so before it reads, and the right
/// one says that it begins.
const LONGEST_HESITATION: Duration = Duration::from_secs(15);
/// How often an upload is looked at.
const LOOK: Duration = Duration::from_millis(250);

/// Hears how many bytes have gone out.
pub(super) type OnSent = Box<dyn FnMut(u64) + Send>;

/// What is uploaded. It can be offered to one host after the other until one takes it.
pub(super) struct Parcel {
    pub(super) length: u64,
    is_limit: bool,
    is_repeatable: bool,
    open: Arc<Mutex<Open>>,
    offer: Offer,
    on_sent: Option<OnSent>,
    reported: u64,
    heard: u64,
    still: Duration,
}

/// What became of a parcel at one host.
#[derive(Default)]
struct Offer {
    progress: Arc<Mutex<Progress>>,
    is_taken: watch::Sender<bool>,
}

#[derive(Clone, Default)]
struct Progress {
    is_opened: bool,
    sent: u64,
    /// How often the task has moved.
    moved: u64,
    end: End,
}

#[derive(Clone, Debug, Default, PartialEq)]
enum End {
    #[default]
    NotYet,
    AllSent,
    /// The connection was closed before that.
    Closed,
    /// The source failed.
    Failed(String),
}

/// Why an upload stopped.
pub(super) enum Stop {
    Silent,
    /// The connection broke, which need not mean that the server missed anything.
    Cut(String),
}

/// Opens the source when the server has answered, or has hesitated for long.
async fn opened(
    open: Arc<Mutex<Open>>,
    progress: Arc<Mutex<Progress>>,
    mut is_taken: watch::Receiver<bool>,
) -> Option<(UploadStream, Arc<Mutex<Progress>>)> {
    let answered = tokio::time::timeout(LONGEST_HESITATION, is_taken.wait_for(|&taken| taken)).await;
    if let Ok(Err(_)) = answered {
        // It was withdrawn, or the upload given up.
        return None;
    }
    lock(&progress).is_opened = true;
    let pieces = lock(&open)()?;
    Some((pieces, progress))
}

impl Parcel {
    pub(super) fn new(source: Source, on_sent: Option<OnSent>) -> Self {
        Self {
            length: source.length,
            is_limit: source.is_limit,
            is_repeatable: source.is_repeatable,
            open: Arc::new(Mutex::new(source.open)),
            offer: Offer::default(),
            on_sent,
            reported: 0,
            heard: 0,
            still: Duration::ZERO,
        }
    }

    /// The body for one request.
    pub(super) fn body(&self) -> RequestBody {
        let (is_limit, left) = (self.is_limit, self.length);
        let Offer { progress, is_taken } = &self.offer;
        let opened = opened(self.open.clone(), progress.clone(), is_taken.subscribe());
        let pieces = futures_util::stream::once(opened)
            .filter_map(std::future::ready)
            .flat_map(move |(pieces, progress)| Counted {
                pieces,
                is_limit,
                left,
                progress,
            });
        RequestBody::Stream(Box::pin(pieces))
    }

    /// Takes it back from a host that sends it on. Answers whether it can be offered to another.
    pub(super) fn withdraw(&mut self) -> bool {
        let is_whole = !self.is_opened() || self.is_repeatable;
        let refused = std::mem::take(&mut self.offer);
        lock(&refused.progress).end = End::Closed;
        is_whole
    }

    /// Whether a host was sent some of it.
    pub(super) fn is_opened(&self) -> bool {
        lock(&self.offer.progress).is_opened
    }

    pub(super) fn is_through(&self) -> bool {
        lock(&self.offer.progress).end == End::AllSent
    }

    /// Why what was to be sent could not be read.
    pub(super) fn failure(&self) -> Option<String> {
        match &lock(&self.offer.progress).end {
            End::Failed(reason) => Some(reason.clone()),
            _ => None,
        }
    }

    /// Waits for the end of an upload that a host has taken; answers with why the connection looks broken.
    pub(super) async fn delivered(
        &mut self,
        response: http::Response<BodyStream>,
        task: &TransferTask,
        silence: Duration,
    ) -> Result<Option<String>, Stop> {
        self.offer.is_taken.send_replace(true);
        // Whichever comes first. An answer that ends well says nothing: the body may still be on its way.
        let progress = self.offer.progress.clone();
        let ended = task.ended_reporting(move || lock(&progress).moved += 1);
        let (ended, broken) = (pin!(ended), pin!(broken(response.into_body())));
        let is_broken = match self.attend(select(ended, broken), silence).await? {
            Either::Left(_) => None,
            Either::Right((reason, _)) => Some(reason),
        };
        Ok(is_broken.filter(|_| !self.is_through()))
    }

    /// Does some work, and sees to it that bytes go out meanwhile, or that the task moves.
    pub(super) async fn attend<T>(&mut self, work: impl Future<Output = T>, silence: Duration) -> Result<T, Stop> {
        let mut work = pin!(work);
        loop {
            let done = match select(work.as_mut(), pin!(tokio::time::sleep(LOOK))).await {
                Either::Left((output, _)) => Some(output),
                Either::Right(_) => None,
            };
            let Progress { sent, moved, end, .. } = lock(&self.offer.progress).clone();
            let is_still = (sent, moved) == (self.reported, self.heard);
            self.still = if is_still { self.still + LOOK } else { Duration::ZERO };
            self.heard = moved;
            if sent != self.reported {
                self.reported = sent;
                self.on_sent.iter_mut().for_each(|report| report(sent));
            }
            match (done, end) {
                (Some(output), _) => return Ok(output),
                (None, End::Failed(reason)) => return Err(Stop::Cut(reason)),
                (None, End::Closed) => {
                    return Err(Stop::Cut("the connection was closed before all was sent".to_owned()));
                }
                (None, _) if self.still >= silence => return Err(Stop::Silent),
                _ => {}
            }
        }
    }
}

/// Reads the answer's body, and keeps nothing of it: what an error page in it says the task says too.
async fn broken(mut body: BodyStream) -> String {
    while let Some(piece) = body.next().await {
        if let Err(error) = piece {
            return error.to_string();
        }
    }
    std::future::pending().await
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A source that counts what goes through it and ends where it said it would.
struct Counted {
    pieces: UploadStream,
    is_limit: bool,
    left: u64,
    progress: Arc<Mutex<Progress>>,
}

impl Counted {
    fn fail(&self, reason: String) -> Poll<Option<io::Result<Bytes>>> {
        lock(&self.progress).end = End::Failed(reason.clone());
        Poll::Ready(Some(Err(io::Error::other(reason))))
    }

    fn finish(&self) -> Poll<Option<io::Result<Bytes>>> {
        lock(&self.progress).end = End::AllSent;
        if self.left > 0 {
            // The server was promised more: the connection stays open until the task has ended.
            return Poll::Pending;
        }
        Poll::Ready(None)
    }
}

impl Stream for Counted {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let end = lock(&self.progress).end.clone();
        match end {
            End::NotYet if self.left > 0 => {}
            End::NotYet | End::AllSent => return self.finish(),
            End::Closed | End::Failed(_) => return Poll::Ready(None),
        }
        match ready!(self.pieces.as_mut().poll_next(context)) {
            Some(Err(error)) => self.fail(format!("what was to be sent cannot be read: {error}")),
            None if self.is_limit => self.finish(),
            None => self.fail(format!("what was to be sent ended {} bytes too early", self.left)),
            Some(Ok(piece)) if piece.len() as u64 > self.left && self.is_limit => {
                self.fail("what was to be sent is longer than its limit".to_owned())
            }
            Some(Ok(mut piece)) => {
                piece.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
                self.left -= piece.len() as u64;
                lock(&self.progress).sent += piece.len() as u64;
                Poll::Ready(Some(Ok(piece)))
            }
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut progress = lock(&self.progress);
        if progress.end == End::NotYet && self.left > 0 {
            progress.end = End::Closed;
        } else if progress.end == End::NotYet {
            progress.end = End::AllSent;
        }
    }
}
