//! The traffic of VMs as it passes, over SSH to the control domain of their host.
//!
//! Nothing is installed there, nor in the VMs: the control domain's own tcpdump captures, and what it sends is written as
//! pcapng. A VM that reboots comes back as another domain with other devices; the capture goes on there, in the same file,
//! as another interface with a comment.
//!
//! ```no_run
//! use dom0::Dom0;
//! use pcap_tap::live::{Sink, Tap, Vm};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let dom0 = Dom0::connect("root@10.0.0.2").await?;
//! let web = Vm::find(&dom0, "web-01").await?;
//! let tap = Tap::new(&dom0).vm(&web).filter("tcp port 443").snapshot_length(128);
//! let capture = tap.start(Sink::file("web-01.pcapng")).await?;
//! tokio::time::sleep(std::time::Duration::from_secs(60)).await;
//! println!("{} packets so far", capture.progress().packets);
//! let end = capture.stop().await?;
//! println!("{} packets, {} lost", end.packets, end.dropped);
//! # Ok(())
//! # }
//! ```
//!
//! # What is promised
//!
//! - Packets are in the sink as soon as they are here; nothing is held back for more to come.
//! - No name, filter or path becomes a command, and no filter an option of tcpdump.
//! - A device's packets are taken when its domain has been found to be the VM.
//! - When the capture ends, is dropped, or its process is killed, each tcpdump ends.
//! - What waits in memory is bounded; a sink that is slow makes tcpdump lose packets, which are counted.
//!
//! A control domain sees frames before they are segmented and summed: with up to 64 KiB, and with checksums that are not
//! right yet.

mod capture;
mod error;
mod find;
mod follow;
mod locate;
mod options;
mod progress;
mod recorder;
mod sink;
mod subject;
mod tap;
mod tcpdump;
mod vm;

pub use capture::Capture;
pub use error::Error;
pub use progress::{Gauge, Progress};
pub use sink::Sink;
pub use tap::Tap;
pub use vm::{Device, Nic, NicKind, Vm};

use locate::Locate;
use options::Options;
