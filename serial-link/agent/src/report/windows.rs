use std::env;
use std::process::{Command, Stdio};

use serial_link_protocol::Report;

pub(crate) fn system() -> Report {
    let version = Command::new("cmd").args(["/C", "ver"]).stdin(Stdio::null()).output();
    let version = version
        .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
        .unwrap_or_default();
    Report {
        system: env::var("OS").unwrap_or_else(|_| "Windows".into()),
        kernel: version,
        hostname: env::var("COMPUTERNAME").unwrap_or_default(),
        users: env::var("USERNAME").into_iter().collect(),
        ..Report::default()
    }
}
