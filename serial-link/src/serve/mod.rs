//! A [`Bridge`] for programs that know nothing of it: terminals, WinDbg, gdb.
//!
//! | a program wants | the function |
//! | --- | --- |
//! | a TCP port (`com:ipport=…`, `target remote`, telnet clients in raw mode) | [`tcp`] |
//! | a unix socket | [`unix`] |
//! | a serial device (`screen /path`, `minicom -D /path`) | [`pty`] |
//! | a named pipe (`com:pipe,port=…`) | `pipe`, on Windows |
//! | nothing: it is the one that reads and writes here | [`stdio`] |
//!
//! Each carries the port's bytes and nothing else.

mod session;
mod socket;
mod stdio;

#[cfg(windows)]
mod pipe;
#[cfg(unix)]
mod pty;

#[cfg(windows)]
pub use pipe::pipe;
#[cfg(unix)]
pub use pty::Pty;
pub use session::{Input, Session, SessionError};
pub use socket::tcp;
#[cfg(unix)]
pub use socket::{BoundUnix, unix};
pub use stdio::stdio;

use crate::bridge::Bridge;

/// A bridge on a pseudo terminal, at a path that stays the same.
///
/// Returns when the terminal fails; the bridge goes on.
#[cfg(unix)]
pub async fn pty(bridge: &Bridge, pty: Pty, session: &Session) -> Result<(), SessionError> {
    let name = pty.path().display().to_string();
    session.run(bridge, &name, pty).await
}
