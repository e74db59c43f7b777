use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::unix::pipe::{Receiver, Sender};

use super::{Session, SessionError};
use crate::bridge::Bridge;

/// A bridge on a pseudo terminal, at a path that stays the same.
///
/// Returns when the terminal fails; the bridge goes on. While no program has the terminal open, what does not fit into it
/// waits, so a session that holds the guest back stops it then.
pub async fn pty(bridge: &Bridge, pty: Pty, session: &Session) -> Result<(), SessionError> {
    let name = pty.path().display().to_string();
    session.run(bridge, &name, pty).await
}

/// A pseudo terminal that looks like a serial device: raw, without echo, and there whether it is open or not.
#[derive(Debug)]
pub struct Pty {
    // One end twice. Of a pipe's halves only the waiting, reading and writing of descriptors is used, which the end of a
    // terminal does as they do.
    from: Receiver,
    to: Sender,
    /// Held, because the other end fails for good when the last program closes this one.
    _theirs: OwnedFd,
    device: PathBuf,
    link: Option<PathBuf>,
}

impl Pty {
    /// A new one, with a name that the system chooses.
    pub fn open() -> io::Result<Self> {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&ours)?;
        unlockpt(&ours)?;
        let name = ptsname(&ours, Vec::new())?;
        let theirs = rustix::fs::open(&name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?;
        let mut settings = tcgetattr(&theirs)?;
        settings.make_raw();
        tcsetattr(&theirs, OptionalActions::Now, &settings)?;
        rustix::io::ioctl_fionbio(&ours, true)?;
        let device = PathBuf::from(name.to_string_lossy().into_owned());
        Ok(Self {
            from: Receiver::from_owned_fd_unchecked(ours.try_clone()?)?,
            to: Sender::from_owned_fd_unchecked(ours)?,
            _theirs: theirs,
            device,
            link: None,
        })
    }

    /// A new one with a link to it, at a path that is the same every time. What is at the path and is no link stays, and is
    /// an error.
    pub fn at(path: impl AsRef<Path>) -> io::Result<Self> {
        let mut pty = Self::open()?;
        let path = path.as_ref();
        if std::fs::symlink_metadata(path).is_ok_and(|there| there.is_symlink()) {
            std::fs::remove_file(path)?;
        }
        std::os::unix::fs::symlink(&pty.device, path)?;
        pty.link = Some(path.into());
        Ok(pty)
    }

    /// What programs open.
    pub fn path(&self) -> &Path {
        self.link.as_deref().unwrap_or(&self.device)
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        if let Some(link) = &self.link {
            // Somebody may have removed it before.
            let _ = std::fs::remove_file(link);
        }
    }
}

impl AsyncRead for Pty {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.from).poll_read(cx, out)
    }
}

impl AsyncWrite for Pty {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.to).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.to).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.to).poll_shutdown(cx)
    }
}
