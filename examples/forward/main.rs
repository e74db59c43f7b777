//! Local ports that lead to guests, through SSH to the hosts that they run on.
//!
//!     cargo run --release --example forward -- web-01:3389 --pool lab
//!     cargo run --release --example forward -- 'db-*':22 tag:lab:80 --listen 127.0.0.1:8000
//!
//! It takes the place of NAT rules written by hand: the guests' network is reached as their host reaches it. Where a VM is
//! and which address it has is looked up whenever somebody connects, so that one that moves or reboots is found again.

mod guest;
mod serve;

use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::str::FromStr;

use anyhow::Context as _;
use clap::Parser;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use xenapi_examples::{Connection, ControlDomain, Pool, Printable, Sessions, arguments, finish, note};

use crate::guest::{Door, doors};
use crate::serve::{Way, serve};

/// Local ports that lead to guests, through SSH to the hosts that they run on
///
/// They stay open until ctrl-c.
#[derive(Parser)]
struct Flags {
    /// A VM and a port in it; the VM by name, UUID, pattern ('web-*':22) or tag (tag:lab:22)
    #[arg(value_name = "VM:PORT", required = true)]
    doors: Vec<Door>,
    /// The local port of the first, and the ones after it for the others; otherwise free ports
    #[arg(long, value_name = "[ADDRESS:]PORT", default_value = "127.0.0.1:0")]
    listen: Listen,
    /// Only say what would be opened, and whether it can be reached now
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    ssh: ControlDomain,
    #[command(flatten)]
    connection: Connection,
}

/// Where the first port is opened.
#[derive(Clone, Copy)]
struct Listen(SocketAddr);

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let lone = text.parse().map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        let address = lone.or_else(|_| text.parse());
        Ok(Self(address.map_err(|_| "neither PORT nor ADDRESS:PORT")?))
    }
}

impl Listen {
    /// The address for one of the ports.
    fn nth(self, index: usize) -> anyhow::Result<(IpAddr, u16)> {
        let Self(first) = self;
        if first.port() == 0 {
            return Ok((first.ip(), 0));
        }
        let port = u16::try_from(index)
            .ok()
            .and_then(|index| first.port().checked_add(index));
        Ok((first.ip(), port.context("there is no port above 65535")?))
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let flags: Flags = arguments();
    let outcome = flags
        .connection
        .run("forward", async |pool: &Pool| run(pool, &flags).await)
        .await;
    finish(outcome)
}

async fn run(pool: &Pool, flags: &Flags) -> anyhow::Result<ExitCode> {
    let vms = pool.unless_interrupted(pool.vms().all_records()).await?;
    let hosts = Sessions::new(&flags.ssh);
    let mut serving = JoinSet::new();
    let mut unreachable = 0;
    for (index, (chosen, port)) in doors(&flags.doors, &vms)?.into_iter().enumerate() {
        let way = Way::new((**pool).clone(), hosts.clone(), chosen, port);
        let now = match pool.unless_interrupted(way.place()).await {
            Ok(place) => place.to_string(),
            Err(error) if pool.is_interrupted() => return Err(error),
            Err(error) => {
                unreachable += 1;
                format!("not now: {error:#}")
            }
        };
        let local = flags.listen.nth(index)?;
        let local = if flags.dry_run {
            SocketAddr::from(local)
        } else {
            let listener = TcpListener::bind(local)
                .await
                .with_context(|| format!("{}:{} cannot be opened", local.0, local.1))?;
            let local = listener.local_addr()?;
            serving.spawn(serve(listener, way.clone()));
            local
        };
        writeln!(
            io::stdout(),
            "{local:<22} {:<24} {}",
            Printable(&way.name()),
            Printable(&now)
        )?;
    }
    if flags.dry_run {
        return Ok(ExitCode::from(u8::from(unreachable > 0)));
    }
    note("Ctrl-c closes them.");
    pool.unless_interrupted(async {
        while serving.join_next().await.is_some() {}
        anyhow::Ok(())
    })
    .await?;
    Ok(ExitCode::SUCCESS)
}
