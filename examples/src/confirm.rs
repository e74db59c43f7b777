//! Asks before something is changed.

use std::io::{self, IsTerminal, Write};

use anyhow::{Context, ensure};

/// Asks on the terminal.
///
/// # Errors
/// Where there is no terminal, or the answer is not yes.
pub async fn confirm(question: &'static str) -> anyhow::Result<()> {
    ensure!(
        io::stdin().is_terminal(),
        "nothing was changed: there is no terminal to ask on; --yes goes ahead without asking"
    );
    // A thread of its own, and not one that the runtime would wait for after ctrl-c.
    let (answered, answer) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = write!(io::stderr(), "{question} [y/N] ").and_then(|()| io::stdin().read_line(&mut line));
        // Nobody waits for it any more after ctrl-c.
        let _ = answered.send(read.map(|_| line));
    });
    let line = answer.await.context("the question was not answered")??;
    ensure!(
        matches!(line.trim().to_lowercase().as_str(), "y" | "yes"),
        "nothing was changed"
    );
    Ok(())
}
