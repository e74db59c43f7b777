//! A cache that has to follow a pool in which everything happens at once.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use xenapi::{Cache, Class, Client, Error, Host, Object, Ref, Vbd, Vdi, Vif, Vm, VmMetrics};
use xenapi_sim::{Fault, Simulator, VmSpec};

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
    /// How often the connection is reset, the sessions end, deletions are forgotten or the coordinator changes.
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
        self.sweep(&simulator).await;
        let last = Instant::now();
        cache.barrier().await?;
        let settled = last.elapsed();
        compare(&simulator, &client, &cache).await?;
        let health = cache.health().borrow().clone();
        Ok(Report {
            objects: Class::WITH_EVENTS
                .iter()
                .map(|class| simulator.refs(class.as_str()).len())
                .sum(),
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
    async fn sweep(&self, simulator: &Simulator) {
        let specs = (0..SWEPT).map(|number| VmSpec::new(format!("swept {number}")));
        let swept: Vec<_> = specs.filter_map(|spec| simulator.add_vm(spec).ok()).collect();
        tokio::time::sleep(Duration::from_millis(300)).await;
        simulator.fault(Fault::on("event.from").times(1).delay(Duration::from_millis(500)));
        for vm in swept {
            simulator.remove("VM", &vm);
        }
    }
}

fn unbuilt(error: xenapi_sim::BuildError) -> Error {
    Error::Config(error.to_string().into())
}

fn change(simulator: &Simulator, vms: &[String], born: &mut Vec<String>, number: u64) {
    match number % 10 {
        0 => born.extend(simulator.add_vm(VmSpec::new(format!("born {number}")))),
        5 => drop(born.pop().map(|vm| simulator.remove("VM", &vm))),
        _ => {
            let vm = &vms[number as usize * 7919 % vms.len()];
            simulator.set("VM", vm, "name_description", format!("change {number}"));
        }
    }
}

fn trouble(simulator: &Simulator, born: &mut Vec<String>, number: u64) {
    match number % 4 {
        0 => simulator.fault(Fault::on("event.from").times(2).reset()),
        1 => simulator.expire_sessions(),
        2 => drop(born.pop().map(|vm| simulator.remove_silently("VM", &vm))),
        _ => simulator.promote(number as usize / 4 % HOSTS),
    }
}

async fn compare(simulator: &Simulator, client: &Client, cache: &Cache) -> Result<(), Error> {
    let there = client.vms().all_records().await?;
    let held: HashMap<Ref<Vm>, _> = cache.all::<Vm>().into_iter().collect();
    assert_eq!(held.len(), there.len(), "VMs");
    for (vm, record) in &there {
        assert_eq!(held.get(vm).map(|held| &**held), Some(record), "a VM differs");
    }
    same::<Vbd>(simulator, cache, "VBD");
    same::<Vdi>(simulator, cache, "VDI");
    same::<Vif>(simulator, cache, "VIF");
    same::<VmMetrics>(simulator, cache, "VM_metrics");
    same::<Host>(simulator, cache, "host");
    Ok(())
}

fn same<T: Object>(simulator: &Simulator, cache: &Cache, class: &str) {
    let mut there = simulator.refs(class);
    let mut held: Vec<_> = cache
        .all::<T>()
        .iter()
        .map(|(reference, _)| reference.to_wire())
        .collect();
    there.sort();
    held.sort();
    assert_eq!(there, held, "{class}");
}
