use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use crate::bridge::{Bridge, Busy, Reader, Replay, WriteError, Writer};

/// What a program that is served gets and may do.
#[derive(Debug, Clone, Default)]
pub struct Session {
    replay: Replay,
    hold_back: bool,
    input: Input,
    hands_over: bool,
}

/// What becomes of the bytes that a program sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Input {
    /// The first that sends has the input until it leaves. One that sends while another has it is disconnected.
    #[default]
    First,
    /// They are thrown away.
    Ignored,
}

/// Why a program is not served any more.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// It sent something while another had the input.
    #[error(transparent)]
    Busy(#[from] Busy),
    /// The input was taken, or the bridge closed.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// Its connection failed.
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
}

/// Whether the other side has closed both directions shows in writing only.
const LINGER: Duration = Duration::from_secs(30);

impl Session {
    /// What it gets first: [`Replay::Nothing`], because a debugger is confused by old packets.
    pub fn replay(mut self, replay: Replay) -> Self {
        self.replay = replay;
        self
    }

    /// Whether the guest waits for a program that reads slowly. Without, such a program misses bytes, which
    /// [`Event::Lost`](crate::bridge::Event::Lost) tells, as nothing can be said on its connection.
    pub fn hold_back(mut self, yes: bool) -> Self {
        self.hold_back = yes;
        self
    }

    /// What becomes of the bytes that it sends.
    pub fn input(mut self, input: Input) -> Self {
        self.input = input;
        self
    }

    /// Whether it gives the input to whoever [asks](Bridge::ask_writer) for it. What it sends after that disconnects it.
    pub fn hand_over(mut self, yes: bool) -> Self {
        self.hands_over = yes;
        self
    }

    #[cfg(unix)]
    pub(super) fn ignores_input(&self) -> bool {
        self.input == Input::Ignored
    }

    /// Serves one connection until its other side is closed.
    ///
    /// One that has closed its input gets what comes for half a minute more: `printf … | nc …` sees the answer.
    pub async fn run(
        &self,
        bridge: &Bridge,
        name: &str,
        stream: impl AsyncRead + AsyncWrite + Unpin,
    ) -> Result<(), SessionError> {
        self.run_with(bridge, name, stream, None).await
    }

    /// The same for one that may have the input already.
    pub(super) async fn run_with(
        &self,
        bridge: &Bridge,
        name: &str,
        stream: impl AsyncRead + AsyncWrite + Unpin,
        writer: Option<Writer>,
    ) -> Result<(), SessionError> {
        let reader = bridge.reader(name, self.replay).hold_back(self.hold_back);
        let (from, to) = tokio::io::split(stream);
        let mut give = std::pin::pin!(give(reader, to));
        tokio::select! {
            result = &mut give => result,
            result = self.take(bridge, name, from, writer) => {
                result?;
                timeout(LINGER, give).await.unwrap_or(Ok(()))
            }
        }
    }

    async fn take(
        &self,
        bridge: &Bridge,
        name: &str,
        mut from: impl AsyncRead + Unpin,
        had: Option<Writer>,
    ) -> Result<(), SessionError> {
        let mut buffer = [0; 4096];
        let mut writer = had.map(|writer| self.kept(writer));
        loop {
            let length = match &mut writer {
                None => from.read(&mut buffer).await?,
                Some(writer) => tokio::select! {
                    length = from.read(&mut buffer) => length?,
                    Some(request) = writer.asked() => {
                        request.grant();
                        continue;
                    }
                },
            };
            if length == 0 {
                return Ok(());
            }
            if self.input == Input::Ignored {
                continue;
            }
            let writer = match &writer {
                Some(writer) => writer,
                None => {
                    let taken = bridge.writer(name);
                    let taken = taken.inspect_err(|busy| bridge.refused(name, &busy.to_string()))?;
                    writer.insert(self.kept(taken))
                }
            };
            writer.write(&buffer[..length]).await?;
        }
    }

    /// Asked, it says no, unless it hands the input over.
    fn kept(&self, mut writer: Writer) -> Writer {
        if !self.hands_over {
            writer.keep();
        }
        writer
    }
}

async fn give(mut reader: Reader, mut to: impl AsyncWrite + Unpin) -> Result<(), SessionError> {
    while let Some(piece) = reader.next().await {
        to.write_all(&piece.bytes).await?;
        to.flush().await?;
    }
    Ok(())
}
