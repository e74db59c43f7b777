//! A port for a debugger.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use serial_link::gdb;
use serial_link::reach::Wish;
use serial_link::serve::{Session, tcp};
use tokio::net::TcpListener;
use xenapi_examples::{Printable, note};

use crate::Ways;
use crate::bridge::tell;
use crate::place::{Place, Wanted};

#[derive(Subcommand)]
pub(crate) enum Job {
    /// For WinDbg and other kernel debuggers of Windows
    Windbg(Flags),
    /// For gdb, and a Linux kernel with kgdb
    Gdb(GdbFlags),
}

#[derive(Args)]
pub(crate) struct Flags {
    /// A VM by name or UUID, or unix:PATH or tcp:HOST:PORT of a port
    #[arg(value_name = "VM")]
    place: Wanted,
    /// Where the debugger connects to
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
}

#[derive(Args)]
pub(crate) struct GdbFlags {
    #[command(flatten)]
    common: Flags,
    /// The kernel's messages come through the same port: gdb gets its packets, and standard output the rest
    #[arg(long)]
    console: bool,
}

pub(crate) async fn run(job: &Job, ways: &Ways<'_>) -> anyhow::Result<ExitCode> {
    match job {
        Job::Windbg(flags) => {
            let work = flags.place.with(ways, wish(), async |place| {
                let (listener, address) = open(flags).await?;
                say(&format!("windbg -k com:ipport={},port={}", address.port(), address.ip()))?;
                note(
                    "In the guest, once, and then start it anew:\n  bcdedit /debug on\n  bcdedit /dbgsettings serial debugport:1 \
                     baudrate:115200\nCtrl-c here ends it.",
                );
                // A debugger that misses a byte asks for the whole packet again.
                let session = Session::default().hold_back(true);
                tokio::select! {
                    () = tcp(&place.bridge, listener, &session) => {}
                    () = tell(place.bridge.events()) => {}
                    reason = place.bridge.ended() => bail!(reason),
                }
                anyhow::Ok(())
            });
            work.await?;
        }
        Job::Gdb(GdbFlags { common, console }) => {
            let work = common.place.with(ways, wish(), async |place| {
                let (listener, address) = open(common).await?;
                say(&format!("gdb vmlinux -ex 'target remote {address}'"))?;
                note(
                    "In the guest: kgdboc=ttyS0,115200 on the kernel's command line (and kgdbwait to stop at once), or\n  echo \
                     ttyS0,115200 > /sys/module/kgdboc/parameters/kgdboc\nand then `echo g > /proc/sysrq-trigger` to stop it. \
                     Ctrl-c here ends it.",
                );
                let served = async {
                    match console {
                        true => split(&place, listener).await,
                        false => {
                            let session = Session::default().hold_back(true);
                            tcp(&place.bridge, listener, &session).await;
                            Ok(())
                        }
                    }
                };
                tokio::select! {
                    done = served => done?,
                    () = tell(place.bridge.events()) => {}
                    reason = place.bridge.ended() => bail!(reason),
                }
                anyhow::Ok(())
            });
            work.await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A debugger that loses the input in the middle of a packet loses the kernel.
fn wish() -> Wish {
    Wish::new("serial debug").insist(true)
}

async fn open(flags: &Flags) -> anyhow::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(flags.listen).await;
    let listener = listener.with_context(|| format!("{} cannot be opened", flags.listen))?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

fn say(command: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{command}")?;
    io::stdout().flush()
}

/// One gdb after the other, and the console here.
async fn split(place: &Place, listener: TcpListener) -> anyhow::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let shown = gdb::serve(&place.bridge, stream, |text| {
            let text = String::from_utf8_lossy(text);
            for line in text.split_inclusive('\n') {
                let (line, end) = line.strip_suffix('\n').map_or((line, ""), |line| (line, "\n"));
                // Whoever does not read it any more does not keep gdb from its packets.
                let _ = write!(io::stdout(), "{}{end}", Printable(line.trim_end_matches('\r')));
            }
            let _ = io::stdout().flush();
        });
        if let Err(error) = shown.await {
            note(error.to_string());
        }
    }
}
