//! How fast an export comes in over HTTP and TLS, checksums verified, beside curl, which throws the bytes away; and how
//! fast a disk goes up from a file, beside curl.
//!
//! Both move the same VM's bytes from and to the same simulated pool on this machine, in turns; a program of its own serves it, so
//! that the two processors are shared by a server and one client at a time.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use xenapi::{Client, DiskFormat, Ref, Source, Vdi, Vm};
use xenapi_sim::{DiskImage, Simulator, VmSpec};

const ROUNDS: usize = 7;

fn main() {
    if std::env::var_os("BENCH_SERVE").is_some() {
        return serve();
    }
    if Command::new("curl")
        .arg("--version")
        .stdout(Stdio::null())
        .status()
        .is_err()
    {
        println!("skipped: there is no curl");
        return;
    }
    let quick =
        std::env::args().any(|arg| arg == "--quick" || arg == "--test") || std::env::var_os("BENCH_QUICK").is_some();
    let mebibytes = if quick { 64 } else { 1024 };
    for scheme in ["http", "https"] {
        compare(scheme, mebibytes);
    }
}

fn compare(scheme: &str, mebibytes: usize) {
    let (mut server, url, pin, vm) = start(scheme, mebibytes);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let client = runtime.block_on(connect(&url, &pin));
    let down: Vec<_> = (0..ROUNDS)
        .map(|_| {
            let ours = runtime.block_on(verified(&client, &vm));
            (ours, curl(&client, &url, &format!("/export?ref={vm}"), None))
        })
        .collect();
    report(&format!("{scheme} down, {mebibytes} MiB: verified"), mebibytes, &down);
    let vdi = runtime.block_on(disk_of(&client, &vm));
    let file = raw_file(mebibytes);
    let up: Vec<_> = (0..ROUNDS)
        .map(|_| {
            let ours = runtime.block_on(uploaded(&client, vdi, file.path()));
            let path = format!("/import_raw_vdi?vdi={}&format=raw", vdi.to_wire());
            (ours, curl(&client, &url, &path, Some(file.path())))
        })
        .collect();
    report(&format!("{scheme} up, {mebibytes} MiB: from a file"), mebibytes, &up);
    // It has nothing to save.
    let _ = server.kill();
    let _ = server.wait();
}

fn report(job: &str, mebibytes: usize, rounds: &[(Duration, Duration)]) {
    let best = |pick: fn(&(Duration, Duration)) -> Duration| rounds.iter().map(pick).min().unwrap_or_default();
    let (ours, curl) = (best(|round| round.0), best(|round| round.1));
    let rate = |time: Duration| (mebibytes << 20) as f64 / 1e6 / time.as_secs_f64();
    println!(
        "{job}, {:.0} MB/s; curl {:.0} MB/s; {:.2} of it",
        rate(ours),
        rate(curl),
        curl.as_secs_f64() / ours.as_secs_f64()
    );
}

/// Serves one VM until it is killed.
fn serve() {
    let mebibytes: u64 = std::env::var("BENCH_MEBIBYTES")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(64);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let simulator = Simulator::builder().vms(0).build().expect("a pool");
        let mut disk = DiskImage::new(mebibytes << 20);
        let block = block();
        for number in 0..mebibytes {
            disk.write(number << 20, &block);
        }
        let vm = simulator
            .add_vm(VmSpec::new("bench").halted().disk(disk))
            .expect("a VM");
        let server = match std::env::var("BENCH_SERVE").as_deref() {
            Ok("https") => simulator.listen_tls("127.0.0.1:0").await,
            _ => simulator.listen("127.0.0.1:0").await,
        };
        let server = server.expect("a port");
        println!("{} {} {vm}", server.url(), server.fingerprint_sha256().unwrap_or("-"));
        std::io::stdout().flush().expect("somebody listens");
        std::future::pending::<()>().await;
    });
}

fn start(scheme: &str, mebibytes: usize) -> (Child, String, String, String) {
    let mut server = Command::new(std::env::current_exe().expect("this program"))
        .env("BENCH_SERVE", scheme)
        .env("BENCH_MEBIBYTES", mebibytes.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a server");
    let mut line = String::new();
    let mut output = BufReader::new(server.stdout.take().expect("its output"));
    output.read_line(&mut line).expect("its address");
    let mut words = line.split_whitespace().map(str::to_owned);
    let mut word = || words.next().expect("three words");
    (server, word(), word(), word())
}

async fn connect(url: &str, pin: &str) -> Client {
    let connect = Client::connect(url).failover(false);
    let connect = if pin == "-" { connect } else { connect.pin_sha256(pin) };
    connect.login("root", "xensource").await.expect("a login")
}

/// Reads an export to its end and verifies each block.
async fn verified(client: &Client, vm: &str) -> Duration {
    let vm: Ref<Vm> = vm.parse().expect("a reference");
    let begun = Instant::now();
    let export = client.vm(vm).export().await.expect("an export");
    let mut archive = xva::AsyncReader::new(export);
    archive.finish().await.expect("a sound archive");
    begun.elapsed()
}

/// The VM's disk.
async fn disk_of(client: &Client, vm: &str) -> Ref<Vdi> {
    let vm: Ref<Vm> = vm.parse().expect("a reference");
    let vbds = client.vm(vm).vbds().await.expect("its VBDs");
    client.vbd(vbds[0]).vdi().await.expect("its disk")
}

fn raw_file(mebibytes: usize) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    let block = block();
    for _ in 0..mebibytes {
        file.write_all(&block).expect("room for it");
    }
    file
}

async fn uploaded(client: &Client, vdi: Ref<Vdi>, path: &Path) -> Duration {
    let begun = Instant::now();
    let file = tokio::fs::File::open(path).await.expect("the file");
    let length = file.metadata().await.expect("its length").len();
    let source = Source::reader(file, length);
    let sent = client.vdi(vdi).import_raw(DiskFormat::Raw, source).await;
    sent.expect("a sound upload");
    begun.elapsed()
}

fn block() -> Vec<u8> {
    (0..1u32 << 20)
        .map(|place| (place.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect()
}

/// Gets what is at a path to nowhere, or puts a file there.
fn curl(client: &Client, url: &str, path: &str, file: Option<&Path>) -> Duration {
    let upload = file.map_or(String::new(), |file| {
        format!("upload-file = {:?}\n", file.display().to_string())
    });
    let config = format!(
        "url = \"{}{path}\"\nheader = \"Cookie: session_id={}\"\n{upload}",
        url.trim_end_matches('/'),
        client.session_reference().expose()
    );
    let begun = Instant::now();
    let mut curl = Command::new("curl")
        .args([
            "--silent",
            "--show-error",
            "--fail",
            "--insecure",
            "--output",
            "/dev/null",
            "--config",
            "-",
        ])
        .stdin(Stdio::piped())
        .spawn()
        .expect("curl");
    let mut input = curl.stdin.take().expect("its input");
    input.write_all(config.as_bytes()).expect("it reads");
    drop(input);
    let status = curl.wait().expect("its end");
    assert!(status.success(), "{status}");
    begun.elapsed()
}
