use std::sync::Arc;

use dom0::xen::XenStorePath;
use dom0::{Command, Dom0, Error, RemoteStream, Target};
use futures_util::future::BoxFuture;
use tokio::io::join;
use tokio::sync::Mutex;

use super::{ConnectError, Line, Mode, Port};

/// Through a host's control domain, over SSH. A session that is lost is made again.
pub struct HostLine {
    login: Login,
    session: Mutex<Option<Dom0>>,
    way: Way,
}

type Login = Arc<dyn Fn() -> BoxFuture<'static, Result<Dom0, Error>> + Send + Sync>;

enum Way {
    Socket { target: Target, mode: Mode },
    Console { domain: u32, console: Console, share: bool },
}

/// A terminal that the control domain has for a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Console {
    /// The serial port of a VM whose `hvm_serial` is `pty`.
    Serial,
    /// The paravirtual console (`hvc0` in the guest), where the toolstack has a terminal for it.
    Paravirtual,
}

impl Console {
    fn key(self) -> &'static str {
        match self {
            Self::Serial => "serial/0/tty",
            Self::Paravirtual => "console/tty",
        }
    }
}

/// What the guest sends. It ends with the connection, or the terminal.
const READ: &str = r#"exec 3<>"$1" || exit
stty raw -echo <&3 || exit
exec cat <&3"#;

/// What the guest gets. A guest that reads nothing keeps `cat` from ever seeing the end of its input, so a job in its
/// process group sees to it that it does not outlive its reader, `$2`.
const WRITE: &str = r#"exec 3>"$1" || exit
{ while kill -0 "$2" && kill -0 $$; do sleep 1; done; kill -s KILL -- -$$; } </dev/null >/dev/null 2>&1 3>&- &
exec cat >&3"#;

/// How many processes have the terminal open. xenconsoled always has: it is the other end of what it made.
const COUNT_READERS: &str = r#"count=0
for process in $(find /proc/[0-9]*/fd -lname "$1" 2>/dev/null | cut -d / -f 3 | sort -u); do
case $(cat "/proc/$process/comm" 2>/dev/null) in xenconsoled | '') ;; *) count=$((count + 1)) ;; esac
done
echo $count"#;

impl HostLine {
    /// To a socket in, or seen from, the control domain. `login` makes a session, again when one is lost.
    pub fn socket<L, F>(target: Target, mode: Mode, login: L) -> Self
    where
        L: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = Result<Dom0, Error>> + Send + 'static,
    {
        Self::new(Way::Socket { target, mode }, login)
    }

    /// To the terminal of a domain, whose name xenstore has.
    ///
    /// A terminal has one reader: two share the bytes between them, so that each misses some. Where another program has it
    /// open, connecting fails with [`ConnectError::TerminalInUse`] unless `share` is set.
    pub fn console<L, F>(domain: u32, console: Console, share: bool, login: L) -> Self
    where
        L: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = Result<Dom0, Error>> + Send + 'static,
    {
        Self::new(Way::Console { domain, console, share }, login)
    }

    fn new<L, F>(way: Way, login: L) -> Self
    where
        L: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = Result<Dom0, Error>> + Send + 'static,
    {
        Self {
            login: Arc::new(move || Box::pin(login())),
            session: Mutex::new(None),
            way,
        }
    }

    async fn session(&self) -> Result<Dom0, Error> {
        let mut kept = self.session.lock().await;
        match &*kept {
            Some(session) if !session.is_lost() => Ok(session.clone()),
            _ => {
                let session = (self.login)().await?;
                *kept = Some(session.clone());
                Ok(session)
            }
        }
    }

    fn wrong(&self, source: Error) -> ConnectError {
        ConnectError::Host {
            line: self.name(),
            source,
        }
    }

    async fn open_console(&self, dom0: &Dom0, path: XenStorePath, share: bool) -> Result<Port, ConnectError> {
        let wrong = |source| self.wrong(source);
        let tty = dom0.xenstore().read(&path).await.map_err(wrong)?;
        let tty = tty
            .and_then(|tty| String::from_utf8(tty).ok())
            .filter(|tty| is_terminal(tty));
        let Some(tty) = tty else {
            return Err(ConnectError::NoTerminal {
                line: self.name(),
                path: path.to_string(),
            });
        };
        let counted = dom0.run(&Command::raw(COUNT_READERS).arg(&tty)).await.map_err(wrong)?;
        let readers = String::from_utf8_lossy(&counted).trim().parse().unwrap_or(0);
        if readers > 0 && !share {
            return Err(ConnectError::TerminalInUse {
                line: self.name(),
                tty,
                readers,
            });
        }
        let reader = Command::raw(READ).arg(&tty).end_with_connection();
        let mut reader = dom0.exec(&reader).await.map_err(wrong)?;
        let process = reader.process().await.map_err(wrong)?;
        let writer = Command::raw(WRITE).arg(&tty).arg(process.to_string());
        let mut writer = dom0.exec(&writer).await.map_err(wrong)?;
        let (Some(stdout), Some(stdin)) = (reader.stdout.take(), writer.stdin.take()) else {
            return Err(wrong(Error::Lost {
                host: dom0.host(),
                reason: "the command has no streams".into(),
            }));
        };
        Ok(Port::new(join(
            KeptRunning {
                stdout,
                _running: [reader, writer],
            },
            stdin,
        )))
    }
}

/// Whether a name that xenstore has is one of a device, without anything that means more than itself to `find`.
fn is_terminal(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_' | '.');
    name.starts_with("/dev/") && name.chars().all(plain)
}

impl Line for HostLine {
    fn connect(&self) -> BoxFuture<'_, Result<Port, ConnectError>> {
        Box::pin(async {
            let wrong = |source| self.wrong(source);
            let dom0 = self.session().await.map_err(wrong)?;
            match &self.way {
                Way::Socket { target, mode } => {
                    let stream: RemoteStream = dom0.open(target).await.map_err(wrong)?;
                    Ok(mode.port(stream))
                }
                Way::Console { domain, console, share } => {
                    let path = XenStorePath::domain(*domain).child(console.key());
                    let path = path.map_err(|source| {
                        wrong(Error::Xen {
                            host: dom0.host(),
                            source: source.into(),
                        })
                    })?;
                    self.open_console(&dom0, path, *share).await
                }
            }
        })
    }

    fn name(&self) -> String {
        match &self.way {
            Way::Socket { target, .. } => target.to_string(),
            Way::Console { domain, console, .. } => format!("{} of domain {domain}", console.key()),
        }
    }
}

impl std::fmt::Debug for HostLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HostLine")
            .field("name", &self.name())
            .finish_non_exhaustive()
    }
}

/// The commands live as long as the output is held.
struct KeptRunning {
    stdout: dom0::ByteStream,
    _running: [dom0::Running; 2],
}

impl tokio::io::AsyncRead for KeptRunning {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        out: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.stdout).poll_read(cx, out)
    }
}
