//! A simulated pool on ports, for programs in any language.

use std::error::Error;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use xenapi_sim::{Fault, NbdPurpose, Role, RoleError, Server, Simulator};

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
    /// The name of the superuser
    #[arg(long, default_value = "root")]
    superuser: String,
    /// One more user, for example "anna:secret:read-only"; repeatable
    #[arg(long, value_name = "NAME:PASSWORD:ROLE")]
    user: Vec<User>,
    /// The superuser's password
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
    /// Take hosts, VMs and everything else from this file, in place of --hosts, --vms and --isos
    #[arg(long, value_name = "FILE", conflicts_with_all = ["hosts", "vms", "isos"])]
    load: Option<PathBuf>,
    /// Write the pool to this file, at once and when it is ended by Ctrl-C or SIGTERM
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Offer disks over NBD, with TLS or without, at the addresses that VDI.get_nbd_info tells
    #[arg(long, value_name = "SECURITY")]
    nbd: Option<NbdSecurity>,
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

#[derive(Clone, Copy, Debug, ValueEnum)]
enum NbdSecurity {
    /// With the host's certificate, on a network of the purpose "nbd"
    Tls,
    /// Without, on a network of the purpose "insecure_nbd"
    Plain,
}

impl From<NbdSecurity> for NbdPurpose {
    fn from(security: NbdSecurity) -> Self {
        match security {
            NbdSecurity::Tls => Self::Nbd,
            NbdSecurity::Plain => Self::InsecureNbd,
        }
    }
}

/// A user, his password and his role.
#[derive(Clone, Debug)]
struct User {
    name: String,
    password: String,
    role: Role,
}

impl FromStr for User {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once(':').zip(text.rsplit_once(':'));
        let ((name, _), (rest, role)) = parts.ok_or_else(|| "expected NAME:PASSWORD:ROLE".to_owned())?;
        let password = rest
            .get(name.len() + 1..)
            .ok_or_else(|| "expected NAME:PASSWORD:ROLE".to_owned())?;
        Ok(Self {
            name: name.to_owned(),
            password: password.to_owned(),
            role: role.parse().map_err(|error: RoleError| error.to_string())?,
        })
    }
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

async fn run(options: Options) -> Result<(), Box<dyn Error>> {
    let tls = options.tls;
    let listen = options.listen.clone();
    let builder = Simulator::builder()
        .hosts(options.hosts)
        .vms(options.vms)
        .isos(options.isos)
        .superuser(options.superuser)
        .password(options.password)
        .delay(Duration::from_millis(options.delay))
        .task_steps(options.task_steps)
        .task_delay(Duration::from_millis(options.task_delay))
        .seed(options.seed);
    let builder = match options.nbd {
        Some(security) => builder.nbd(security.into()),
        None => builder,
    };
    let builder = match options.load {
        Some(path) => builder.load(path),
        None => builder,
    };
    let builder = options.user.into_iter().fold(builder, |builder, user| {
        builder.user(user.name, user.password, user.role)
    });
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
    let save = || options.save.as_ref().map_or(Ok(()), |path| server.pool().save(path));
    save()?;
    if options.save.is_none() {
        announce(&server);
        return std::future::pending().await;
    }
    // Before the addresses are told: whoever read them may end the program at once.
    let end = end_is_asked_for()?;
    announce(&server);
    end.await?;
    Ok(save()?)
}

/// Listens for SIGINT and SIGTERM from now on, and waits for one of them.
#[cfg(unix)]
fn end_is_asked_for() -> std::io::Result<impl Future<Output = std::io::Result<()>>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupted.recv() => Ok(()),
            _ = terminated.recv() => Ok(()),
        }
    })
}

/// Waits for Ctrl-C.
#[cfg(not(unix))]
fn end_is_asked_for() -> std::io::Result<impl Future<Output = std::io::Result<()>>> {
    Ok(tokio::signal::ctrl_c())
}

fn announce(server: &Server) {
    let mut out = std::io::stdout().lock();
    let mut lines = vec![format!("URL={}", server.url())];
    lines.extend(server.fingerprint_sha256().map(|pin| format!("PIN={pin}")));
    lines.extend(server.urls().iter().skip(1).map(|url| format!("HOST={url}")));
    // Whoever closed the other end does not want to know.
    let _ = writeln!(out, "{}", lines.join("\n")).and_then(|()| out.flush());
}
