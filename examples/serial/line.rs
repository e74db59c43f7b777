//! The way to a VM's port, wherever the VM runs at the moment.

use std::future::{Ready, ready};
use std::io;

use anyhow::{Context as _, bail};
use dom0::{Dom0, Target};
use futures_util::future::BoxFuture;
use serial_link::reach::{ConnectError, Console, HostLine, Line, Mode, Port};
use serial_link::setup::{Address, Form, Protocol, Role, Setting, Socket};
use xenapi::vm::DomainType;
use xenapi::{Client, Host, Ref, Vm};
use xenapi_examples::{Pool, Whereabouts, note};

use crate::Ways;
use crate::running::running_setting;

/// Asks the pool again whenever it connects: the VM may have been started anew, or moved.
pub(crate) struct VmLine {
    client: Client,
    hosts: Whereabouts,
    vm: Ref<Vm>,
    name: String,
    share: bool,
}

impl VmLine {
    pub(crate) fn new(pool: &Pool, ways: &Ways<'_>, vm: Ref<Vm>, name: String) -> Self {
        Self {
            client: Client::clone(pool),
            hosts: Whereabouts::new(pool, &ways.sessions),
            vm,
            name,
            share: ways.share,
        }
    }

    async fn find(&self) -> anyhow::Result<HostLine> {
        let record = self.client.vm(self.vm).record().await?;
        if record.resident_on.is_null() {
            bail!("it is {}", record.power_state.as_str().to_lowercase());
        }
        let domain = u32::try_from(record.domid).context("the pool tells no domain of it")?;
        let dom0 = self.hosts.session(record.resident_on).await?;
        if matches!(
            record.domain_type,
            DomainType::Pv | DomainType::PvInPvh | DomainType::Pvh
        ) {
            // Without an emulated machine there is no serial port, but a console of the same use.
            return Ok(HostLine::console(
                domain,
                Console::Paravirtual,
                self.share,
                login(&dom0),
            ));
        }
        let setting = Setting::of(&record.platform, &record.other_config).value;
        let now = running_setting(&dom0, domain).await?.unwrap_or(setting);
        let form: Form = now.parse().with_context(|| format!("its port is {now:?}"))?;
        self.way(&form, &dom0, domain)
    }

    /// The line to a port with this setting.
    fn way(&self, form: &Form, dom0: &Dom0, domain: u32) -> anyhow::Result<HostLine> {
        let login = login(dom0);
        let Form::Socket(Socket {
            address,
            role,
            protocol,
            ..
        }) = form
        else {
            if *form == Form::Pty {
                return Ok(HostLine::console(domain, Console::Serial, self.share, login));
            }
            bail!(
                "its port cannot be reached: {}; `serial setup` gives it one",
                form.explain()
            );
        };
        let mode = match protocol {
            Protocol::Raw => Mode::Raw,
            Protocol::Telnet => Mode::Telnet,
            other => bail!("its port speaks {other:?}, which is not spoken here"),
        };
        if !matches!(role, Role::Server { .. }) {
            bail!(
                "{}: say `serial bridge listen:ADDRESS:PORT` there, or `serial setup` for a port that waits for you",
                form.explain()
            );
        }
        let target = match address {
            Address::Unix { path } => Target::unix(path),
            Address::Tcp { host, port } => {
                let port = port
                    .parse()
                    .with_context(|| format!("its port has no number, but {port:?}"))?;
                let host = if host.is_empty() { "127.0.0.1" } else { host };
                Target::tcp(host, port)
            }
        };
        Ok(HostLine::socket(target, mode, login))
    }
}

/// Logs in where a VM runs, and asks whoever sits at the terminal what there is to ask: once a line is open, what is typed
/// is the guest's, and nobody may be asked for it again.
///
/// # Errors
/// Where the host lets nobody in. One that does not answer may do so later.
pub(crate) async fn log_in(pool: &Pool, ways: &Ways<'_>, host: Ref<Host>) -> anyhow::Result<()> {
    ways.sessions.prepare().await?;
    if host.is_null() {
        return Ok(());
    }
    match Whereabouts::new(pool, &ways.sessions).session(host).await {
        Err(error) if is_login_refused(&error) => Err(error),
        Err(error) => {
            note(format!("{error:#}"));
            Ok(())
        }
        Ok(_) => Ok(()),
    }
}

fn is_login_refused(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<dom0::Error>()
        .is_some_and(dom0::Error::is_login_refused)
}

/// The session that is there.
fn login(dom0: &Dom0) -> impl Fn() -> Ready<Result<Dom0, dom0::Error>> + Send + Sync + 'static {
    let session = dom0.clone();
    move || ready(Ok(session.clone()))
}

impl Line for VmLine {
    fn connect(&self) -> BoxFuture<'_, Result<Port, ConnectError>> {
        Box::pin(async {
            let line = self.find().await.map_err(|error| ConnectError::Socket {
                line: self.name(),
                source: io::Error::other(format!("{error:#}")),
            })?;
            match line.connect().await {
                Err(error @ ConnectError::TerminalInUse { .. }) => Err(ConnectError::Socket {
                    line: self.name(),
                    source: io::Error::other(format!("{error} (--share opens it all the same)")),
                }),
                connected => connected,
            }
        })
    }

    fn name(&self) -> String {
        format!("the serial port of {}", self.name)
    }
}
