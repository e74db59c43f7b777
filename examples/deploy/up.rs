//! Making what is missing.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use futures_util::future::join_all;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep};
use xenapi::task::StatusType;
use xenapi_examples::{ControlDomain, Pool, Printable, Sessions, note};

use crate::file::{Block, Environment};
use crate::machine::Machine;
use crate::steps::{Step, Work};
use crate::targets::{AllTargets, look_up, make_networks, of};

pub(crate) async fn run(
    pool: &Pool,
    environment: &Environment,
    parallel: usize,
    ssh: &ControlDomain,
) -> anyhow::Result<ExitCode> {
    let (_, new) = pool.unless_interrupted(look_up(pool, environment)).await?;
    pool.unless_interrupted(settle(pool)).await?;
    make_networks(pool, environment, &new).await?;
    let (targets, _) = pool.unless_interrupted(look_up(pool, environment)).await?;
    let there = sweep(pool, environment).await?;
    let building = Building {
        pool,
        environment,
        targets: &targets,
        there: &there,
        guests: Sessions::new(ssh),
        permits: Arc::new(Semaphore::new(parallel.max(1))),
    };
    let ready = pool
        .unless_interrupted(async { anyhow::Ok(building.all().await) })
        .await?;
    // What a killed run had sent may have arrived only now.
    pool.unless_interrupted(settle(pool)).await?;
    sweep(pool, environment).await?;
    let count = ready.len();
    let failed = ready.iter().filter(|is_ready| !**is_ready).count();
    note(match failed {
        0 => format!("{count} of {count} machines are ready"),
        _ => format!(
            "{} of {count} machines are ready; `up` goes on where it stopped",
            count - failed
        ),
    });
    Ok(ExitCode::from(u8::from(failed > 0)))
}

/// Destroys what was not finished, which is made anew; answers with what is finished.
async fn sweep(pool: &Pool, environment: &Environment) -> anyhow::Result<BTreeMap<String, Machine>> {
    let vms = pool.unless_interrupted(pool.vms().all_records()).await?;
    let mut there: BTreeMap<String, Machine> = BTreeMap::new();
    for machine in Machine::all(&vms, &environment.name) {
        if machine.done().is_none() {
            note(format!(
                "{}: what an interrupted run has left of it goes first",
                machine.name
            ));
            // It stays for the next time, and for `clean`.
            if let Err(error) = machine.destroy(pool, &environment.name).await {
                note(format!("{}: {error:#}", machine.name));
            }
        } else if let Some(other) = there.get(&machine.name) {
            bail!(
                "{} is there twice, {} and {}: two runs of `up` were at it; destroy one of them",
                machine.name,
                other.record.uuid,
                machine.record.uuid
            );
        } else {
            there.insert(machine.name.clone(), machine);
        }
    }
    Ok(there)
}

/// Waits until the server has ended what a killed run may have begun there: a clone may still be on its way.
async fn settle(pool: &Pool) -> anyhow::Result<()> {
    const MAKES: [&str; 6] = [
        "Async.VM.clone",
        "Async.VM.copy",
        "Async.VM.provision",
        "Async.VM.snapshot",
        "Async.VDI.create",
        "Async.VBD.create",
    ];
    const PATIENCE: Duration = Duration::from_secs(600);
    let began = Instant::now();
    let mut told = false;
    loop {
        let tasks = pool.tasks().all_records().await?;
        let is_on =
            |task: &xenapi::TaskRecord| MAKES.contains(&task.name_label.as_str()) && task.status == StatusType::Pending;
        let Some(task) = tasks.values().find(|task| is_on(task)) else {
            return Ok(());
        };
        ensure!(
            began.elapsed() < PATIENCE,
            "somebody's {} has not ended in ten minutes, and may be of an interrupted run: wait for it, or cancel it",
            task.name_label
        );
        if !told {
            note("Waiting for clones, snapshots and disks that somebody has begun …");
            told = true;
        }
        sleep(Duration::from_millis(200)).await;
    }
}

struct Building<'a> {
    pool: &'a Pool,
    environment: &'a Environment,
    targets: &'a AllTargets,
    there: &'a BTreeMap<String, Machine>,
    guests: Sessions,
    permits: Arc<Semaphore>,
}

/// What is known of a block: nothing yet, or whether all its machines are ready.
type Readiness = watch::Sender<Option<bool>>;

impl Building<'_> {
    /// Whether each machine is ready.
    async fn all(&self) -> Vec<bool> {
        let blocks: BTreeMap<&str, Readiness> = self
            .environment
            .blocks
            .iter()
            .map(|block| (block.name.as_str(), watch::Sender::new(None)))
            .collect();
        let built = self.environment.blocks.iter().map(async |block| {
            let waited_for = block.after.iter().filter_map(|other| blocks.get(other.as_str()));
            let readiness = join_all(waited_for.map(async |other| {
                // The senders live as long as this.
                let ready = other.subscribe().wait_for(Option::is_some).await.map(|ready| *ready);
                ready.ok().flatten() == Some(true)
            }));
            let may_begin = readiness.await.into_iter().all(|ready| ready);
            let machines = block.machines().map(async |name| match may_begin {
                true => self.machine(block, &name).await,
                false => {
                    say(&name, &format!("waits for {}", block.after.join(", ")));
                    false
                }
            });
            let ready = join_all(machines).await;
            if let Some(of_block) = blocks.get(block.name.as_str()) {
                of_block.send_replace(Some(ready.iter().all(|ready| *ready)));
            }
            ready
        });
        join_all(built).await.into_iter().flatten().collect()
    }

    async fn machine(&self, block: &Block, name: &str) -> bool {
        let Ok(_permit) = self.permits.acquire().await else {
            return false;
        };
        let mut at = "make";
        match self.build(block, name, &mut at).await {
            Ok(done) => {
                say(name, &done);
                true
            }
            Err(error) => {
                say(name, &format!("failed at {at}: {error:#}"));
                false
            }
        }
    }

    async fn build(&self, block: &Block, name: &str, at: &mut &'static str) -> anyhow::Result<String> {
        let targets = of(self.targets, block)?;
        let mut done = Vec::new();
        let (vm, steps) = match self.there.get(name) {
            Some(machine) => (machine.vm, Step::after(block, machine.done().unwrap_or_default())),
            None => {
                let vm = Machine::make(self.pool, &self.environment.name, name, &targets.source).await?;
                done.push("make");
                (vm, Step::of(block))
            }
        };
        let work = Work {
            client: self.pool,
            guests: &self.guests,
            environment: &self.environment.name,
            machine: name,
            block,
            targets,
            vm,
        };
        for step in steps {
            *at = step.name();
            work.step(step).await.context("it stays as it is")?;
            done.push(step.name());
        }
        Ok(match done.is_empty() {
            true => "was ready".to_owned(),
            false => done.join(", "),
        })
    }
}

/// That nobody reads it any more does not stop the work.
fn say(machine: &str, what: &str) {
    let _ = writeln!(io::stdout(), "{}: {}", Printable(machine), Printable(what));
}
