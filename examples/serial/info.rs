//! What a guest's agent says of its system.

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Args;
use serde_json::json;
use serial_link::link::Report;
use xenapi_examples::Printable;

use crate::Ways;
use crate::guest::Guest;
use crate::place::Wanted;

#[derive(Args)]
pub(crate) struct Flags {
    /// A VM by name or UUID, or unix:PATH or tcp:HOST:PORT of a port
    #[arg(value_name = "VM")]
    place: Wanted,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    guest: Guest,
}

pub(crate) async fn run(flags: &Flags, ways: &Ways<'_>) -> anyhow::Result<ExitCode> {
    let asked = flags.guest.with(&flags.place, ways, async |place| {
        Ok(flags.guest.connect(&place).await?.report().await?)
    });
    let report = asked.await?;
    let mut out = io::stdout();
    if flags.json {
        writeln!(out, "{:#}", document(&report))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut line = |name: &str, value: &str| writeln!(out, "{name:<10} {}", Printable(value));
    line("host", &report.hostname)?;
    line("system", &report.system)?;
    line("kernel", &format!("{} ({})", report.kernel, report.architecture))?;
    if let Some(uptime) = report.uptime {
        let minutes = uptime.as_secs() / 60;
        line(
            "up",
            &format!("{} d {} h {} min", minutes / 1440, minutes / 60 % 24, minutes % 60),
        )?;
    }
    if !report.users.is_empty() {
        line("users", &report.users.join(", "))?;
    }
    for address in &report.addresses {
        line(&address.interface, &address.address.to_string())?;
    }
    line("agent", &report.agent)?;
    Ok(ExitCode::SUCCESS)
}

fn document(report: &Report) -> serde_json::Value {
    let addresses: Vec<_> = report
        .addresses
        .iter()
        .map(|address| json!({ "interface": address.interface, "address": address.address }))
        .collect();
    json!({
        "hostname": report.hostname,
        "system": report.system,
        "kernel": report.kernel,
        "architecture": report.architecture,
        "uptime_seconds": report.uptime.map(|uptime| uptime.as_secs()),
        "users": report.users,
        "addresses": addresses,
        "agent": report.agent,
    })
}
