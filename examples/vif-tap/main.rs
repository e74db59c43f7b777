//! The packets of VMs, live: into a file, a pipe or Wireshark, from the control domain of their host.
//!
//!     cargo run --release --example vif-tap -- --url https://10.0.0.2 --vm web-01 --wireshark
//!     cargo run --release --example vif-tap -- --host root@10.0.0.2 --vm web-01 --filter 'tcp port 443' -w web.pcapng
//!     cargo run --release --example vif-tap -- --url https://10.0.0.2 --network 'Pool-wide network 0' - | tshark -i -
//!
//! Nothing is installed in the VMs, and nothing at the host.

mod output;
mod show;
mod subjects;

use std::process::ExitCode;

use clap::Parser;
use pcap_tap::live::Capture;
use xenapi_examples::{Connection, ControlDomain, Interrupt, Pool, Sessions, Whereabouts, arguments, finish};

use crate::output::Output;
use crate::show::Show;
use crate::subjects::Subjects;

/// The packets of VMs, live: into a file, a pipe or Wireshark, from the control domain of their host.
///
/// VMs are found by a pool, or at a host alone with --host. The capture goes on through reboots, and with a pool through
/// migrations. It ends with ctrl-c.
#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    subjects: Subjects,
    /// Find the VMs at this host's control domain, without a pool
    #[arg(long, value_name = "[USER@]HOST[:PORT]", conflicts_with_all = Connection::FLAGS)]
    host: Option<String>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    control_domain: ControlDomain,
    #[command(flatten)]
    connection: Connection,
}

#[tokio::main]
async fn main() -> ExitCode {
    let flags: Flags = arguments();
    let outcome = match &flags.host {
        Some(host) => at_host(host, &flags).await,
        None => {
            let work = async |pool: &Pool| by_pool(pool, &flags).await;
            flags.connection.run("vif-tap", work).await
        }
    };
    finish(outcome.map(|()| ExitCode::SUCCESS))
}

async fn by_pool(pool: &Pool, flags: &Flags) -> anyhow::Result<()> {
    let sessions = Sessions::new(&flags.control_domain);
    let whereabouts = Whereabouts::new(pool, &sessions);
    let tap = pool.unless_interrupted(flags.subjects.by_pool(&whereabouts)).await?;
    let tap = tap.comment(format!("pool at {}", pool.url()));
    let capture = pool.unless_interrupted(flags.output.start(tap)).await?;
    record(capture, async || {
        // It is ended by ctrl-c, and never by itself.
        let _: anyhow::Result<()> = pool
            .unless_interrupted(std::future::pending::<anyhow::Result<()>>())
            .await;
    })
    .await
}

async fn at_host(host: &str, flags: &Flags) -> anyhow::Result<()> {
    let interrupt = Interrupt::watch();
    let begin = async {
        let dom0 = flags.control_domain.connect(host).await?;
        let tap = flags.subjects.at_host(&dom0).await?;
        flags.output.start(tap).await
    };
    let capture = interrupt.unless_pressed(begin).await?;
    record(capture, async || interrupt.pressed().await).await
}

/// Shows how far it comes until somebody ends it.
async fn record(mut capture: Capture, ended: impl AsyncFnOnce()) -> anyhow::Result<()> {
    let show = Show::new(capture.gauge());
    let outcome = tokio::select! {
        () = ended() => None,
        () = show.forever() => None,
        outcome = capture.wait() => Some(outcome),
    };
    let outcome = match outcome {
        Some(outcome) => outcome,
        None => capture.stop().await,
    };
    show.end();
    match outcome {
        // Whoever closed Wireshark has seen enough.
        Err(error) if !error.is_reader_gone() => Err(error.into()),
        _ => Ok(()),
    }
}
