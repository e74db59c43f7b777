//! Captures over SSH, beside `ssh` and a pipe: how fast bytes come, how much of fast traffic is lost, and how late packets
//! are in tshark.
//!
//! A private sshd on the loopback address plays the host, in namespaces that this makes; that needs Linux, root, OpenSSH,
//! tcpdump, tshark and socat. `--quick`, or the variable `BENCH_QUICK`, takes less.

#[cfg(target_os = "linux")]
mod jobs;
#[cfg(target_os = "linux")]
#[path = "../../pcap-tap/tests/stage/mod.rs"]
mod stage;

#[cfg(target_os = "linux")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    jobs::run()
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("skipped: there are no namespaces here");
}
