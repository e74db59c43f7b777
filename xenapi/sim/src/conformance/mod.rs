//! What every server of XenAPI does, as checks that run against any of them.
//!
//! The simulated pool claims to answer as xapi does. These checks hold it to that, and hold a real host to the same:
//! what they find there is a fault of the simulator or of the datamodel, or a difference between releases. They ask
//! through a [`Client`] and, where the wire itself matters, through the [`Transport`] that it uses.
//!
//! ```
//! use std::sync::Arc;
//!
//! use xenapi::Client;
//! use xenapi_sim::Simulator;
//! use xenapi_sim::conformance::Suite;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let pool = Simulator::builder().build()?;
//! let transport = Arc::new(pool.transport());
//! let client = Client::connect(pool.url()).transport(transport.clone()).login("root", "xensource").await?;
//! let report = Suite::new(client, pool.url(), transport).run().await;
//! assert_eq!(report.failures().count(), 0, "{report}");
//! # Ok(())
//! # }
//! ```

mod calls;
mod events;
mod handlers;
mod host;
mod records;
mod shape;
mod tasks;
mod writes;

use std::fmt;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use xenapi::Client;
use xenapi::transport::Transport;

use self::host::Host;

/// What a check found: differences that the server's release explains, or why the server is not as it should be.
type Found = Result<Vec<String>, String>;

struct Check {
    name: &'static str,
    /// Whether it changes something.
    writes: bool,
    run: for<'a> fn(&'a Host) -> BoxFuture<'a, Found>,
}

const fn reads(name: &'static str, run: for<'a> fn(&'a Host) -> BoxFuture<'a, Found>) -> Check {
    Check {
        name,
        writes: false,
        run,
    }
}

const fn changes(name: &'static str, run: for<'a> fn(&'a Host) -> BoxFuture<'a, Found>) -> Check {
    Check {
        name,
        writes: true,
        run,
    }
}

static CHECKS: &[Check] = &[
    reads("a wrong password is refused", |host| {
        calls::wrong_password(host).boxed()
    }),
    reads("all messages of the datamodel are listed", |host| {
        calls::listed(host).boxed()
    }),
    reads("errors have a code and parameters", |host| calls::errors(host).boxed()),
    reads("both encodings tell the same", |host| calls::encodings(host).boxed()),
    reads("all records are as the datamodel has them", |host| {
        records::all(host).boxed()
    }),
    reads("getters agree with records", |host| records::getters(host).boxed()),
    reads("the first events are the full list", |host| {
        events::full_list(host).boxed()
    }),
    reads("events keep to what was asked for", |host| {
        events::filters(host).boxed()
    }),
    reads("bad tokens and subscriptions are refused", |host| {
        events::refusals(host).boxed()
    }),
    reads("a task goes from pending to success", |host| {
        tasks::success(host).boxed()
    }),
    reads("a task keeps the error of its call", |host| {
        tasks::failure(host).boxed()
    }),
    reads("handlers want a session", |host| handlers::authentication(host).boxed()),
    reads("handlers refuse what is not there", |host| {
        handlers::refusals(host).boxed()
    }),
    reads("the metadata of a VM is an archive", |host| {
        handlers::metadata(host).boxed()
    }),
    reads("metrics come as XML and as JSON", |host| {
        handlers::metrics(host).boxed()
    }),
    changes("a change is told and a key is added once", |host| {
        writes::other_config(host).boxed()
    }),
    changes("an object is added and deleted for listeners", |host| {
        writes::network(host).boxed()
    }),
];

/// The checks, and the server that they are about.
#[derive(Debug)]
pub struct Suite {
    host: Host,
    writes: bool,
}

impl Suite {
    /// Checks of the pool that a client is logged in to, which read and change nothing; one logs in with a wrong
    /// password. The URL is the coordinator's, and the transport one that trusts it.
    pub fn new(client: Client, url: impl Into<String>, transport: Arc<dyn Transport>) -> Self {
        Self {
            host: Host::new(client, url.into(), transport),
            writes: false,
        }
    }

    /// Also runs the checks that change something: they set and remove a key in the pool's `other_config`, and make
    /// and destroy a network.
    pub fn with_writes(mut self) -> Self {
        self.writes = true;
        self
    }

    /// Runs the checks, one after the other.
    pub async fn run(&self) -> Report {
        let mut outcomes = Vec::new();
        for check in CHECKS.iter().filter(|check| self.writes || !check.writes) {
            let verdict = match (check.run)(&self.host).await {
                Ok(notes) => Verdict::Passed { notes },
                Err(reason) => Verdict::Failed { reason },
            };
            outcomes.push(Outcome {
                check: check.name,
                verdict,
            });
        }
        Report { outcomes }
    }
}

/// How one check ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// The server is as it should be.
    Passed {
        /// Differences that its release explains: what it does not know yet, or knows and the datamodel does not.
        notes: Vec<String>,
    },
    /// The server is not as it should be.
    Failed {
        /// What was asked, expected and answered.
        reason: String,
    },
}

/// A check and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// What was checked.
    pub check: &'static str,
    /// How it ended.
    pub verdict: Verdict,
}

/// How all checks ended; it prints as one line for each.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// In the order in which they ran.
    pub outcomes: Vec<Outcome>,
}

impl Report {
    /// The checks that failed.
    pub fn failures(&self) -> impl Iterator<Item = &Outcome> {
        let failed = |outcome: &&Outcome| matches!(outcome.verdict, Verdict::Failed { .. });
        self.outcomes.iter().filter(failed)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Outcome { check, verdict } in &self.outcomes {
            match verdict {
                Verdict::Passed { notes } => {
                    writeln!(f, "passed: {check}")?;
                    for note in notes {
                        writeln!(f, "        {note}")?;
                    }
                }
                Verdict::Failed { reason } => writeln!(f, "FAILED: {check}: {reason}")?,
            }
        }
        Ok(())
    }
}

/// Fails with a reason unless something holds.
fn ensure(holds: bool, reason: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(reason()) }
}
