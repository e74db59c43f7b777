//! A terminal on a port.

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use ratatui::crossterm::terminal::{disable_raw_mode, enable_raw_mode};
use serial_link::bridge::{Bridge, Reader, Replay, Writer};
use serial_link::reach::{Claim, Wish};
use serial_link::serve::{Input, Session, stdio};
use tokio::io::AsyncReadExt as _;
use tokio::time::sleep;
use xenapi_examples::note;

use crate::Ways;
use crate::bridge::tell;
use crate::place::Wanted;

/// Ctrl-], as telnet and `xl console` have it.
const ESCAPE: u8 = 0x1d;

#[derive(Args)]
pub(crate) struct Flags {
    /// A VM by name or UUID, or unix:PATH or tcp:HOST:PORT of a port
    #[arg(value_name = "VM")]
    place: Wanted,
    /// Send nothing
    #[arg(long)]
    read_only: bool,
    /// Take the input of a bridge of yours over, from a terminal or a program that has it; not from a link to an agent
    #[arg(long, conflicts_with = "read_only")]
    take_over: bool,
}

/// What a bridge tells whoever joins it: about a screen.
const LINES: usize = 24;

impl Flags {
    fn wish(&self) -> Wish {
        let claim = match (self.read_only, self.take_over) {
            (true, _) => Claim::Nothing,
            (false, true) => Claim::TakeOver,
            (false, false) => Claim::Free,
        };
        Wish::new("serial attach").claim(claim).lines(LINES)
    }
}

pub(crate) async fn run(flags: &Flags, ways: &Ways<'_>) -> anyhow::Result<ExitCode> {
    flags
        .place
        .with(ways, flags.wish(), async |place| {
            let telling = tokio::spawn(tell(place.bridge.events()));
            let terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
            let outcome = match terminal {
                true => at_terminal(&place.bridge, &place.name, flags.read_only).await,
                false => {
                    let input = if flags.read_only { Input::Ignored } else { Input::First };
                    let session = Session::default().hold_back(true).input(input);
                    stdio(&place.bridge, &session).await.map_err(Into::into)
                }
            };
            telling.abort();
            let status = place.bridge.status();
            match (status.ended, status.last_error) {
                (true, Some(reason)) => {
                    bail!("{reason}; --take-over takes the input over, --read-only goes without it")
                }
                _ => outcome.map(|()| ExitCode::SUCCESS),
            }
        })
        .await
}

async fn at_terminal(bridge: &Bridge, name: &str, read_only: bool) -> anyhow::Result<()> {
    let writer = match read_only {
        true => None,
        false => Some(bridge.writer("this terminal")?),
    };
    note(format!("{name}; Ctrl-] leaves."));
    let _raw = Raw::enter()?;
    let reader = bridge.reader("this terminal", Replay::All);
    tokio::select! {
        shown = show(reader) => shown,
        typed = type_in(writer) => typed,
    }
}

async fn show(mut reader: Reader) -> anyhow::Result<()> {
    let mut out = io::stdout();
    while let Some(piece) = reader.next().await {
        out.write_all(&piece.bytes)?;
        out.flush()?;
    }
    Ok(())
}

async fn type_in(writer: Option<Writer>) -> anyhow::Result<()> {
    let mut input = tokio::io::stdin();
    let mut typed = [0; 256];
    loop {
        let length = input.read(&mut typed).await?;
        let typed = &typed[..length];
        let end = typed.iter().position(|&byte| byte == ESCAPE);
        let wanted = &typed[..end.unwrap_or(length)];
        if let Some(writer) = writer.as_ref().filter(|_| !wanted.is_empty()) {
            writer.write(wanted).await?;
        }
        if length == 0 || end.is_some() {
            // What was typed last is on its way.
            sleep(Duration::from_millis(50)).await;
            return Ok(());
        }
    }
}

/// A terminal that passes every key, until this is dropped.
struct Raw;

impl Raw {
    fn enter() -> anyhow::Result<Self> {
        enable_raw_mode().context("the terminal stays as it is")?;
        Ok(Self)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // There is nobody to tell.
        let _ = disable_raw_mode();
    }
}
