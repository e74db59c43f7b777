//! The task behind one process: fills the queues of its readers, and empties that of its writer.

use std::io;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::process::{Child, ChildStdin};
use tokio::sync::{mpsc, oneshot, watch};

use super::master::Master;
use crate::ends::{Ends, aborted};
use crate::process_line::ProcessLine;
use crate::stream::{ByteStream, INPUT_BUFFER, Stdin};
use crate::{Error, Exit};

type Sender = mpsc::Sender<io::Result<Bytes>>;

pub(super) fn start(mut child: Child, master: Master) -> io::Result<Ends> {
    let missing = || io::Error::other("its streams are missing");
    let child_stdin = child.stdin.take().ok_or_else(missing)?;
    let child_stdout = child.stdout.take().ok_or_else(missing)?;
    let child_stderr = child.stderr.take().ok_or_else(missing)?;
    let (stdin, input) = tokio::io::duplex(INPUT_BUFFER);
    let (stdout_sender, stdout) = ByteStream::new();
    let (stderr_sender, stderr) = ByteStream::new();
    let (process_sender, process) = watch::channel(None);
    let (mut exit_sender, exit) = oneshot::channel();
    tokio::spawn(async move {
        let work = async {
            tokio::join!(
                carry(child_stdout, &stdout_sender),
                carry_errors(child_stderr, &stderr_sender, process_sender)
            );
            verdict(&mut child, &master).await
        };
        let verdict = tokio::select! {
            verdict = work => verdict,
            () = feed(input, child_stdin) => return,
            () = forgotten(&mut exit_sender, [&stdout_sender, &stderr_sender]) => return,
        };
        if let Err(error @ Error::Lost { .. }) = &verdict {
            for sender in [&stdout_sender, &stderr_sender] {
                // A reader that has gone does not mind.
                let _ = sender.send(Err(aborted(error))).await;
            }
        }
        let _ = exit_sender.send(verdict);
    });
    Ok(Ends {
        stdin: Stdin(stdin),
        stdout,
        stderr,
        process,
        exit,
    })
}

async fn verdict(child: &mut Child, master: &Master) -> Result<Exit, Error> {
    let status = child.wait().await.map_err(|source| master.cannot_run(source))?;
    match status.code() {
        // Its own failures look like a command that returned this.
        Some(255) if !master.is_alive().await => Err(master.lost().await),
        Some(code) => Ok(Exit::Code(code.unsigned_abs())),
        None => Err(Error::Lost {
            host: master.destination().into(),
            reason: format!("the ssh program ended: {status}"),
        }),
    }
}

/// Returns never: the end of the input is not the end of the command.
async fn feed(mut input: DuplexStream, mut stdin: ChildStdin) {
    let copied = tokio::io::copy(&mut input, &mut stdin).await;
    drop((copied, input));
    let _ = stdin.shutdown().await;
    drop(stdin);
    std::future::pending().await
}

async fn forgotten(exit: &mut oneshot::Sender<Result<Exit, Error>>, outputs: [&Sender; 2]) {
    exit.closed().await;
    for output in outputs {
        output.closed().await;
    }
}

async fn carry(mut output: impl AsyncRead + Unpin, sender: &Sender) {
    while let Some(chunk) = next(&mut output).await {
        // A reader that has gone discards what comes.
        let _ = sender.send(Ok(chunk)).await;
    }
}

async fn carry_errors(mut output: impl AsyncRead + Unpin, sender: &Sender, process: watch::Sender<Option<u32>>) {
    let mut line = ProcessLine::default();
    while let Some(chunk) = next(&mut output).await {
        let (chunk, found) = line.feed(chunk);
        if found.is_some() {
            process.send_replace(found);
        }
        if !chunk.is_empty() {
            let _ = sender.send(Ok(chunk)).await;
        }
    }
    let rest = line.finish();
    if !rest.is_empty() {
        let _ = sender.send(Ok(rest)).await;
    }
}

async fn next(output: &mut (impl AsyncRead + Unpin)) -> Option<Bytes> {
    let mut buffer = BytesMut::with_capacity(64 << 10);
    match output.read_buf(&mut buffer).await {
        Ok(0) | Err(_) => None,
        Ok(_) => Some(buffer.freeze()),
    }
}
