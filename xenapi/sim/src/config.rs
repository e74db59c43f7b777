//! What a simulated pool is like.

use std::time::Duration;

use crate::roles::Role;

/// The choices of a [`Builder`](crate::Builder).
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) hosts: usize,
    pub(crate) vms: usize,
    pub(crate) isos: usize,
    pub(crate) superuser: String,
    pub(crate) password: String,
    /// Users beside the superuser.
    pub(crate) accounts: Vec<Account>,
    /// Whether metrics in JSON are bare numbers.
    pub(crate) bare_metrics: bool,
    pub(crate) seed: u64,
    pub(crate) delay: Duration,
    pub(crate) task_steps: u32,
    pub(crate) task_delay: Duration,
    pub(crate) session_limit: usize,
    pub(crate) session_timeout: Duration,
}

/// A user that an external directory would know.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) password: String,
    pub(crate) role: Role,
}

impl Config {
    fn account(&self, name: &str) -> Option<&Account> {
        self.accounts.iter().find(|account| account.name == name)
    }

    /// Whether the password is that of the superuser or of the user with this name.
    pub(crate) fn knows(&self, name: &str, password: &str) -> bool {
        if name == self.superuser {
            return password == self.password;
        }
        self.account(name).is_some_and(|account| account.password == password)
    }

    /// The role of a user; the superuser has none and may do everything.
    pub(crate) fn role_of(&self, name: &str) -> Option<Role> {
        self.account(name).map(|account| account.role)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            hosts: 1,
            vms: 4,
            isos: 4,
            superuser: "root".to_owned(),
            password: "xensource".to_owned(),
            accounts: Vec::new(),
            bare_metrics: false,
            seed: 0,
            delay: Duration::ZERO,
            task_steps: 0,
            task_delay: Duration::ZERO,
            session_limit: 500,
            session_timeout: Duration::from_secs(24 * 3600),
        }
    }
}
