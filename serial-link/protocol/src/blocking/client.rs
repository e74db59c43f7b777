use std::fmt;
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::blocking::{Channel, Pump, Running};
use crate::client_error::ClientError;
use crate::error::LinkError;
use crate::inbox::{Inbox, Output};
use crate::link::{Config, Counters, Event};
use crate::message::{Command, Port, Reply, Report, Request};
use crate::role::Host;

/// Commands and files in a VM, for threads that can wait.
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::os::unix::net::UnixStream;
/// use std::time::Duration;
/// use serial_link_protocol::blocking::Client;
/// use serial_link_protocol::{Command, Config, Entropy, Secret};
///
/// let secret = Secret::new(std::fs::read("/etc/serial-agent/secret")?)?;
/// let client = Client::new(Config::new(secret, Entropy::system()?), |console| eprint!("{}", console.escape_ascii()));
/// let line = client.clone();
/// std::thread::spawn(move || loop {
///     if let Ok(port) = UnixStream::connect("/run/vm/serial") {
///         let _ = port.try_clone().and_then(|writer| line.run(&port, writer));
///     }
///     std::thread::sleep(Duration::from_millis(200));
/// });
/// client.connected(Duration::from_secs(10))?;
/// let output = client.output(&Command::new(["uname", "-a"]), b"")?;
/// println!("{}", String::from_utf8_lossy(&output.stdout));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client {
    pub(super) pump: Pump<Host>,
    inbox: Arc<Mutex<Inbox>>,
}

impl Client {
    /// A client that hands everything on the line that is not the link's to `console`.
    pub fn new(config: Config, mut console: impl FnMut(&[u8]) + Send + 'static) -> Self {
        let inbox = Arc::new(Mutex::new(Inbox::default()));
        let arriving = Arc::clone(&inbox);
        let pump = Pump::new(config, move |_, event| match event {
            Event::Console(text) => console(&text),
            event => lock(&arriving).take(event),
        });
        Self { pump, inbox }
    }

    /// Moves bytes until the line ends; then call it with the next line. Needs a thread of its own.
    ///
    /// # Errors
    /// What the line said.
    pub fn run(&self, from_line: impl Read, to_line: impl Write + Send) -> io::Result<()> {
        self.pump.run(from_line, to_line)
    }

    /// Waits until an agent answers.
    ///
    /// # Errors
    /// If none does in time, or it has another secret.
    pub fn connected(&self, limit: Duration) -> Result<(), ClientError> {
        let result = self.pump.wait_at_most(limit, |link| {
            if let Some(refusal) = lock(&self.inbox).refusal() {
                return Some(Err(ClientError::Refused(refusal)));
            }
            link.session().map(|_| Ok(()))
        });
        result.unwrap_or(Err(ClientError::Timeout { limit }))
    }

    /// Starts a command.
    ///
    /// # Errors
    /// If there is no session, or the command does not start.
    pub fn exec(&self, command: &Command) -> Result<Running, ClientError> {
        let channel = self.open(&Request::Exec(command.clone()))?;
        match self.reply(&channel)? {
            Reply::Started { pid } => Ok(Running::new(self.clone(), channel, pid)),
            other => Err(unexpected(&channel, other)),
        }
    }

    /// Runs a command to its end with this input.
    ///
    /// # Errors
    /// If there is no session, it ends meanwhile, or the command does not start.
    pub fn output(&self, command: &Command, input: &[u8]) -> Result<Output, ClientError> {
        let mut command = command.clone();
        command.input |= !input.is_empty();
        let running = self.exec(&command)?;
        thread::scope(|scope| {
            if command.input {
                scope.spawn(|| {
                    // A command need not read its input.
                    let _ = running.write_all(input).and_then(|()| running.end_input());
                });
            }
            let errors = scope.spawn(|| running.read_to_end(Port::Errors));
            let stdout = running.read_to_end(Port::Output)?;
            let stderr = errors.join().unwrap_or(Err(LinkError::NotConnected.into()))?;
            Ok(Output {
                exit: running.wait()?,
                stdout,
                stderr,
            })
        })
    }

    /// Asks the agent about its system.
    ///
    /// # Errors
    /// If there is no session or it ends meanwhile.
    pub fn report(&self) -> Result<Report, ClientError> {
        let channel = self.open(&Request::Report)?;
        match self.reply(&channel)? {
            Reply::Report(report) => {
                channel.close();
                Ok(*report)
            }
            other => Err(unexpected(&channel, other)),
        }
    }

    /// Waits for the agent's answer.
    ///
    /// # Errors
    /// If there is no session or it ends meanwhile.
    pub fn ping(&self) -> Result<(), ClientError> {
        let channel = self.open(&Request::Ping { token: 0 })?;
        match self.reply(&channel)? {
            Reply::Pong { .. } => {
                channel.close();
                Ok(())
            }
            other => Err(unexpected(&channel, other)),
        }
    }

    /// What the link has counted.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.pump.with(|link, _| link.counters())
    }

    pub(super) fn open(&self, request: &Request) -> Result<Channel<Host>, LinkError> {
        self.pump.with(|link, _| {
            let session = link.session().ok_or(LinkError::NotConnected)?;
            let number = link.request(request)?;
            lock(&self.inbox).open(number);
            Ok(Channel::new(self.pump.clone(), session, number))
        })
    }

    /// Waits for the next reply in a channel.
    pub(super) fn reply(&self, channel: &Channel<Host>) -> Result<Reply, ClientError> {
        let reply = channel.wait_for(|_| lock(&self.inbox).reply(channel.number()))?;
        match reply {
            Reply::Failed(failure) => {
                channel.close();
                Err(failure.into())
            }
            reply => Ok(reply),
        }
    }

    /// Lets go of a channel whose last reply nobody waits for.
    pub(super) fn abandon(&self, channel: &Channel<Host>) {
        let open = self.pump.with(|link, _| link.session() == Some(channel.session()))
            && lock(&self.inbox).forget(channel.number());
        if open {
            // The session may have ended just now, and the command with it.
            let _ = channel.follow_up(&Request::Cancel);
        }
        channel.close();
    }
}

fn lock(inbox: &Mutex<Inbox>) -> MutexGuard<'_, Inbox> {
    inbox.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn unexpected(channel: &Channel<Host>, reply: Reply) -> ClientError {
    channel.close();
    reply.into()
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}
