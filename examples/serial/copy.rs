//! A file to a guest or from it.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::ExitCode;
use std::task::{Context as Waker, Poll, ready};

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use serial_link::link::{Client, Put};
use tokio::fs::{self, File, OpenOptions};
use tokio::io::{AsyncRead, AsyncSeek, AsyncWrite, ReadBuf};
use xenapi_examples::{Meter, Total, note};

use crate::Ways;
use crate::guest::{Guest, PARTING};
use crate::place::Wanted;

#[derive(Args)]
pub(crate) struct Flags {
    /// A VM by name or UUID, or unix:PATH or tcp:HOST:PORT of a port
    #[arg(value_name = "VM")]
    place: Wanted,
    /// The file; an absolute path behind a colon is one in the guest
    from: String,
    /// Where to; a folder here, or an absolute path in the guest
    to: String,
    /// Go on with what an earlier copy of the same file has left
    #[arg(long)]
    resume: bool,
    /// Only say what would be copied
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    guest: Guest,
}

pub(crate) async fn run(flags: &Flags, ways: &Ways<'_>) -> anyhow::Result<ExitCode> {
    let mut started: Option<Client> = None;
    let outcome = match (flags.from.strip_prefix(':'), flags.to.strip_prefix(':')) {
        (Some(theirs), None) => {
            let ours = target(&flags.to, theirs).await?;
            if flags.dry_run {
                note(format!("Would copy {theirs} from the guest to {}.", ours.display()));
                return Ok(ExitCode::SUCCESS);
            }
            let work = flags.guest.with(&flags.place, ways, async |place| {
                let client = started.insert(flags.guest.connect(&place).await?);
                get(client, theirs, &ours, flags.resume).await
            });
            work.await
        }
        (None, Some(theirs)) => {
            let ours = Path::new(&flags.from);
            let put = put(ours, theirs, flags.resume).await?;
            if flags.dry_run {
                note(format!("Would copy {} to {} in the guest.", ours.display(), put.path));
                return Ok(ExitCode::SUCCESS);
            }
            let work = flags.guest.with(&flags.place, ways, async |place| {
                let client = started.insert(flags.guest.connect(&place).await?);
                send(client, ours, &put).await
            });
            work.await
        }
        _ => bail!("one of the two has to be in the guest, and begins with a colon: `serial cp VM :/etc/hosts .`"),
    };
    if let (Err(_), Some(client)) = (&outcome, started) {
        client.settled(PARTING).await;
    }
    outcome.map(|()| ExitCode::SUCCESS)
}

/// Into a folder goes a file under its own name.
async fn target(ours: &str, theirs: &str) -> anyhow::Result<PathBuf> {
    let mut path = PathBuf::from(ours);
    if fs::metadata(&path).await.is_ok_and(|facts| facts.is_dir()) {
        let name = theirs
            .rsplit(['/', '\\'])
            .next()
            .filter(|name| !matches!(*name, "" | "." | ".."));
        path.push(name.with_context(|| format!("{theirs} is no file"))?);
    }
    Ok(path)
}

async fn get(client: &Client, theirs: &str, ours: &Path, resume: bool) -> anyhow::Result<()> {
    let mut part = ours.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let mut open = OpenOptions::new();
    open.read(true).write(true).create(true).truncate(!resume);
    // Until it has its permissions, it is for nobody else.
    #[cfg(unix)]
    open.mode(0o600);
    let file = open.open(&part).await;
    let file = file.with_context(|| format!("{} cannot be written", part.display()))?;
    let mut file = Metered::new(file, Meter::new(Total::Unknown));
    let copied = client.get(theirs, &mut file).await;
    let facts = copied.with_context(|| format!("{theirs}; `--resume` goes on with {}", part.display()))?;
    file.file.sync_all().await?;
    #[cfg(unix)]
    if let Some(mode) = facts.mode {
        use std::os::unix::fs::PermissionsExt as _;
        // Whose file it is here does not follow from there, so nobody becomes somebody else by it.
        let mode = std::fs::Permissions::from_mode(mode & 0o777);
        fs::set_permissions(&part, mode).await?;
    }
    fs::rename(&part, ours).await?;
    note(format!("{}: {}", ours.display(), file.meter.summary(facts.size)));
    Ok(())
}

async fn put(ours: &Path, theirs: &str, resume: bool) -> anyhow::Result<Put> {
    let facts = fs::metadata(ours).await;
    let facts = facts.with_context(|| format!("{} cannot be read", ours.display()))?;
    ensure!(facts.is_file(), "{} is no file", ours.display());
    let mut path = theirs.to_owned();
    if path.ends_with(['/', '\\']) {
        let name = ours.file_name().and_then(|name| name.to_str());
        path.push_str(name.context("the file's name is no text; say the one that it is to have in the guest")?);
    }
    #[cfg(unix)]
    let mode = Some(std::os::unix::fs::PermissionsExt::mode(&facts.permissions()) & 0o777);
    #[cfg(not(unix))]
    let mode = None;
    Ok(Put {
        path,
        size: facts.len(),
        mode,
        resume,
    })
}

async fn send(client: &Client, ours: &Path, put: &Put) -> anyhow::Result<()> {
    let mut file = Metered::new(File::open(ours).await?, Meter::new(Total::Known(put.size)));
    let copied = client.put(put, &mut file).await;
    copied.with_context(|| format!("{}; `--resume` goes on with what arrived", put.path))?;
    note(format!("{}: {}", put.path, file.meter.summary(put.size)));
    Ok(())
}

/// A file that shows how far it was read or written.
struct Metered {
    file: File,
    meter: Meter,
    at: u64,
}

impl Metered {
    fn new(file: File, meter: Meter) -> Self {
        Self { file, meter, at: 0 }
    }

    fn advance(&mut self, bytes: usize) {
        self.at += bytes as u64;
        self.meter.set(self.at);
    }
}

impl AsyncRead for Metered {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Waker<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = out.filled().len();
        ready!(Pin::new(&mut self.file).poll_read(cx, out))?;
        self.advance(out.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Metered {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Waker<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.file).poll_write(cx, bytes))?;
        self.advance(written);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Waker<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.file).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Waker<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.file).poll_shutdown(cx)
    }
}

impl AsyncSeek for Metered {
    fn start_seek(mut self: Pin<&mut Self>, position: io::SeekFrom) -> io::Result<()> {
        Pin::new(&mut self.file).start_seek(position)
    }

    fn poll_complete(mut self: Pin<&mut Self>, cx: &mut Waker<'_>) -> Poll<io::Result<u64>> {
        let at = ready!(Pin::new(&mut self.file).poll_complete(cx))?;
        self.at = at;
        Poll::Ready(Ok(at))
    }
}
