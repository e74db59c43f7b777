//! A cache that has to follow a pool in which everything happens at once.

mod compare;
mod trouble;

use std::time::{Duration, Instant};

use xenapi::{Cache, Client, Error};
use xenapi_sim::{Fault, Simulator, VmSpec};

use self::compare::compare;
use self::trouble::{revive, trouble};

/// The hosts of the pool.
const HOSTS: usize = 3;
/// The deletions between two polls, more than the server remembers.
const SWEPT: usize = 2000;

/// How hard it is.
#[derive(Clone, Copy, Debug)]
pub struct Soak {
    /// VMs at the beginning; each brings about eight objects.
    pub vms: usize,
    /// Changes in a second.
    pub rate: u32,
    /// How long it goes on.
    pub duration: Duration,
    /// How often the connection is reset, the sessions end, deletions are forgotten, the coordinator changes, its
    /// toolstack restarts or a host dies.
    pub trouble: Duration,
}

/// What became of it.
#[derive(Clone, Debug)]
pub struct Report {
    /// Objects in the cache at the end.
    pub objects: usize,
    /// Changes that were made.
    pub changes: u64,
    /// Troubles that were made.
    pub troubles: u64,
    /// The longest that a batch of changes waited here.
    pub longest_lag: Duration,
    /// How often all was listed anew.
    pub restarts: u64,
    /// Deletions that were found without an event.
    pub mended: u64,
    /// How long the cache needed to be equal to the pool after the last change.
    pub settled: Duration,
}

impl Soak {
    /// Runs it, and compares the cache with the pool's tables at the end.
    ///
    /// # Errors
    /// Where a call fails that nothing was done to.
    ///
    /// # Panics
    /// Where the cache has missed something or holds what is not there.
    pub async fn run(self) -> Result<Report, Error> {
        let simulator = Simulator::builder()
            .hosts(HOSTS)
            .vms(self.vms)
            .build()
            .map_err(unbuilt)?;
        let client = Client::connect(simulator.url())
            .transport(simulator.transport())
            .login("root", "xensource")
            .await?;
        let cache = client.cache().await?;
        let (changes, troubles, longest_lag) = self.stir(&simulator, &cache).await;

        simulator.clear_faults();
        revive(&simulator);
        self.sweep(&simulator, &cache).await?;
        let last = Instant::now();
        cache.barrier().await?;
        let settled = last.elapsed();
        let objects = compare(&simulator, &client, &cache).await?;
        let health = cache.health().borrow().clone();
        Ok(Report {
            objects,
            changes,
            troubles,
            longest_lag,
            restarts: health.restarts,
            mended: health.mended,
            settled,
        })
    }

    async fn stir(&self, simulator: &Simulator, cache: &Cache) -> (u64, u64, Duration) {
        let begun = Instant::now();
        let (mut changes, mut troubles) = (0u64, 0u64);
        let mut longest_lag = Duration::ZERO;
        let mut born = Vec::new();
        let vms = simulator.refs("VM");
        let mut tick = tokio::time::interval(Duration::from_millis(50));
        while begun.elapsed() < self.duration {
            tick.tick().await;
            let due = (begun.elapsed().as_secs_f64() * f64::from(self.rate)) as u64;
            for number in changes..due {
                change(simulator, &vms, &mut born, number);
            }
            changes = changes.max(due);
            if begun.elapsed() > self.trouble * (troubles as u32 + 1) {
                trouble(simulator, &mut born, troubles);
                troubles += 1;
            }
            longest_lag = longest_lag.max(cache.health().borrow().lag);
        }
        (changes, troubles, longest_lag)
    }

    /// Deletes more objects between two polls than the server can tell of.
    async fn sweep(&self, simulator: &Simulator, cache: &Cache) -> Result<(), Error> {
        let specs = (0..SWEPT).map(|number| VmSpec::new(format!("swept {number}")));
        let swept: Vec<_> = specs.filter_map(|spec| simulator.add_vm(spec).ok()).collect();
        cache.barrier().await?;
        simulator.fault(Fault::on("event.from").times(1).delay(Duration::from_millis(500)));
        for vm in swept {
            simulator.remove("VM", &vm);
        }
        Ok(())
    }
}

fn unbuilt(error: xenapi_sim::BuildError) -> Error {
    Error::Config(error.to_string().into())
}

fn change(simulator: &Simulator, vms: &[String], born: &mut Vec<String>, number: u64) {
    match number % 10 {
        0 => born.extend(simulator.add_vm(VmSpec::new(format!("born {number}")))),
        // One is kept, to be lost.
        5 if born.len() > 1 => drop(born.pop().map(|vm| simulator.remove("VM", &vm))),
        5 => (),
        _ => {
            let vm = &vms[number as usize * 7919 % vms.len()];
            simulator.set("VM", vm, "name_description", format!("change {number}"));
        }
    }
}
