//! Ways to a serial port: each is a [`Line`], which connects as often as it is asked to.
//!
//! | the VM has | the line |
//! | --- | --- |
//! | `unix:…,server,nowait` | [`HostLine::socket`], or [`UnixLine`] in the control domain itself |
//! | `tcp:127.0.0.1:…,server,nowait` | [`HostLine::socket`] |
//! | `tcp:…,server,nowait` | [`TcpLine`], which anybody in the network can do as well |
//! | `pty`, or a paravirtual console | [`HostLine::console`] |
//! | `tcp:…` without `server` | [`Incoming`] |
//! | a bridge already, of another program | `BridgeLine` |
//! | no port, but `serial-agent --xenstore` in the guest | `BoardLine` |

#[cfg(feature = "link")]
mod board;
#[cfg(unix)]
mod bridge;
#[cfg(feature = "dom0")]
mod host;
mod incoming;
mod line;
mod port;
mod tcp;
pub mod telnet;
#[cfg(unix)]
mod unix;
#[cfg(all(feature = "dom0", feature = "link"))]
mod xenstore;

pub use crate::greeting::{Claim, Wish};
#[cfg(feature = "link")]
pub use board::{BoardLine, Values};
#[cfg(unix)]
pub use bridge::BridgeLine;
#[cfg(feature = "dom0")]
pub use host::{Console, HostLine};
pub use incoming::Incoming;
pub use line::{ConnectError, Line, Mode};
pub use port::{Duplex, Port};
pub use tcp::TcpLine;
#[cfg(unix)]
pub use unix::UnixLine;
#[cfg(all(feature = "dom0", feature = "link"))]
pub use xenstore::{MEETING, XenStoreValues};
