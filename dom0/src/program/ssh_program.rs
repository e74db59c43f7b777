use std::ffi::OsString;
use std::future::{Future, IntoFuture};
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use super::Program;
use super::master::Master;
use crate::backend::Backend;
use crate::{Dom0, Error};

/// A session to be made with the user's own `ssh`, see [`Dom0::with_ssh_program`]. Awaiting it connects.
///
/// It asks nobody anything (`BatchMode`): keys have to be known, and come from files without a passphrase, an agent or a
/// card.
#[derive(Debug, Clone)]
#[must_use = "connects when it is awaited"]
pub struct SshProgram {
    destination: String,
    program: String,
    config: Option<PathBuf>,
    options: Vec<String>,
}

impl SshProgram {
    pub(crate) fn new(destination: String) -> Self {
        Self {
            destination,
            program: "ssh".into(),
            config: None,
            options: Vec::new(),
        }
        .option("ConnectTimeout", "15")
        .keepalive(Duration::from_secs(15), 3)
    }

    /// Another program than the `ssh` in the PATH.
    pub fn program(mut self, program: impl Into<String>) -> Self {
        self.program = program.into();
        self
    }

    /// Another configuration than the user's and the system's.
    pub fn config(mut self, file: impl Into<PathBuf>) -> Self {
        self.config = Some(file.into());
        self
    }

    /// An option as `ssh_config` has it, which goes before what the configuration says: `("ProxyJump", "me@bastion")`.
    ///
    /// Others see it in the list of processes, so it is no place for secrets.
    pub fn option(mut self, name: &str, value: &str) -> Self {
        let prefix = format!("{name}=");
        self.options.retain(|option| !option.starts_with(&prefix));
        self.options.push(format!("{prefix}{value}"));
        self
    }

    /// After how much silence (in whole seconds) the host is asked for a sign of life, and how many questions may stay
    /// unanswered before the connection is given up: 15 seconds, 3.
    pub fn keepalive(self, interval: Duration, unanswered: u16) -> Self {
        self.option("ServerAliveInterval", &interval.as_secs().max(1).to_string())
            .option("ServerAliveCountMax", &unanswered.max(1).to_string())
    }

    fn arguments(&self) -> Vec<OsString> {
        let config = self
            .config
            .iter()
            .flat_map(|file| ["-F".into(), file.clone().into_os_string()]);
        let options = self.options.iter().flat_map(|option| ["-o".into(), option.into()]);
        config.chain(options).collect()
    }
}

impl IntoFuture for SshProgram {
    type Output = Result<Dom0, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let arguments = self.arguments();
            let master = Master::start(self.program, self.destination, arguments).await?;
            Ok(Dom0::new(Backend::Program(Program { master })))
        })
    }
}
