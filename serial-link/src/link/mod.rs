//! Commands and files in a VM, through its serial port: the other end is `serial-agent`.
//!
//! ```no_run
//! use std::time::Duration;
//! use serial_link::bridge::Bridge;
//! use serial_link::link::{Client, Command, Config, Entropy, Secret};
//! use serial_link::reach::{Mode, UnixLine};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let secret = Secret::new(std::fs::read("secret")?)?;
//! let bridge = Bridge::start(UnixLine::new("/run/vm/serial", Mode::Raw));
//! let client = Client::start(&bridge, Config::new(secret, Entropy::system()?), |console| {
//!     eprint!("{}", String::from_utf8_lossy(console)); // boot messages, and what else is no frame
//! })?;
//! client.connected(Duration::from_secs(10)).await?;
//! let output = client.output(&Command::new(["uname", "-a"]), b"").await?;
//! print!("{}", String::from_utf8_lossy(&output.stdout));
//! client.get("/etc/hostname", &mut tokio::fs::File::create_new("hostname").await?).await?;
//! # Ok(())
//! # }
//! ```
//!
//! The line may break and come back as often as it likes: what was under way goes on, each byte exactly once. Only an
//! agent that was started anew ends what the earlier one did, with [`LinkError::Closed`].
//!
//! The client has the bridge's input for as long as it lives. Others may read along, and see the frames.

mod client;
mod files;
mod pump;
mod running;
mod shared;

pub use client::Client;
pub use running::Running;
pub use serial_link_protocol::{
    Address, ClientError, Command, Config, Counters, Entropy, Exit, Failure, FailureKind, FileFacts, LinkError,
    MIN_SECRET, Output, Port, Program, Put, Refusal, Report, Secret, SecretTooShort, Signal,
};
