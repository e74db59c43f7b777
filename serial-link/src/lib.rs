//! A virtual machine's serial port on XenServer, XCP-ng or plain Xen, without its traps.
//!
//! - [`setup`] reads and recommends the setting that decides where the port goes, and knows what freezes a VM.
//! - [`reach`] has the ways to the port: through the control domain, over the network, by waiting for QEMU.
//! - [`bridge`] keeps one connection open for many readers and one writer, with a memory and a log.
//! - [`serve`] puts a bridge where programs find it: a TCP port, a unix socket, a terminal, a named pipe.
//! - [`link`] runs commands and copies files where `serial-agent` runs in the guest.
//! - [`gdb`] takes a debugger's packets and a console on one port apart.
//! - [`live`] moves the port of a VM that runs, for experts.
//!
//! ```no_run
//! use serial_link::bridge::Bridge;
//! use serial_link::reach::{Mode, TcpLine};
//! use serial_link::serve::{self, Session};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let bridge = Bridge::start(TcpLine::new("127.0.0.1:7000", Mode::Raw));
//! let port = tokio::net::TcpListener::bind("127.0.0.1:5555").await?;
//! serve::tcp(&bridge, port, &Session::default()).await; // windbg -k com:ipport=5555,port=127.0.0.1
//! # Ok(())
//! # }
//! ```
//!
//! The crate knows no pool: what VM.platform holds comes in as a map, and goes out as text. Of the features, both on by
//! default, `dom0` is the way over SSH and `link` what needs the agent.

pub mod bridge;
pub mod gdb;
mod greeting;
#[cfg(feature = "link")]
pub mod link;
pub mod live;
pub mod reach;
pub mod serve;
pub mod setup;
