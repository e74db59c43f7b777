//! Forwarding by a program in the control domain, where the SSH server does not do it.

use std::io;

use crate::command::Command;
use crate::running::{Running, last_words};
use crate::stream::{ByteStream, RemoteStream, Stdin};
use crate::{Dom0, Error, Exit, Target};

/// A program that connects its input and output to a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Relay {
    Socat,
    /// The end of the input is passed on by all of them, by OpenBSD's only where it is told to.
    Nc {
        told: bool,
    },
    Python,
}

/// Each direction ends on its own.
const PYTHON: &str = r#"
import os, socket, sys, threading
if len(sys.argv) == 2:
    s = socket.socket(socket.AF_UNIX)
    s.connect(sys.argv[1])
else:
    s = socket.create_connection((sys.argv[1], int(sys.argv[2])))
def send():
    try:
        while True:
            data = os.read(0, 65536)
            if not data:
                break
            s.sendall(data)
        s.shutdown(socket.SHUT_WR)
    except OSError:
        pass
threading.Thread(target=send, daemon=True).start()
while True:
    data = s.recv(65536)
    if not data:
        break
    while data:
        data = data[os.write(1, data):]
"#;

const PROBE: &str = r#"has() { command -v "$1" >/dev/null; }
if has socat; then echo socat
elif has nc; then case "$(nc -h 2>&1)" in *-N[[:space:]]*) echo nc -N ;; *) echo nc ;; esac
elif has python3; then echo python3
fi"#;

impl Relay {
    /// The first of the programs that is there.
    pub(crate) async fn probe(dom0: &Dom0) -> Result<Option<Self>, Error> {
        let found = dom0.run(&Command::raw(PROBE)).await?;
        Ok(match &found[..] {
            b"socat\n" => Some(Self::Socat),
            b"nc\n" => Some(Self::Nc { told: false }),
            b"nc -N\n" => Some(Self::Nc { told: true }),
            b"python3\n" => Some(Self::Python),
            _ => None,
        })
    }

    pub(crate) fn command(self, target: &Target) -> Command {
        match (self, target) {
            // Half a day may pass between the ends of the two directions, not half a second.
            (Self::Socat, target) => Command::new("socat").arg("-t43200").arg("-").arg(socat_address(target)),
            (Self::Nc { told }, target) => {
                let nc = Command::new("nc").args(told.then_some("-N"));
                match target {
                    Target::Tcp { host, port } => nc.arg("--").arg(host).arg(port.to_string()),
                    Target::Unix { path } => nc.arg("-U").arg("--").arg(path),
                }
            }
            (Self::Python, Target::Tcp { host, port }) => Command::new("python3")
                .arg("-c")
                .arg(PYTHON)
                .arg(host)
                .arg(port.to_string()),
            (Self::Python, Target::Unix { path }) => Command::new("python3").arg("-c").arg(PYTHON).arg(path),
        }
    }
}

/// socat has a grammar of its own inside of the word.
fn socat_address(target: &Target) -> String {
    match target {
        Target::Tcp { host, port } if host.contains(':') => format!("TCP6:[{host}]:{port}"),
        Target::Tcp { host, port } => format!("TCP:{}:{port}", escape(host)),
        Target::Unix { path } => format!("UNIX-CONNECT:{}", escape(path)),
    }
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if r#"\,:!"'(){}[]"#.contains(character) {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

/// The relay's input and output as a stream that ends with an error when the relay fails.
pub(crate) fn stream(mut running: Running, target: Target) -> RemoteStream {
    let (sender, read) = ByteStream::new();
    let (stdin, stdout, stderr) = (running.stdin.take(), running.stdout.take(), running.stderr.take());
    let write = stdin.unwrap_or_else(|| Stdin(tokio::io::duplex(1).0));
    tokio::spawn(async move {
        let errors = tokio::spawn(first_words(stderr));
        let Some(mut stdout) = stdout else { return };
        loop {
            let chunk = tokio::select! {
                chunk = stdout.chunk() => chunk,
                () = sender.closed() => return,
            };
            let Some(chunk) = chunk else { break };
            if sender.send(chunk).await.is_err() {
                return;
            }
        }
        let failure = match running.wait().await {
            Ok(Exit::Code(0)) => return,
            Ok(exit) => {
                let said = errors.await.unwrap_or_default();
                io::Error::new(io::ErrorKind::ConnectionRefused, format!("{target}: {exit}: {said}"))
            }
            Err(error) => crate::ends::aborted(&error),
        };
        // A reader that has gone does not mind.
        let _ = sender.send(Err(failure)).await;
    });
    RemoteStream { read, write }
}

async fn first_words(stderr: Option<ByteStream>) -> String {
    let mut words = Vec::new();
    if let Some(mut stderr) = stderr {
        while let Some(Ok(chunk)) = stderr.chunk().await {
            let room = 4096_usize.saturating_sub(words.len());
            words.extend_from_slice(&chunk[..chunk.len().min(room)]);
        }
    }
    last_words(&words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_address_means_more_to_socat_than_it_says() {
        let target = Target::unix("/run/a,fork!!EXEC:\"rm\"");
        assert_eq!(socat_address(&target), r#"UNIX-CONNECT:/run/a\,fork\!\!EXEC\:\"rm\""#);
        assert_eq!(socat_address(&Target::tcp("::1", 80)), "TCP6:[::1]:80");
    }

    #[test]
    fn options_of_nc_cannot_be_smuggled_in() {
        let command = Relay::Nc { told: false }.command(&Target::tcp("-e/bin/sh", 1));
        assert_eq!(command.to_string(), "nc -- -e/bin/sh 1");
    }
}
