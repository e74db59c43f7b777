use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::Duration;

use super::Builtin;
use super::plan::{Keepalive, Plan};
use crate::auth::Auth;
use crate::backend::Backend;
use crate::{Dom0, Error, Host, HostKeys, ParseHostError};

/// A session to be made with the built-in SSH, see [`Dom0::connect`]. Awaiting it connects.
#[derive(Debug, Clone)]
#[must_use = "connects when it is awaited"]
pub struct Connect {
    host: Result<Host, ParseHostError>,
    auth: Vec<Auth>,
    host_keys: HostKeys,
    through: Option<Box<Self>>,
    timeout: Duration,
    keepalive: Option<Keepalive>,
}

impl Connect {
    pub(crate) fn new(host: Result<Host, ParseHostError>) -> Self {
        Self {
            host,
            auth: Vec::new(),
            host_keys: HostKeys::default(),
            through: None,
            timeout: Duration::from_secs(15),
            keepalive: Some(Keepalive {
                interval: Duration::from_secs(15),
                unanswered: 3,
            }),
        }
    }

    /// Adds a way to log in; they are tried in this order. Without any: the agent, then the unencrypted keys of `~/.ssh`.
    pub fn auth(mut self, auth: Auth) -> Self {
        self.auth.push(auth);
        self
    }

    /// Which keys of the host are trusted; without, those in `~/.ssh/known_hosts`.
    pub fn host_keys(mut self, host_keys: HostKeys) -> Self {
        self.host_keys = host_keys;
        self
    }

    /// Goes through another host, which has its own ways to log in and its own trust.
    pub fn through(mut self, jump: Self) -> Self {
        self.through = Some(Box::new(jump));
        self
    }

    /// How long the host may take to answer: 15 seconds, for each step until the login.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// After how much silence the host is asked for a sign of life, and how many questions may stay unanswered before the
    /// connection is given up: 15 seconds, 3.
    pub fn keepalive(mut self, interval: Duration, unanswered: u16) -> Self {
        self.keepalive = Some(Keepalive {
            interval,
            unanswered: unanswered.max(1),
        });
        self
    }

    /// Never asks for a sign of life.
    pub fn no_keepalive(mut self) -> Self {
        self.keepalive = None;
        self
    }

    fn plan(self) -> Result<Plan, Error> {
        Ok(Plan {
            host: self.host?,
            auth: if self.auth.is_empty() { Auth::usual() } else { self.auth },
            host_keys: self.host_keys,
            through: self.through.map(|jump| jump.plan()).transpose()?.map(Box::new),
            timeout: self.timeout,
            keepalive: self.keepalive,
            memory: Default::default(),
        })
    }
}

impl IntoFuture for Connect {
    type Output = Result<Dom0, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            Ok(Dom0::new(Backend::Builtin(Box::new(
                Builtin::connect(self.plan()?).await?,
            ))))
        })
    }
}
