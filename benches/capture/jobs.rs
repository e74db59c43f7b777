//! Each job, done by us and by the programs that people use for it.

use std::io::{self, BufRead as _, BufReader, Read as _, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant, UNIX_EPOCH};

use dom0::{Command as Remote, Dom0};
use pcap_tap::live::{Sink, Tap, Vm};
use tokio::runtime::Runtime;

use crate::stage::{Host, number, until};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

pub(crate) fn run() -> Result<()> {
    let quick =
        std::env::args().any(|arg| arg == "--quick" || arg == "--test") || std::env::var_os("BENCH_QUICK").is_some();
    let Some(host) = Host::start("web-01") else {
        return Ok(());
    };
    let runtime = Runtime::new()?;
    let dom0 = runtime.block_on(host.session());
    let bench = Bench { host, dom0, runtime };
    let size = if quick { 64 << 20 } else { 1 << 30 };
    println!(
        "{} MiB, the best of 3; rates are of a machine that plays both ends",
        size >> 20
    );
    bench.stream(size)?;
    bench.delay(if quick { 1000 } else { 10_000 })?;
    bench.capture(size)
}

struct Bench {
    host: Host,
    dom0: Dom0,
    runtime: Runtime,
}

/// What came of a capture.
struct Captured {
    time: Duration,
    bytes: u64,
    received: u64,
    dropped: u64,
}

impl Bench {
    /// Bytes of a command.
    fn stream(&self, size: u64) -> Result<()> {
        let ours = || -> Result<()> {
            self.runtime.block_on(async {
                let command = Remote::new("head").arg("-c").arg(size.to_string()).arg("/dev/zero");
                let mut running = self.dom0.exec(&command).await?;
                let mut stdout = running.stdout.take().ok_or("no output")?;
                let mut got = 0;
                while let Some(bytes) = stdout.chunk().await {
                    got += bytes?.len() as u64;
                }
                assert_eq!(got, size);
                running.wait().await?;
                Ok(())
            })
        };
        let peer = || -> Result<()> {
            let mut ssh = self.ssh(&format!("head -c {size} /dev/zero"))?;
            assert_eq!(drained(&mut ssh)?, size);
            ssh.wait()?;
            Ok(())
        };
        let (mut best, mut best_peer) = (Duration::MAX, Duration::MAX);
        for _ in 0..3 {
            best = best.min(timed(&ours)?);
            best_peer = best_peer.min(timed(&peer)?);
        }
        let rate = |time: Duration| size as f64 / 1e6 / time.as_secs_f64();
        println!(
            "bytes of a command: {:.0} MB/s; `ssh | cat` {:.0} MB/s; {:.2} of it",
            rate(best),
            rate(best_peer),
            best_peer.as_secs_f64() / best.as_secs_f64()
        );
        Ok(())
    }

    /// Traffic as fast as it goes.
    fn capture(&self, size: u64) -> Result<()> {
        // The stage's other end answers to a made-up address, which is enough for datagrams.
        let forget = ["neigh", "del", "10.7.0.1", "dev", "eth0"];
        if !self.host.in_vm("ip").args(forget).status()?.success() {
            return Err("the VM does not find the other end".into());
        }
        let (mut best, mut best_peer) = (None, None);
        for _ in 0..3 {
            better(&mut best, self.ours(size)?);
            better(&mut best_peer, self.peers(size)?);
        }
        for (name, captured) in [("vif-tap", best), ("ssh tcpdump | cat", best_peer)] {
            let Some(captured) = captured else { continue };
            let seconds = captured.time.as_secs_f64();
            println!(
                "{name:18} {:.1} Gbit/s sent: {:.0} MB/s captured, {} of {} packets lost ({:.1} %)",
                size as f64 * 8e-9 / seconds,
                captured.bytes as f64 / 1e6 / seconds,
                captured.dropped,
                captured.received,
                captured.dropped as f64 / captured.received as f64 * 100.0
            );
        }
        Ok(())
    }

    fn ours(&self, size: u64) -> Result<Captured> {
        let bytes = Arc::<AtomicU64>::default();
        let sink = Sink::writer("nothing", Counting(bytes.clone()));
        self.runtime.block_on(async {
            let vm = Vm::find(&self.dom0, "web-01").await?;
            let capture = Tap::new(&self.dom0).vm(&vm).start(sink).await?;
            until("it captures", || capture.progress().attached == 1).await;
            let time = self.send(size)?;
            let end = capture.stop().await?;
            Ok(Captured {
                time,
                bytes: bytes.load(Ordering::Relaxed),
                received: end.packets + end.dropped,
                dropped: end.dropped,
            })
        })
    }

