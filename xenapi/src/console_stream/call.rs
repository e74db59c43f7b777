//! `CONNECT /console`.

use std::future::IntoFuture;
use std::pin::Pin;
use std::time::Duration;

use super::{ConsoleError, ConsoleStream};
use crate::console::ConsoleProtocol;
use crate::vm::PowerState;
use crate::{Client, Console, Error, Handler, Host, Ref, Vm, VmRecord};

const PATH: &str = "/console";

/// How often a VM that moves is followed, or a session made anew.
const MOST_ATTEMPTS: usize = 3;

/// A console that is not yet opened; awaiting it answers with the stream.
#[derive(Clone, Debug)]
#[must_use = "a console is opened only when it is awaited"]
pub struct ConsoleCall {
    client: Client,
    target: Target,
    limit: Duration,
}

#[derive(Clone, Copy, Debug)]
enum Target {
    /// The screen that the server takes for the VM's own.
    Screen(Ref<Vm>),
    /// The VM's text console.
    Text(Ref<Vm>),
    This(Ref<Console>),
}

impl Vm {
    /// Opens the VM's console: its screen, unless [`text`](ConsoleCall::text) is asked for. The VM must run.
    ///
    /// ```no_run
    /// # async fn show(pool: xenapi::Client, vm: xenapi::Ref<xenapi::Vm>) -> Result<(), Box<dyn std::error::Error>> {
    /// use tokio::io::AsyncReadExt;
    ///
    /// let mut screen = pool.vm(vm).console().await?;
    /// let mut version = [0; 12];
    /// screen.read_exact(&mut version).await?;
    /// println!("{}", String::from_utf8_lossy(&version).trim_end()); // RFB 003.003
    /// # Ok(()) }
    /// ```
    ///
    /// Takes the message `VM.get_record`. Least role: VM operator; pool admin for a host's control domain.
    #[doc(alias = "/console")]
    pub fn console(&self) -> ConsoleCall {
        ConsoleCall::new(self.client(), Target::Screen(self.reference()))
    }
}

impl Console {
    /// Opens this console. Its VM must run.
    ///
    /// Takes the messages `console.get_VM` and `VM.get_record`. Least role: VM operator; pool admin for a host's
    /// control domain.
    #[doc(alias = "/console")]
    pub fn open(&self) -> ConsoleCall {
        ConsoleCall::new(self.client(), Target::This(self.reference()))
    }
}

impl ConsoleCall {
    fn new(client: &Client, target: Target) -> Self {
        Self {
            client: client.clone(),
            target,
            limit: Duration::from_secs(60),
        }
    }

    /// Opens the VM's text console in place of its screen; without effect on a console that was named itself.
    ///
    /// That is the paravirtual console (`hvc0` in a Linux guest), not the emulated serial port (`ttyS0`, COM1): the latter
    /// is an affair of the VM's `platform` entry `hvm_serial`, and the server gives no access to it.
    ///
    /// Takes the message `console.get_protocol` for each console of the VM.
    pub fn text(mut self) -> Self {
        if let Target::Screen(vm) = self.target {
            self.target = Target::Text(vm);
        }
        self
    }

    /// How long opening it may take; one minute unless told.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Only the host on which the VM runs has its console. Any other says no without a reason, and so does that one
    /// when the VM has just left it, so after a refusal the VM is looked at again.
    async fn open(&self) -> Result<ConsoleStream, ConsoleError> {
        let vm = match self.target {
            Target::Screen(vm) | Target::Text(vm) => vm,
            Target::This(console) => self.client.console(console).vm().await?,
        };
        let mut refusal: Option<(Ref<Host>, ConsoleError)> = None;
        let mut last = ConsoleError::WrongHost { vm };
        for _ in 0..MOST_ATTEMPTS {
            let record = self.client.vm(vm).record().await?;
            if record.power_state != PowerState::Running {
                return Err(ConsoleError::NotRunning {
                    vm,
                    state: record.power_state,
                });
            }
            if let Some((host, error)) = refusal.take()
                && host == record.resident_on
            {
                return Err(error);
            }
            let reference = self.reference(vm, &record).await?;
            let before = self.client.connection().identity();
            match self.connect(record.resident_on, reference).await {
                Err(error @ ConsoleError::Refused(_)) => refusal = Some((record.resident_on, error)),
                Err(error @ ConsoleError::Unauthorized(_)) => {
                    // A message makes a new session where the old one is gone.
                    self.client.vm(vm).uuid().await?;
                    if self.client.connection().identity() == before {
                        return Err(error);
                    }
                    last = error;
                }
                result => return result,
            }
        }
        Err(last)
    }

    /// What the server is asked for: the VM stands for its screen.
    async fn reference(&self, vm: Ref<Vm>, record: &VmRecord) -> Result<String, ConsoleError> {
        match self.target {
            Target::Screen(vm) => Ok(vm.to_wire()),
            Target::This(console) => Ok(console.to_wire()),
            Target::Text(_) => {
                for &console in &record.consoles {
                    if self.client.console(console).protocol().await? == ConsoleProtocol::Vt100 {
                        return Ok(console.to_wire());
                    }
                }
                Err(ConsoleError::Absent {
                    vm,
                    protocol: ConsoleProtocol::Vt100,
                })
            }
        }
    }

    async fn connect(&self, host: Ref<Host>, reference: String) -> Result<ConsoleStream, ConsoleError> {
        let handler = Handler::new(PATH).at(host).query("ref", reference);
        let stream = handler.tunnel(self.client.connection()).await;
        stream.map(ConsoleStream::new).map_err(ConsoleError::of)
    }

    async fn open_in_time(self) -> Result<ConsoleStream, ConsoleError> {
        tokio::time::timeout(self.limit, self.open())
            .await
            .unwrap_or_else(|_| Err(Error::timed_out(PATH, self.limit).into()))
    }
}

impl IntoFuture for ConsoleCall {
    type Output = Result<ConsoleStream, ConsoleError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.open_in_time())
    }
}
