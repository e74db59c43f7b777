//! A transfer from the server, under way.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use futures_core::Stream;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::task::TransferTask;
use crate::transport::BodyStream;
use crate::wire::Ref;
use crate::{Call, Connection, Error, Result, TaskClass, TypedAs};

/// How an error page that follows the bytes of a transfer begins.
const ERROR_PAGE: &[u8] = b"HTTP/1.";

/// A download that is under way, as [`AsyncRead`] and as a [`Stream`] of pieces.
///
/// The server says "200 OK" before it begins, so the end of the stream proves nothing. This asks the task: a stream
/// that ends while the task failed, was cut, or turned into an error page ends with that error, never as if complete.
/// Where what you read looks damaged, read on: the last error says why.
///
/// Dropping it closes the connection and cancels the task; [`cancel`](Download::cancel) does so and waits.
pub struct Download {
    connection: Connection,
    task: Ref<TaskClass>,
    headers: http::HeaderMap,
    held: Bytes,
    received: u64,
    silence: Duration,
    state: State,
}

enum State {
    Reading(Reading),
    /// A piece that may be an error page waits for what the task says.
    Suspecting(Reading, Bytes, Pin<Box<dyn Future<Output = Option<Error>> + Send>>),
    Ending(Pin<Box<dyn Future<Output = Result<()>> + Send>>),
    Ended,
}

struct Reading {
    body: BodyStream,
    task: TransferTask,
    silent: Pin<Box<Sleep>>,
}

impl Download {
    pub(super) fn new(response: http::Response<BodyStream>, task: TransferTask, silence: Duration) -> Self {
        let (head, body) = response.into_parts();
        Self {
            connection: task.connection.clone(),
            task: task.reference,
            headers: head.headers,
            held: Bytes::new(),
            received: 0,
            silence,
            state: State::Reading(Reading {
                body,
                task,
                silent: Box::pin(tokio::time::sleep(silence)),
            }),
        }
    }

    /// The task that the transfer runs in.
    pub fn task<T>(&self) -> Ref<T>
    where
        TaskClass: TypedAs<T>,
    {
        self.task.cast()
    }

    /// How many bytes there will be, where the server says so: it does for what it makes beforehand, such as
    /// metadata, and never for disks.
    pub fn length(&self) -> Option<u64> {
        self.headers
            .get(http::header::CONTENT_LENGTH)?
            .to_str()
            .ok()?
            .parse()
            .ok()
    }

    /// How many bytes have come in, read or not.
    pub fn bytes_received(&self) -> u64 {
        self.received
    }

    /// How far the server is, from 0 to 1.
    ///
    /// # Errors
    /// As any call.
    pub fn progress(&self) -> Call<f64> {
        Call::new(&self.connection, "task.get_progress").arg(self.task)
    }

    /// Closes the connection, cancels the task and waits until the server knows.
    pub async fn cancel(self) {
        if let State::Reading(Reading { task, body, .. }) | State::Suspecting(Reading { task, body, .. }, ..) =
            self.state
        {
            drop(body);
            task.cancel().await;
        }
    }

    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        loop {
            match std::mem::replace(&mut self.state, State::Ended) {
                State::Ended => return Poll::Ready(None),
                State::Ending(mut verdict) => match verdict.as_mut().poll(context) {
                    Poll::Ready(ended) => return Poll::Ready(ended.err().map(Err)),
                    Poll::Pending => {
                        self.state = State::Ending(verdict);
                        return Poll::Pending;
                    }
                },
                State::Suspecting(reading, piece, mut verdict) => match verdict.as_mut().poll(context) {
                    Poll::Ready(Some(error)) => {
                        drop(reading.body);
                        self.state = State::Ending(Box::pin(cancelled(reading.task, error)));
                    }
                    Poll::Ready(None) => {
                        self.state = State::Reading(reading);
                        return self.pass_on(piece);
                    }
                    Poll::Pending => {
                        self.state = State::Suspecting(reading, piece, verdict);
                        return Poll::Pending;
                    }
                },
                State::Reading(mut reading) => {
                    let piece = match reading.poll(context, self.silence) {
                        Poll::Ready(piece) => piece,
                        Poll::Pending => {
                            self.state = State::Reading(reading);
                            return Poll::Pending;
                        }
                    };
                    let cut = match piece {
                        Ok(Some(piece)) if piece.starts_with(ERROR_PAGE) && self.received > 0 => {
                            let verdict = reading.task.suspected();
                            self.state = State::Suspecting(reading, piece, verdict);
                            continue;
                        }
                        Ok(Some(piece)) => {
                            self.state = State::Reading(reading);
                            return self.pass_on(piece);
                        }
                        Ok(None) => None,
                        Err(Cut::Broken(reason)) => Some(reason),
                        Err(Cut::Silent(error)) => return Poll::Ready(Some(Err(error))),
                    };
                    let Reading { task, .. } = reading;
                    let limit = self.silence;
                    self.state = State::Ending(Box::pin(ended(task, cut, limit)));
                }
            }
        }
    }

    fn pass_on(&mut self, piece: Bytes) -> Poll<Option<Result<Bytes>>> {
        self.received += piece.len() as u64;
        Poll::Ready(Some(Ok(piece)))
    }
}

async fn cancelled(task: TransferTask, error: Error) -> Result<()> {
    task.cancel().await;
    Err(error)
}

async fn ended(task: TransferTask, cut: Option<String>, limit: Duration) -> Result<()> {
    task.verdict(cut, limit).await.map(drop)
}

/// Why there is no next piece.
enum Cut {
    Broken(String),
    Silent(Error),
}

impl Reading {
    fn poll(&mut self, context: &mut Context<'_>, silence: Duration) -> Poll<Result<Option<Bytes>, Cut>> {
        if let Poll::Ready(piece) = self.body.as_mut().poll_next(context) {
            self.silent.as_mut().reset(Instant::now() + silence);
            return Poll::Ready(piece.transpose().map_err(|error| Cut::Broken(error.to_string())));
        }
        ready!(self.silent.as_mut().poll(context));
        let error = Error::timed_out(self.task.path, silence).in_task(self.task.reference);
        Poll::Ready(Err(Cut::Silent(error)))
    }
}

impl Stream for Download {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        if !self.held.is_empty() {
            return Poll::Ready(Some(Ok(std::mem::take(&mut self.held))));
        }
        self.poll_piece(context)
    }
}

impl AsyncRead for Download {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        while self.held.is_empty() {
            match ready!(self.poll_piece(context)) {
                Some(Ok(piece)) => self.held = piece,
                Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
                None => return Poll::Ready(Ok(())),
            }
        }
        let length = self.held.len().min(out.remaining());
        out.put_slice(&self.held[..length]);
        self.held.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl fmt::Debug for Download {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Download")
            .field("task", &self.task.to_wire())
            .field("received", &self.received)
            .finish_non_exhaustive()
    }
}
