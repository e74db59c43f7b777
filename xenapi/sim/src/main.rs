//! A simulated pool on ports, for programs in any language.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use xenapi_sim::{BuildError, Fault, Server, Simulator};

/// A simulated XenServer pool that answers as xapi does
///
/// Prints URL= (the coordinator), PIN= (SHA-256 of its certificate, with --tls) and one HOST= line for each other host
/// as soon as it answers, and runs until it is ended.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// Where the coordinator listens; other hosts get free ports of the same address
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDR:PORT")]
    listen: String,
    /// The user that can log in
    #[arg(long, default_value = "root")]
    user: String,
    /// The user's password
    #[arg(
        long,
        env = "XENAPI_SIM_PASSWORD",
        hide_env_values = true,
        default_value = "xensource"
    )]
    password: String,
    /// Answer over TLS with self-signed certificates
    #[arg(long)]
    tls: bool,
    /// Number of hosts
    #[arg(long, default_value_t = 1)]
    hosts: usize,
    /// Number of VMs
    #[arg(long, default_value_t = 4)]
    vms: usize,
    /// Number of images in the ISO library
    #[arg(long, default_value_t = 4)]
    isos: usize,
    /// How long every answer waits, in milliseconds
    #[arg(long, default_value_t = 0, value_name = "MS")]
    delay: u64,
    /// How often a task reports progress
    #[arg(long, default_value_t = 0, value_name = "N")]
    task_steps: u32,
    /// How long each step of a task takes, in milliseconds
    #[arg(long, default_value_t = 0, value_name = "MS")]
    task_delay: u64,
    /// A fault, for example "VM.start:error=SR_FULL,1,2;object=web-01;times=2" or "/export:truncate=1000000"; repeatable
    #[arg(long, value_name = "FAULT")]
    fault: Vec<Fault>,
    /// Where references, UUIDs and chances come from
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    match run(options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xenapi-sim: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<(), BuildError> {
    let tls = options.tls;
    let listen = options.listen.clone();
    let builder = Simulator::builder()
        .hosts(options.hosts)
        .vms(options.vms)
        .isos(options.isos)
        .user(options.user)
        .password(options.password)
        .delay(Duration::from_millis(options.delay))
        .task_steps(options.task_steps)
        .task_delay(Duration::from_millis(options.task_delay))
        .seed(options.seed);
    let pool = options
        .fault
        .into_iter()
        .fold(builder, xenapi_sim::Builder::fault)
        .build()?;
    let server = if tls {
        pool.listen_tls(&listen).await?
    } else {
        pool.listen(&listen).await?
    };
    announce(&server);
    std::future::pending().await
}

fn announce(server: &Server) {
    let mut out = std::io::stdout().lock();
    let mut lines = vec![format!("URL={}", server.url())];
    lines.extend(server.fingerprint_sha256().map(|pin| format!("PIN={pin}")));
    lines.extend(server.urls().iter().skip(1).map(|url| format!("HOST={url}")));
    // Whoever closed the other end does not want to know.
    let _ = writeln!(out, "{}", lines.join("\n")).and_then(|()| out.flush());
}
