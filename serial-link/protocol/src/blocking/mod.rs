//! Threads around a [`Link`](crate::Link): a pump between it and any [`Read`](std::io::Read) and [`Write`](std::io::Write), and a
//! client for hosts that can wait.

mod channel;
mod client;
mod files;
mod pump;
mod running;

pub use channel::Channel;
pub use client::Client;
pub use pump::Pump;
pub use running::Running;
