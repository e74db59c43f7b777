//! The task behind a channel: fills the queues of its readers, and empties that of its writer.

use std::io;

use bytes::{Bytes, BytesMut};
use russh::client::Msg;
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Sig};
use tokio::io::{AsyncReadExt, DuplexStream};
use tokio::sync::{mpsc, oneshot, watch};

use super::connection::Connection;
use crate::ends::{Ends, aborted};
use crate::process_line::ProcessLine;
use crate::stream::{ByteStream, INPUT_BUFFER, RemoteStream, Stdin};
use crate::{Error, Exit};

/// Whatever keeps the connection of a channel alive.
pub(super) trait Hold: Send + Sync + 'static {
    fn connection(&self) -> &Connection;

    /// The channel was closed from here; its command may still run.
    fn given_up(&mut self) {}
}

impl Hold for std::sync::Arc<Connection> {
    fn connection(&self) -> &Connection {
        self
    }
}

/// The channel of a command.
pub(super) fn command(channel: Channel<Msg>, hold: impl Hold) -> Ends {
    let (stdin, input) = tokio::io::duplex(INPUT_BUFFER);
    let (stdout_sender, stdout) = ByteStream::new();
    let (stderr_sender, stderr) = ByteStream::new();
    let (process_sender, process) = watch::channel(None);
    let (exit_sender, exit) = oneshot::channel();
    let outputs = Outputs {
        stdout: Some(stdout_sender),
        stderr: Some(stderr_sender),
        line: ProcessLine::default(),
        process: Some(process_sender),
        exit: exit_sender,
    };
    tokio::spawn(run(channel, input, outputs, hold));
    Ends {
        stdin: Stdin(stdin),
        stdout,
        stderr,
        process,
        exit,
    }
}

/// The channel of a socket.
pub(super) fn stream(channel: Channel<Msg>, hold: impl Hold) -> RemoteStream {
    let (stdin, input) = tokio::io::duplex(INPUT_BUFFER);
    let (sender, read) = ByteStream::new();
    let (exit, _) = oneshot::channel();
    let outputs = Outputs {
        stdout: Some(sender),
        stderr: None,
        line: ProcessLine::default(),
        process: None,
        exit,
    };
    tokio::spawn(run(channel, input, outputs, hold));
    RemoteStream {
        read,
        write: Stdin(stdin),
    }
}

async fn run(channel: Channel<Msg>, input: DuplexStream, mut outputs: Outputs, mut hold: impl Hold) {
    let (mut reader, writer) = channel.split();
    let end = tokio::select! {
        end = outputs.fill(&mut reader) => end,
        () = feed(input, &writer) => End::Forgotten,
    };
    drop(reader);
    if !matches!(end, End::Silent) {
        // Fails where the connection is gone, and then the channel is too.
        let _ = writer.close().await;
    }
    if matches!(end, End::Forgotten) {
        hold.given_up();
    }
    outputs.finish(end, hold.connection()).await;
}

/// Returns never: the end of the input is not the end of the channel.
async fn feed(mut input: DuplexStream, writer: &ChannelWriteHalf<Msg>) {
    loop {
        let mut buffer = BytesMut::with_capacity(32 << 10);
        match input.read_buf(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
        if writer.data_bytes(buffer.freeze()).await.is_err() {
            drop(input);
            return std::future::pending().await;
        }
    }
    let _ = writer.eof().await;
    std::future::pending().await
}

enum End {
    /// The other side closed the channel, with what it said about the exit.
    Closed(Option<Exit>),
    /// The channel is gone without a word; with what was said before.
    Silent,
    /// Nobody is left to read.
    Forgotten,
}

struct Outputs {
    stdout: Option<mpsc::Sender<io::Result<Bytes>>>,
    stderr: Option<mpsc::Sender<io::Result<Bytes>>>,
    line: ProcessLine,
    process: Option<watch::Sender<Option<u32>>>,
    exit: oneshot::Sender<Result<Exit, Error>>,
}

impl Outputs {
    async fn fill(&mut self, reader: &mut ChannelReadHalf) -> End {
        let mut exit = None;
        let mut ended = false;
        loop {
            let message = tokio::select! {
                message = reader.wait() => message,
                () = self.forgotten(), if !ended => return End::Forgotten,
            };
            match message {
                Some(ChannelMsg::Data { data }) => give(&self.stdout, data).await,
                Some(ChannelMsg::ExtendedData { data, .. }) => {
                    let (data, process) = self.line.feed(data);
                    if let (Some(process), Some(sender)) = (process, &self.process) {
                        sender.send_replace(Some(process));
                    }
                    give(&self.stderr, data).await;
                }
                Some(ChannelMsg::Eof) => {
                    ended = true;
                    give(&self.stderr, self.line.finish()).await;
                    (self.stdout, self.stderr) = (None, None);
                }
                Some(ChannelMsg::ExitStatus { exit_status }) => exit = Some(Exit::Code(exit_status)),
                Some(ChannelMsg::ExitSignal { signal_name, .. }) => exit = Some(Exit::Signal(name_of(&signal_name))),
                Some(ChannelMsg::Close) => return End::Closed(exit),
                Some(_) => {}
                None => return exit.map_or(End::Silent, |exit| End::Closed(Some(exit))),
            }
        }
    }

    /// Until every reader has gone.
    async fn forgotten(&mut self) {
        self.exit.closed().await;
        for sender in [&self.stdout, &self.stderr].into_iter().flatten() {
            sender.closed().await;
        }
    }

    async fn finish(mut self, end: End, connection: &Connection) {
        let stderr = self.line.finish();
        give(&self.stderr, stderr).await;
        let verdict = match end {
            End::Closed(Some(exit)) => Ok(exit),
            End::Closed(None) => Err(Error::Refused {
                host: connection.host.to_string(),
                what: "to say how the command ended".into(),
                reason: "the channel was closed".into(),
            }),
            End::Silent => {
                for sender in [&self.stdout, &self.stderr].into_iter().flatten() {
                    // A reader that has gone does not mind.
                    let _ = sender.send(Err(aborted(&connection.lost()))).await;
                }
                Err(connection.lost())
            }
            End::Forgotten => return,
        };
        let _ = self.exit.send(verdict);
    }
}

/// A reader that has gone discards what comes.
async fn give(sender: &Option<mpsc::Sender<io::Result<Bytes>>>, data: Bytes) {
    if let Some(sender) = sender
        && !data.is_empty()
    {
        let _ = sender.send(Ok(data)).await;
    }
}

fn name_of(signal: &Sig) -> String {
    match signal {
        Sig::Custom(name) => name.clone(),
        known => format!("{known:?}"),
    }
}
