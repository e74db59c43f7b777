//! What a simulated pool is like.

use std::time::Duration;

/// The choices of a [`Builder`](crate::Builder).
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) hosts: usize,
    pub(crate) vms: usize,
    pub(crate) isos: usize,
    pub(crate) user: String,
    pub(crate) password: String,
    pub(crate) seed: u64,
    pub(crate) delay: Duration,
    pub(crate) task_steps: u32,
    pub(crate) task_delay: Duration,
    pub(crate) session_limit: usize,
    pub(crate) session_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            hosts: 1,
            vms: 4,
            isos: 4,
            user: "root".to_owned(),
            password: "xensource".to_owned(),
            seed: 0,
            delay: Duration::ZERO,
            task_steps: 0,
            task_delay: Duration::ZERO,
            session_limit: 500,
            session_timeout: Duration::from_secs(24 * 3600),
        }
    }
}
