//! An SSH session to the control domain (dom0) of a XenServer, XCP-ng or plain Xen host.
//!
//! ```no_run
//! use dom0::{Auth, Command, Decision, Dom0, HostKeys, Signal, Target};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let dom0 = Dom0::connect("root@10.0.0.2")
//!     .auth(Auth::agent())
//!     .auth(Auth::password("…"))
//!     .host_keys(HostKeys::default().ask(|key| {
//!         eprintln!("{} shows {}", key.host, key.fingerprint); // and asks somebody
//!         Decision::Refuse
//!     }))
//!     .await?;
//!
//! // What runs there.
//! for domain in dom0.domains().await? {
//!     println!("{:5} {}", domain.id, domain.name.unwrap_or_default());
//! }
//!
//! // Bytes for as long as they come. Every word is quoted, whatever is in it.
//! let filter = "tcp port 443";
//! let tcpdump = Command::new("tcpdump").args(["-n", "-U", "-w", "-", "-i", "vif7.0"]).arg(filter);
//! let mut capture = dom0.exec(&tcpdump.end_with_connection()).await?;
//! let mut packets = capture.stdout.take().expect("taken once");
//! while let Some(bytes) = packets.chunk().await {
//!     println!("{} bytes", bytes?.len());
//! #   break;
//! }
//! capture.signal(Signal::Int).await?; // prints its counters, and ends
//! println!("{}", capture.wait().await?);
//!
//! // A socket over there, as a stream and as a local port.
//! let serial = dom0.open(&Target::unix("/run/serial-7")).await?;
//! let forward = dom0.listen(Target::tcp("127.0.0.1", 5907)).await?;
//! println!("vncviewer {}", forward.local_addr());
//! # drop(serial);
//! # Ok(())
//! # }
//! ```
//!
//! # Two ways to get there
//!
//! [`Dom0::connect`] is SSH in pure Rust (AES-GCM first): an agent, key files, passwords, a jump host. It reads no
//! configuration. [`Dom0::with_ssh_program`], on unix, runs the user's own `ssh` with all that he has configured. What
//! comes out of them is the same [`Dom0`].
//!
//! # What is promised
//!
//! - A word of a [`Command`] stays one word, in every POSIX shell, whatever bytes but zero it has.
//! - A host whose key has changed is refused, with the file and the line of the known one; an unknown one is refused, or
//!   somebody is asked ([`HostKeys`]).
//! - Nothing is buffered without a bound: what is not read waits over there, and holds up no other command or stream. For
//!   that every stream of the built-in SSH has a connection of its own.
//! - A connection that dies is told by [`Error::Lost`], also when the host just stops to answer; never by an end of
//!   output that looks like success.
//! - Passwords and passphrases are wiped from memory, and are in no message, log or list of processes.
//!
//! The control domain needs a POSIX shell for its users; `kill` for [signals](Running::signal), and the programs of
//! xenstore for [`xen`].

mod auth;
mod backend;
mod builtin;
mod command;
mod ends;
mod error;
mod exit;
mod forward;
mod home;
mod host;
mod host_keys;
mod process_line;
#[cfg(unix)]
mod program;
mod quote;
mod relay;
mod running;
mod secret;
mod session;
mod stream;
mod target;
pub mod xen;

pub use auth::Auth;
pub use builtin::Connect;
pub use command::{Command, CommandError};
pub use error::Error;
pub use exit::{Exit, Signal};
pub use forward::Forward;
pub use host::{Host, ParseHostError};
pub use host_keys::{Decision, HostKeys, UnknownKey};
#[cfg(unix)]
pub use program::SshProgram;
pub use running::{Output, Running};
pub use secret::Secret;
pub use session::Dom0;
pub use stream::{ByteStream, RemoteStream, Stdin};
pub use target::Target;
