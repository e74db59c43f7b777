//! A port that is kept open for several programs.

use std::future::pending;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use serial_link::bridge::{Bridge, Event, Log, Replay};
use serial_link::serve::{self, Input, Session};
use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use xenapi_examples::{Printable, note};

use crate::Ways;
use crate::place::Wanted;

/// The first program that sends something has the input until it leaves. Other `serial` commands for the same VM find the
/// bridge by themselves.
#[derive(Args)]
pub(crate) struct Flags {
    /// A VM by name or UUID, or tcp:HOST:PORT of a port, or listen:ADDRESS:PORT for a QEMU that connects
    #[arg(value_name = "VM")]
    place: Wanted,
    /// Serve it at this local port, to whoever gets at it
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Serve it at this unix socket, to this user
    #[cfg(unix)]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Serve it as a serial device, at this path
    #[cfg(unix)]
    #[arg(long, value_name = "PATH")]
    pty: Option<PathBuf>,
    /// Serve it as this named pipe, such as \\.\pipe\web-01
    #[cfg(windows)]
    #[arg(long, value_name = "NAME")]
    pipe: Option<String>,
    /// Write down what comes, with the time in front of every line
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// How many of the last lines a program gets when it connects. Debuggers are confused by them; other `serial` commands
    /// say themselves what they want
    #[arg(long, value_name = "LINES", default_value_t = 0)]
    replay: usize,
    /// Nobody may send anything
    #[arg(long)]
    read_only: bool,
    /// The guest waits for programs that read slowly, which miss bytes otherwise
    #[arg(long)]
    hold_back: bool,
}

pub(crate) async fn run(flags: &Flags, ways: &Ways<'_>) -> anyhow::Result<ExitCode> {
    flags
        .place
        .with_own(ways, async |place| {
            let input = if flags.read_only { Input::Ignored } else { Input::First };
            let session = Session::default()
                .replay(match flags.replay {
                    0 => Replay::Nothing,
                    lines => Replay::Lines(lines),
                })
                .hold_back(flags.hold_back)
                .hand_over(true)
                .input(input);
            let bridge = &place.bridge;
            say(&format!("{} is kept open; ctrl-c ends it.", place.name))?;
            tokio::select! {
                ended = listen(flags.listen, bridge, &session) => ended?,
                ended = local(flags, place.meeting, bridge, &session) => ended?,
                ended = log(flags.log.as_ref(), bridge) => ended?,
                () = tell(bridge.events()) => {}
            }
            Ok(ExitCode::SUCCESS)
        })
        .await
}

fn say(text: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{}", Printable(text))?;
    io::stdout().flush()
}

async fn listen(address: Option<SocketAddr>, bridge: &Bridge, session: &Session) -> anyhow::Result<()> {
    let Some(address) = address else { return pending().await };
    let listener = TcpListener::bind(address).await;
    let listener = listener.with_context(|| format!("{address} cannot be opened"))?;
    say(&format!("tcp:{}", listener.local_addr()?))?;
    serve::tcp(bridge, listener, session).await;
    Ok(())
}

#[cfg(unix)]
async fn local(flags: &Flags, meeting: Option<PathBuf>, bridge: &Bridge, session: &Session) -> anyhow::Result<()> {
    let bind = async |path: &PathBuf| {
        if let Some(folder) = path.parent() {
            tokio::fs::create_dir_all(folder).await?;
        }
        let bound = serve::BoundUnix::bind(path).await;
        let bound = bound.with_context(|| format!("the socket {} cannot be opened", path.display()))?;
        say(&format!("unix:{}", path.display()))?;
        anyhow::Ok(bound)
    };
    let socket = async {
        let Some(path) = &flags.socket else {
            return pending().await;
        };
        serve::unix(bridge, &bind(path).await?, session).await;
        anyhow::Ok(())
    };
    let peers = async {
        let Some(path) = &meeting else { return pending().await };
        serve::peers(bridge, &bind(path).await?, session).await;
        anyhow::Ok(())
    };
    let terminal = async {
        let Some(path) = &flags.pty else { return pending().await };
        let pty = serve::Pty::at(path);
        let pty = pty.with_context(|| format!("the device {} cannot be made", path.display()))?;
        say(&format!("{}", pty.path().display()))?;
        serve::pty(bridge, pty, session).await?;
        anyhow::Ok(())
    };
    tokio::try_join!(socket, peers, terminal)?;
    Ok(())
}

#[cfg(windows)]
async fn local(flags: &Flags, _: Option<PathBuf>, bridge: &Bridge, session: &Session) -> anyhow::Result<()> {
    let Some(name) = &flags.pipe else {
        return pending().await;
    };
    say(name)?;
    Ok(serve::pipe(bridge, name, session).await?)
}

async fn log(file: Option<&PathBuf>, bridge: &Bridge) -> anyhow::Result<()> {
    let Some(file) = file else { return pending().await };
    Ok(Log::new(file).write_all(bridge.reader("log", Replay::All)).await?)
}

/// Tells on standard error what happens to a bridge, until it is closed.
pub(crate) async fn tell(mut events: broadcast::Receiver<Event>) {
    let mut said = String::new();
    loop {
        let text = match events.recv().await {
            Ok(Event::Connected) => "connected".to_owned(),
            Ok(Event::Disconnected { reason, .. }) => reason,
            Ok(Event::Lost { reader, bytes }) => format!("{reader} was too slow, and missed {bytes} bytes"),
            Ok(Event::Refused { name, reason }) => format!("{name} was sent away: {reason}"),
            Ok(_) | Err(RecvError::Lagged(_)) => continue,
            Err(RecvError::Closed) => return,
        };
        // It tries again and again, and fails for the same reason.
        if said != text {
            note(&text);
            said = text;
        }
    }
}
