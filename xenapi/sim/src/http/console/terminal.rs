//! A serial line with a prompt that repeats what is typed.

use std::io;

use tokio::io::{AsyncRead, AsyncWrite};

use super::Line;

/// Greets and repeats what comes, until the client goes or sends end of transmission.
pub(super) async fn echo<S: AsyncRead + AsyncWrite + Unpin>(name: &str, mut line: Line<'_, S>) -> io::Result<()> {
    const END_OF_TRANSMISSION: u8 = 4;
    let prompt = format!("{name} login: ");
    line.send(format!("\r\n{prompt}").as_bytes()).await?;
    loop {
        let typed = line.some().await?;
        let mut answer = Vec::with_capacity(typed.len());
        for &byte in &typed {
            match byte {
                END_OF_TRANSMISSION => return line.send(&answer).await,
                b'\r' => answer.extend_from_slice(format!("\r\n{prompt}").as_bytes()),
                // Terminals that end lines with two characters mean one.
                b'\n' => {}
                _ => answer.push(byte),
            }
        }
        line.send(&answer).await?;
    }
}
