//! The tools as people run them: programs, against a simulated pool behind TLS.

mod archives;
#[cfg(target_os = "linux")]
mod attach;
#[cfg(unix)]
mod backup;
#[cfg(unix)]
mod buckets;
mod deltas;
mod deploy;
mod disks;
mod files;
#[cfg(unix)]
mod forwards;
mod harness;
mod images;
mod live;
mod machines;
mod manners;
mod messages;
#[cfg(unix)]
mod migrate;
mod nbd;
#[cfg(unix)]
mod object_server;
mod partitions;
#[cfg(target_os = "linux")]
mod serial;
#[cfg(unix)]
mod sshd;
#[cfg(target_os = "linux")]
#[path = "../../../pcap-tap/tests/stage/mod.rs"]
mod stage;
mod storage;
#[cfg(target_os = "linux")]
mod terminal;
mod tidiness;
mod tour;
#[cfg(target_os = "linux")]
mod traffic;
mod transfers;
mod trust;
#[cfg(unix)]
mod web_server;
#[cfg(target_os = "linux")]
#[path = "../../../serial-link/agent/tests/store/mod.rs"]
mod xenstored;