    fn peers(&self, size: u64) -> Result<Captured> {
        let mut ssh = self.ssh("exec tcpdump -n -U --immediate-mode -B 65536 -w - -i vif7.0")?;
        let mut said = ssh.stderr.take().ok_or("no errors")?;
        let mut output = ssh.stdout.take().ok_or("no output")?;
        let drain = thread::spawn(move || io::copy(&mut output, &mut io::sink()));
        self.host.has_tcpdump(true);
        thread::sleep(Duration::from_millis(500));
        let time = self.send(size)?;
        self.host.in_dom0("pkill").args(["-INT", "-x", "tcpdump"]).status()?;
        let bytes = drain.join().map_err(|_| "it panicked")??;
        let mut text = String::new();
        said.read_to_string(&mut text)?;
        ssh.wait()?;
        let count = |of: &str| {
            let line = text.lines().find(|line| line.ends_with(of));
            line.and_then(|line| line.split(' ').next()?.parse().ok())
                .ok_or("no counts")
        };
        Ok(Captured {
            time,
            bytes,
            received: count("received by filter")?,
            dropped: count("dropped by kernel")?,
        })
    }

    /// Has the VM send so many bytes over TCP.
    fn send(&self, size: u64) -> Result<Duration> {
        let mut server = self.host.in_dom0("timeout");
        let mut server = server
            .args([
                "120",
                "socat",
                "-u",
                "TCP-LISTEN:9000,bind=10.7.0.1,reuseaddr",
                "STDOUT",
            ])
            .stdout(Stdio::null())
            .stdin(Stdio::null())
            .spawn()?;
        thread::sleep(Duration::from_millis(300));
        let begun = Instant::now();
        let line = format!("head -c {size} /dev/zero | timeout 120 socat -u STDIN TCP:10.7.0.1:9000");
        let sent = self
            .host
            .in_vm("sh")
            .arg("-c")
            .arg(line)
            .stdout(Stdio::null())
            .status()?;
        let received = server.wait()?;
        let time = begun.elapsed();
        if !(sent.success() && received.success()) {
            return Err("the VM cannot send".into());
        }
        // What is on its way arrives.
        thread::sleep(Duration::from_secs(2));
        Ok(time)
    }

    /// From the VM to a line of tshark's.
    fn delay(&self, count: u32) -> Result<()> {
        let mut tshark = Command::new("tshark");
        tshark.args(["-n", "-l", "-T", "fields", "-e", "data.data", "-r", "-"]);
        let mut tshark = tshark
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let input = tshark.stdin.take().ok_or("no input")?;
        let lines = BufReader::new(tshark.stdout.take().ok_or("no output")?).lines();
        let arrivals = thread::spawn(move || {
            let arrived = lines.map(|line| Ok((number(&line?), UNIX_EPOCH.elapsed().unwrap_or_default())));
            arrived.collect::<io::Result<Vec<_>>>()
        });
        let sent = self.runtime.block_on(async {
            let vm = Vm::find(&self.dom0, "web-01").await?;
            let tap = Tap::new(&self.dom0).vm(&vm).filter("udp dst port 7777");
            let capture = tap.start(Sink::writer("tshark", input)).await?;
            until("it captures", || capture.progress().attached == 1).await;
            let sent = self.host.send(0..count, 5000);
            until("all are here", || capture.progress().packets == u64::from(count)).await;
            capture.stop().await?;
            Result::Ok(sent)
        })?;
        let arrived = arrivals.join().map_err(|_| "it panicked")??;
        tshark.wait()?;
        let mut delays: Vec<_> = arrived
            .iter()
            .map(|&(number, at)| at.saturating_sub(sent[number as usize]))
            .collect();
        delays.sort();
        println!(
            "{} of {count} packets at 5,000 a second; from the VM to a line of tshark's {:.1?}, 99 % within {:.1?}",
            delays.len(),
            delays[delays.len() / 2],
            delays[delays.len() * 99 / 100]
        );
        Ok(())
    }

    /// The user's program, without his configuration.
    fn ssh(&self, line: &str) -> Result<Child> {
        let mut ssh = Command::new("ssh");
        let address = self.host.address();
        let (user, port) = address.rsplit_once(':').ok_or("no port")?;
        ssh.args([
            "-F",
            "none",
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "UserKnownHostsFile=/dev/null",
            "-o",
            "LogLevel=ERROR",
        ])
        .arg("-i")
        .arg(self.host.path("id"))
        .args(["-p", port, user, line]);
        Ok(ssh
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?)
    }
}

fn better(best: &mut Option<Captured>, new: Captured) {
    if best.as_ref().is_none_or(|best| new.dropped < best.dropped) {
        *best = Some(new);
    }
}

fn drained(child: &mut Child) -> Result<u64> {
    let mut output = child.stdout.take().ok_or("no output")?;
    Ok(io::copy(&mut output, &mut io::sink())?)
}

fn timed(work: &impl Fn() -> Result<()>) -> Result<Duration> {
    let begun = Instant::now();
    work()?;
    Ok(begun.elapsed())
}

/// Counts what is written to it.
struct Counting(Arc<AtomicU64>);

impl Write for Counting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
