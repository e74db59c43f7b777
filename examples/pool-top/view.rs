//! What is shown, read out of the cache.

use std::time::{Duration, SystemTime};

use xenapi::task::StatusType;
use xenapi::vm::PowerState;
use xenapi::{Cache, DateTime, Host, HostRecord, Pool, Ref, Sr, Task, Vm, VmGuestMetricsRecord, VmRecord};

use crate::load::{Load, Loads};

/// One moment of a pool.
pub(crate) struct View {
    pub(crate) pool: String,
    pub(crate) is_live: bool,
    pub(crate) hosts: Vec<HostRow>,
    pub(crate) vms: Vec<VmRow>,
    pub(crate) srs: Vec<SrRow>,
    pub(crate) tasks: Vec<TaskRow>,
}

pub(crate) struct HostRow {
    pub(crate) name: String,
    pub(crate) state: &'static str,
    pub(crate) cpus: String,
    pub(crate) memory_used: u64,
    pub(crate) memory_total: u64,
    pub(crate) vms: usize,
    pub(crate) address: String,
    pub(crate) load: Load,
}

pub(crate) struct VmRow {
    pub(crate) name: String,
    pub(crate) state: PowerState,
    pub(crate) cpus: i64,
    pub(crate) memory: u64,
    pub(crate) host: String,
    pub(crate) uptime: Option<Duration>,
    pub(crate) address: String,
    pub(crate) load: Load,
}

pub(crate) struct SrRow {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) is_shared: bool,
    pub(crate) used: u64,
    pub(crate) size: u64,
}

pub(crate) struct TaskRow {
    pub(crate) name: String,
    pub(crate) host: String,
    pub(crate) progress: f64,
}

impl View {
    pub(crate) fn read(cache: &Cache, loads: &Loads) -> Self {
        let pools = cache.all::<Pool>();
        let name = pools.first().map(|(_, pool)| pool.name_label.clone());
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let hosts = cache.all::<Host>().into_iter();
        let vms = cache.all::<Vm>().into_iter().filter(|(_, vm)| vm.is_real_vm());
        let mut view = Self {
            pool: name.unwrap_or_default(),
            is_live: cache.health().borrow().is_live,
            hosts: hosts.map(|(_, record)| host_row(cache, loads, &record)).collect(),
            vms: vms.map(|(_, record)| vm_row(cache, loads, now, &record)).collect(),
            srs: srs(cache),
            tasks: tasks(cache),
        };
        view.hosts.sort_by(|a, b| a.name.cmp(&b.name));
        view.srs.sort_by(|a, b| a.name.cmp(&b.name));
        view.tasks.sort_by(|a, b| a.name.cmp(&b.name));
        view
    }
}

fn host_row(cache: &Cache, loads: &Loads, record: &HostRecord) -> HostRow {
    let metrics = cache.get(record.metrics);
    let (total, free) = metrics
        .as_ref()
        .map_or((0, 0), |metrics| (metrics.memory_total, metrics.memory_free));
    let is_live = metrics.is_some_and(|metrics| metrics.live);
    let guests = record.resident_vms.iter().filter_map(|&vm| cache.get(vm));
    HostRow {
        name: record.name_label.clone(),
        state: match (is_live, record.enabled) {
            (false, _) => "unreachable",
            (true, false) => "disabled",
            (true, true) => "up",
        },
        cpus: record.cpu_info.get("cpu_count").cloned().unwrap_or_default(),
        memory_used: bytes(total.saturating_sub(free)),
        memory_total: bytes(total),
        vms: guests.filter(|vm| vm.is_real_vm()).count(),
        address: record.address.clone(),
        load: loads.of(&record.uuid),
    }
}

fn vm_row(cache: &Cache, loads: &Loads, now: Duration, record: &VmRecord) -> VmRow {
    let is_up = matches!(record.power_state, PowerState::Running | PowerState::Paused);
    let metrics = cache.get(record.metrics).filter(|_| is_up);
    let (cpus, memory) = match &metrics {
        Some(metrics) => (metrics.vcpus_number, metrics.memory_actual),
        None => (record.vcpus_at_startup, record.memory_dynamic_max),
    };
    let guest = cache.get(record.guest_metrics).filter(|_| is_up);
    VmRow {
        name: record.name_label.clone(),
        state: record.power_state.clone(),
        cpus,
        memory: bytes(memory),
        host: host_name(cache, record.resident_on),
        uptime: metrics.and_then(|metrics| since(now, metrics.start_time)),
        address: guest.map(|guest| address(&guest)).unwrap_or_default(),
        load: loads.of(&record.uuid),
    }
}

/// The time since then, by this machine's clock.
fn since(now: Duration, then: DateTime) -> Option<Duration> {
    let then = Duration::from_secs(u64::try_from(then.unix_seconds()).ok()?);
    (!then.is_zero()).then(|| now.saturating_sub(then))
}

/// The first IPv4 address that the guest reports, or else its first of any kind.
fn address(guest: &VmGuestMetricsRecord) -> String {
    let all = || guest.networks.values();
    let first = all().find(|address| address.contains('.')).or(all().next());
    first.cloned().unwrap_or_default()
}

fn host_name(cache: &Cache, host: Ref<Host>) -> String {
    cache.get(host).map(|host| host.name_label.clone()).unwrap_or_default()
}

/// The SRs that store something: a drive with a size of zero is one of those that only pass a medium on.
fn srs(cache: &Cache) -> Vec<SrRow> {
    let srs = cache.all::<Sr>().into_iter().filter(|(_, sr)| sr.physical_size > 0);
    srs.map(|(_, sr)| SrRow {
        name: sr.name_label.clone(),
        kind: sr.kind.clone(),
        is_shared: sr.shared,
        used: bytes(sr.physical_utilisation),
        size: bytes(sr.physical_size),
    })
    .collect()
}

fn tasks(cache: &Cache) -> Vec<TaskRow> {
    let tasks = cache.all::<Task>().into_iter();
    let running = tasks.filter(|(_, task)| task.status == StatusType::Pending);
    running
        .map(|(_, task)| TaskRow {
            name: task.name_label.clone(),
            host: host_name(cache, task.resident_on),
            progress: task.progress,
        })
        .collect()
}

fn bytes(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
