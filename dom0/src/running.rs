use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::AsyncWriteExt;
use tokio::sync::{oneshot, watch};

use crate::command::Command;
use crate::ends::Ends;
use crate::stream::{ByteStream, Stdin};
use crate::{Dom0, Error, Exit, Signal};

/// A command that runs in the control domain.
///
/// Its streams are taken out and read or written on their own, like those of [`tokio::process::Child`]. Both outputs share
/// one channel: what one of them holds back, it holds back for both.
///
/// Dropping this and its streams closes the channel. The command gets an error when it writes, and otherwise goes on, unless
/// it was started with [`end_with_connection`](Command::end_with_connection).
#[derive(Debug)]
pub struct Running {
    /// The standard input; none for a command that ends with its connection.
    pub stdin: Option<Stdin>,
    /// The standard output.
    pub stdout: Option<ByteStream>,
    /// The standard error.
    pub stderr: Option<ByteStream>,
    dom0: Dom0,
    process: watch::Receiver<Option<u32>>,
    exit: oneshot::Receiver<Result<Exit, Error>>,
    sent: Option<Signal>,
    // The end of the input is what the guard in the control domain waits for.
    _guard: Option<Stdin>,
}

/// The process is told before anything else, so this is a generous time for a shell to start.
const PROCESS_LIMIT: Duration = Duration::from_secs(20);

impl Running {
    pub(crate) fn new(dom0: Dom0, command: &Command, ends: Ends) -> Self {
        let (stdin, guard) = match command.ends_with_connection() {
            true => (None, Some(ends.stdin)),
            false => (Some(ends.stdin), None),
        };
        Self {
            stdin,
            stdout: Some(ends.stdout),
            stderr: Some(ends.stderr),
            dom0,
            process: ends.process,
            exit: ends.exit,
            sent: None,
            _guard: guard,
        }
    }

    /// The id of its process, which is also that of its process group.
    pub async fn process(&mut self) -> Result<u32, Error> {
        // A server that runs another command than it was told to never says.
        let known = tokio::time::timeout(PROCESS_LIMIT, self.process.wait_for(Option::is_some)).await;
        let known = known.ok().and_then(|known| *known.ok()?);
        known.ok_or_else(|| Error::NoProcess { host: self.dom0.host() })
    }

    /// Sends a signal to the command and all that it has started.
    ///
    /// SSH's own signals are not used: servers before OpenSSH 7.9, which XenServer 8 still has, do not know them.
    pub async fn signal(&mut self, signal: Signal) -> Result<(), Error> {
        let process = self.process().await?;
        let kill = Command::new("kill")
            .arg("-s")
            .arg(signal.name())
            .arg("--")
            .arg(format!("-{process}"));
        self.sent = Some(signal);
        self.dom0.run(&kill).await?;
        Ok(())
    }

    /// Ends the command and all that it has started, unasked.
    pub async fn kill(&mut self) -> Result<(), Error> {
        self.signal(Signal::Kill).await
    }

    /// Waits for the command to end. What was not taken out before is closed: it reads its end, and its output is
    /// discarded.
    pub async fn wait(&mut self) -> Result<Exit, Error> {
        (self.stdin, self.stdout, self.stderr) = (None, None, None);
        let exit = (&mut self.exit)
            .await
            .unwrap_or_else(|_| Err(self.dom0.lost("nothing is known of the command")));
        Ok(match (exit?, self.sent) {
            // The ssh program says this of commands that a signal has ended.
            (Exit::Code(255), Some(sent)) if self.dom0.hides_signals() => Exit::Signal(sent.name().into()),
            (exit, _) => exit,
        })
    }

    /// Gives it its input and collects what it says.
    pub(crate) async fn collect(mut self, command: &Command) -> Result<Output, Error> {
        let limit = command.output_limit();
        let input = command.input_bytes();
        let stdin = self.stdin.take();
        let feed = async {
            if let Some(mut stdin) = stdin {
                // A command need not read what it is given.
                let _ = stdin.write_all(&input).await;
                let _ = stdin.shutdown().await;
            }
            Ok(())
        };
        let (stdout, stderr) = (self.stdout.take(), self.stderr.take());
        let gathered = tokio::try_join!(feed, gather(stdout, limit), gather(stderr, limit));
        let ((), stdout, stderr) = gathered.map_err(|TooMuch| Error::TooMuchOutput {
            host: self.dom0.host(),
            command: command.to_string(),
            limit,
        })?;
        Ok(Output {
            exit: self.wait().await?,
            stdout,
            stderr,
        })
    }
}

struct TooMuch;

/// How it ended early is told by the exit.
async fn gather(stream: Option<ByteStream>, limit: usize) -> Result<Bytes, TooMuch> {
    let mut gathered = BytesMut::new();
    if let Some(mut stream) = stream {
        while let Some(Ok(chunk)) = stream.chunk().await {
            if gathered.len() + chunk.len() > limit {
                return Err(TooMuch);
            }
            gathered.extend_from_slice(&chunk);
        }
    }
    Ok(gathered.freeze())
}

/// What a command said, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Output {
    /// How it ended.
    pub exit: Exit,
    /// What it wrote to standard output.
    pub stdout: Bytes,
    /// What it wrote to standard error.
    pub stderr: Bytes,
}

impl Output {
    /// The end of what it wrote to standard error, for a message.
    pub fn errors(&self) -> String {
        last_words(&self.stderr)
    }
}

pub(crate) fn last_words(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let text = text.trim();
    let start = (text.len().saturating_sub(1000)..=text.len()).find(|&at| text.is_char_boundary(at));
    text[start.unwrap_or_default()..].to_owned()
}
