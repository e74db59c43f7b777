//! A [`Bridge`](crate::bridge::Bridge) for programs that know nothing of it: terminals, WinDbg, gdb.
//!
//! | a program wants | the function |
//! | --- | --- |
//! | a TCP port (`com:ipport=…`, `target remote`, telnet clients in raw mode) | [`tcp`] |
//! | a unix socket | [`unix`] |
//! | a serial device (`screen /path`, `minicom -D /path`) | [`pty`] |
//! | a named pipe (`com:pipe,port=…`) | `pipe`, on Windows |
//! | a bridge, as it has this crate itself | `peers` |
//! | nothing: it is the one that reads and writes here | [`stdio`] |
//!
//! Each but `peers` carries the port's bytes and nothing else.

#[cfg(unix)]
mod peers;
mod session;
mod socket;
mod stdio;

#[cfg(windows)]
mod pipe;
#[cfg(unix)]
mod pty;

#[cfg(unix)]
pub use peers::peers;
#[cfg(windows)]
pub use pipe::pipe;
#[cfg(unix)]
pub use pty::{Pty, pty};
pub use session::{Input, Session, SessionError};
pub use socket::tcp;
#[cfg(unix)]
pub use socket::{BoundUnix, unix};
pub use stdio::stdio;
