//! Tells what changes on a pool, as it happens.
//!
//!     cargo run --example pool-watch -- --url https://10.0.0.2 --pin 3f:9a:… --class VM --class task
//!     cargo run --example pool-watch -- --json --for 60
//!
//! Without --url it watches a simulated pool, on which a VM is started and stopped again and again.

mod fields;
mod human;
mod json;
mod stir;
mod tail;

use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use futures_util::StreamExt;
use xenapi::{Change, Changes, Class, Health};
use xenapi_examples::{Connection, Pool, arguments, finish, note};

use crate::tail::{News, Tail};

/// Tells what changes on a pool, as it happens
#[derive(Parser)]
struct Flags {
    /// Only objects of this class, for example VM or task; may be said several times
    #[arg(long, value_name = "CLASS", value_parser = class)]
    class: Vec<Class>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    /// End after this many changes
    #[arg(long, value_name = "NUMBER")]
    count: Option<u64>,
    /// End after this many seconds
    #[arg(long = "for", value_name = "SECONDS")]
    seconds: Option<u64>,
    #[command(flatten)]
    connection: Connection,
}

/// A class by its name, in any case.
fn class(name: &str) -> Result<Class, String> {
    let known = Class::WITH_EVENTS
        .iter()
        .find(|class| class.as_str().eq_ignore_ascii_case(name));
    known.cloned().ok_or_else(|| {
        let names: Vec<_> = Class::WITH_EVENTS.iter().map(Class::as_str).collect();
        format!("no class whose objects are watched; these are: {}", names.join(", "))
    })
}

#[tokio::main]
async fn main() -> ExitCode {
    let flags: Flags = arguments();
    let work = async |pool: &Pool| watch(pool, &flags).await;
    let outcome = flags.connection.run("pool-watch", work).await;
    finish(outcome.map(|()| ExitCode::SUCCESS))
}

async fn watch(pool: &Pool, flags: &Flags) -> anyhow::Result<()> {
    let changes = pool.watch().classes(flags.class.iter().cloned()).start();
    let stirring = async {
        if pool.is_simulated() {
            return stir::stir(pool).await;
        }
        std::future::pending().await
    };
    let told = pool.unless_interrupted(tell(changes, flags));
    let limit = async {
        match flags.seconds {
            Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        told = told => told,
        stirred = stirring => stirred,
        () = limit => Ok(()),
    }
}

/// Prints changes until there were enough of them.
async fn tell(changes: Changes, flags: &Flags) -> anyhow::Result<()> {
    let mut health = changes.health();
    let mut known = Condition::default();
    let mut tail = Tail::default();
    let mut left = flags.count.unwrap_or(u64::MAX);
    let mut changes = pin!(changes);
    while left > 0 {
        let change = tokio::select! {
            change = changes.next() => change,
            Ok(()) = health.changed() => {
                known.tell(&health.borrow_and_update());
                continue;
            }
        };
        let Some(change) = change.transpose()? else { break };
        let is_first_list = matches!(change, Change::InitDone) && !tail.is_listed();
        let news = tail.take_in(change);
        if is_first_list {
            note(format!("Watching {} objects.", tail.len()));
        }
        if let Some(news) = news {
            print(&tail, &news, flags.json)?;
            left -= 1;
        }
    }
    Ok(())
}

fn print(tail: &Tail, news: &News, json: bool) -> anyhow::Result<()> {
    if json {
        json::print(news)
    } else {
        human::print(tail, news)
    }
}

/// How the watch was when something was last said of it.
#[derive(Default)]
struct Condition {
    is_down: bool,
    restarts: u64,
    mended: u64,
}

impl Condition {
    fn tell(&mut self, health: &Health) {
        let reason = health
            .last_error
            .as_deref()
            .unwrap_or("the pool has another session or coordinator");
        let is_down = !health.is_live && health.last_error.is_some();
        if is_down && !self.is_down {
            note(format!("No news from the pool, trying again: {reason}"));
        }
        if health.restarts > self.restarts {
            note(format!("Everything was listed anew, the last reason: {reason}"));
        } else if self.is_down && !is_down {
            note("The pool answers again.");
        }
        if health.mended > self.mended {
            let missed = health.mended - self.mended;
            note(format!(
                "{missed} changes came without an event and were found by counting."
            ));
        }
        (self.is_down, self.restarts, self.mended) = (is_down, health.restarts, health.mended);
    }
}
