//! Where the packets go.

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use clap::Args;
use pcap_tap::live::{Capture, Sink, Tap};

#[derive(Args)]
#[command(next_help_heading = "Where to")]
pub(crate) struct Output {
    /// Into this file, as pcapng
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["wireshark", "tshark"])]
    write: Option<PathBuf>,
    /// Into files of about so many MiB, numbered
    #[arg(long, value_name = "MIB", requires = "write", value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    rotate: Option<u64>,
    /// Of the numbered files, only the newest so many stay
    #[arg(long, value_name = "COUNT", requires = "rotate")]
    keep: Option<usize>,
    /// Into Wireshark, which is started
    #[arg(long, conflicts_with = "tshark")]
    wireshark: bool,
    /// Into tshark, which is started and prints a line for each packet
    #[arg(long)]
    tshark: bool,
    /// `-` for standard output, which is also taken where it is no terminal
    #[arg(value_name = "-", value_parser = ["-"])]
    stdout: Option<String>,
}

impl Output {
    /// Begins a capture into it.
    pub(crate) async fn start(&self, tap: Tap) -> anyhow::Result<Capture> {
        Ok(tap.start(self.sink()?).await?)
    }

    fn sink(&self) -> anyhow::Result<Sink> {
        Ok(match (&self.write, self.rotate) {
            (Some(file), Some(mebibytes)) => Sink::rotating(file, mebibytes << 20, self.keep),
            (Some(file), None) => Sink::file(file),
            _ if self.wireshark => viewer("wireshark", &["-k", "-i", "-"])?,
            _ if self.tshark => viewer("tshark", &["-n", "-l", "-i", "-"])?,
            _ if self.stdout.is_some() || !io::stdout().is_terminal() => Sink::stdout(),
            _ => bail!("packets are not for a terminal: say -w FILE, --wireshark, --tshark, or - for a pipe"),
        })
    }
}

/// A program that reads the capture. It goes on when the capture has ended.
fn viewer(program: &'static str, arguments: &[&str]) -> anyhow::Result<Sink> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped());
    // Ctrl-c is for the capture alone, whose end it then reads.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let child = command
        .spawn()
        .with_context(|| format!("cannot start {program}; it comes with Wireshark"))?;
    let input = child.stdin.context("the program has no input")?;
    Ok(Sink::writer(program, input))
}
