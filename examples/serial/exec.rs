//! A command in a guest.

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use serial_link::link::{Client, Command, Exit, Port, Running};
use tokio::io::AsyncReadExt as _;

use crate::Ways;
use crate::guest::{Guest, PARTING};
use crate::place::Wanted;

/// Exit codes are the command's; 128 and the signal's number where one ended it, 124 after --timeout, as `timeout` says.
#[derive(Args)]
pub(crate) struct Flags {
    /// A VM by name or UUID, or unix:PATH or tcp:HOST:PORT of a port
    #[arg(value_name = "VM")]
    place: Wanted,
    /// The program and its arguments, which no shell sees
    #[arg(value_name = "COMMAND", required = true, last = true)]
    words: Vec<String>,
    /// Hand the words to the guest's shell, as one line
    #[arg(long)]
    shell: bool,
    /// Kill it, and its children, after so long
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
    /// Run it in this folder of the guest
    #[arg(long, value_name = "FOLDER")]
    folder: Option<String>,
    /// A variable of its environment; several may be given. Whoever sees this machine's processes sees it
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = variable)]
    variables: Vec<(String, String)>,
    #[command(flatten)]
    guest: Guest,
}

fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once('=')
        .filter(|(name, _)| !name.is_empty())
        .ok_or("NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

impl Flags {
    fn command(&self) -> Command {
        let mut command = match self.shell {
            true => Command::shell(self.words.join(" ")),
            false => Command::new(self.words.iter()),
        };
        for (name, value) in &self.variables {
            command = command.variable(name, value);
        }
        if let Some(folder) = &self.folder {
            command = command.folder(folder);
        }
        if let Some(seconds) = self.timeout {
            command = command.timeout(Duration::from_secs(seconds));
        }
        // At a terminal nobody expects that what he types next goes away.
        match io::stdin().is_terminal() {
            true => command,
            false => command.with_input(),
        }
    }
}

pub(crate) async fn run(flags: &Flags, ways: &Ways<'_>) -> anyhow::Result<ExitCode> {
    let mut started: Option<Client> = None;
    let outcome = flags
        .guest
        .with(&flags.place, ways, async |place| {
            let client = started.insert(flags.guest.connect(&place).await?);
            let running = client.exec(&flags.command()).await?;
            Ok(ExitCode::from(code(carry(running).await?)))
        })
        .await;
    // After ctrl-c the command was let go of, which the guest has to hear.
    if let (Err(_), Some(client)) = (&outcome, started) {
        client.settled(PARTING).await;
    }
    outcome
}

/// All that goes in and comes out, until its end.
async fn carry(running: Running) -> anyhow::Result<Exit> {
    let input = async {
        let mut stdin = tokio::io::stdin();
        let mut piece = vec![0; 16 << 10];
        loop {
            let length = stdin.read(&mut piece).await?;
            // A command need not read its input.
            if length == 0 || running.write_all(&piece[..length]).await.is_err() {
                let _ = running.end_input();
                return std::future::pending::<anyhow::Result<()>>().await;
            }
        }
    };
    let output = async {
        tokio::try_join!(
            show(&running, Port::Output, io::stdout()),
            show(&running, Port::Errors, io::stderr())
        )
    };
    if io::stdin().is_terminal() {
        output.await?;
    } else {
        tokio::select! {
            failed = input => failed.context("standard input cannot be read")?,
            shown = output => drop(shown?),
        }
    }
    Ok(running.wait().await?)
}

async fn show(running: &Running, port: Port, mut to: impl io::Write) -> anyhow::Result<()> {
    while let Some(bytes) = running.read(port, 64 << 10).await? {
        to.write_all(&bytes)?;
        to.flush()?;
    }
    Ok(())
}

fn code(exit: Exit) -> u8 {
    match exit {
        // A shell, too, tells the last 8 bits.
        Exit::Code(code) => code.to_le_bytes()[0],
        Exit::Signal(signal) => u8::try_from(signal).unwrap_or(0).saturating_add(128),
        Exit::TimedOut => 124,
        _ => 255,
    }
}
