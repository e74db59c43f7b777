//! What data sources are called, and what they mean.

use std::fmt;

use super::Unit;

/// A data source: one thing that is measured of an object, by the name that the server gives it.
///
/// [`kind`](DataSource::kind) takes the names apart that are known, and says nothing false of the others: plugins and
/// newer releases have names of their own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DataSource {
    name: String,
}

impl DataSource {
    /// A data source of this name.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into() }
    }

    /// The name, for example `vif_0_rx`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the name means.
    pub fn kind(&self) -> SourceKind<'_> {
        SourceKind::of(&self.name)
    }

    /// What the values are counted in.
    pub fn unit(&self) -> Unit {
        self.kind().unit()
    }
}

impl fmt::Display for DataSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// What a data source measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SourceKind<'a> {
    /// `cpuN`: how busy a CPU of the host, or a virtual CPU of the VM, was: 0 is idle, 1 is all of it.
    Cpu(u32),
    /// `cpu_avg`: the mean over the host's CPUs.
    CpuAverage,
    /// `cpu_usage`: the mean over the VM's virtual CPUs, in newer releases.
    CpuUsage,
    /// `runstate_NAME`: the part of the time that the VM's virtual CPUs spent in this state. `fullrun` and
    /// `partial_run` are good; `full_contention`, `partial_contention` and `concurrency_hazard` wait for a physical
    /// CPU; `blocked` waits for work.
    RunState(&'a str),
    /// `loadavg`: the load average of the control domain, as `uptime` shows it.
    LoadAverage,
    /// `hostload`: virtual CPUs that run or could run, for each physical CPU; above 1 the host is overcommitted.
    HostLoad,
    /// `memory`: what the VM has been given, in bytes.
    Memory,
    /// `memory_target`: what the VM is being ballooned to, in bytes.
    MemoryTarget,
    /// `memory_internal_free`: what the guest says is free inside it, in KiB, unlike all else about its memory. It is
    /// there only while the guest's agent runs.
    MemoryInternalFree,
    /// `memory_total_kib`: what the host has, in KiB.
    MemoryTotal,
    /// `memory_free_kib`: what the host has left, in KiB.
    MemoryFree,
    /// `memory_reclaimed`: what ballooning has taken from the host's VMs, in bytes.
    MemoryReclaimed,
    /// `memory_reclaimed_max`: what ballooning could take from them, in bytes.
    MemoryReclaimable,
    /// `vif_DEVICE_…`: the traffic of a VM's network interface, as the VM sees it.
    Vif {
        /// The position, for example `0`.
        device: &'a str,
        /// What of it.
        traffic: Traffic,
    },
    /// `pif_DEVICE_…`: the traffic of a host's network interface.
    Pif {
        /// The name, for example `eth0`.
        device: &'a str,
        /// What of it.
        traffic: Traffic,
    },
    /// `pif_aggr_rx` and `pif_aggr_tx`: the traffic of all physical interfaces of the host.
    PifTotal(Traffic),
    /// `vbd_DEVICE_…`: the work of a VM's disk.
    Vbd {
        /// The name, for example `xvda`.
        device: &'a str,
        /// What of it.
        activity: Activity,
    },
    /// `…_XXXXXXXX`: the work of the host on a storage repository.
    Storage {
        /// The first eight digits of its UUID.
        sr: &'a str,
        /// What of it.
        activity: Activity,
    },
    /// `size`: the room of a storage repository, in bytes.
    Size,
    /// `physical_utilisation`: what of it is taken, in bytes.
    PhysicalUtilisation,
    /// `pool_session_count`: sessions that are open at the pool.
    SessionCount,
    /// `pool_task_count`: tasks that the pool has.
    TaskCount,
    /// `xapi_…_kib`: the memory of the toolstack itself, in KiB.
    ToolstackMemory(&'a str),
    /// Another one.
    Other(&'a str),
}

/// What is measured of a network interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Traffic {
    /// `rx`: bytes that came in, per second.
    Received,
    /// `tx`: bytes that went out, per second.
    Sent,
    /// `rx_errors`: errors while receiving, per second.
    ReceiveErrors,
    /// `tx_errors`: errors while sending, per second.
    SendErrors,
}

/// What is measured of a disk or a storage repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Activity {
    /// `read`: bytes per second.
    Read,
    /// `write`: bytes per second.
    Written,
    /// `read_latency`: the mean time of a read, in microseconds.
    ReadLatency,
    /// `write_latency`: the mean time of a write, in microseconds.
    WriteLatency,
    /// `latency`: the mean time of a request, in milliseconds.
    Latency,
    /// `iops_read`: requests per second.
    Reads,
    /// `iops_write`: requests per second.
    Writes,
    /// `iops_total`: requests per second.
    Requests,
    /// `io_throughput_read`: MiB per second.
    ReadThroughput,
    /// `io_throughput_write`: MiB per second.
    WriteThroughput,
    /// `io_throughput_total`: MiB per second.
    Throughput,
    /// `iowait`: the part of the time during which requests were waited for.
    Wait,
    /// `inflight`: requests under way.
    InFlight,
    /// `avgqu_sz`: the mean length of the queue, in requests.
    QueueLength,
}

const TRAFFIC: [(&str, Traffic); 4] = [
    ("rx", Traffic::Received),
    ("tx", Traffic::Sent),
    ("rx_errors", Traffic::ReceiveErrors),
    ("tx_errors", Traffic::SendErrors),
];

/// A name that ends like another stands before it.
const ACTIVITIES: [(&str, Activity); 14] = [
    ("read_latency", Activity::ReadLatency),
    ("write_latency", Activity::WriteLatency),
    ("latency", Activity::Latency),
    ("iops_read", Activity::Reads),
    ("iops_write", Activity::Writes),
    ("iops_total", Activity::Requests),
    ("io_throughput_read", Activity::ReadThroughput),
    ("io_throughput_write", Activity::WriteThroughput),
    ("io_throughput_total", Activity::Throughput),
    ("iowait", Activity::Wait),
    ("inflight", Activity::InFlight),
    ("avgqu_sz", Activity::QueueLength),
    ("read", Activity::Read),
    ("write", Activity::Written),
];

impl<'a> SourceKind<'a> {
    fn of(name: &'a str) -> Self {
        match name {
            "cpu_avg" => Self::CpuAverage,
            "cpu_usage" => Self::CpuUsage,
            "loadavg" => Self::LoadAverage,
            "hostload" => Self::HostLoad,
            "memory" => Self::Memory,
            "memory_target" => Self::MemoryTarget,
            "memory_internal_free" => Self::MemoryInternalFree,
            "memory_total_kib" => Self::MemoryTotal,
            "memory_free_kib" => Self::MemoryFree,
            "memory_reclaimed" => Self::MemoryReclaimed,
            "memory_reclaimed_max" => Self::MemoryReclaimable,
            "size" => Self::Size,
            "physical_utilisation" => Self::PhysicalUtilisation,
            "pool_session_count" => Self::SessionCount,
            "pool_task_count" => Self::TaskCount,
            "xapi_free_memory_kib" | "xapi_live_memory_kib" | "xapi_memory_usage_kib" => Self::ToolstackMemory(name),
            _ => Self::composed(name).unwrap_or(Self::Other(name)),
        }
    }

    /// A name that holds the name of a device or the like.
    fn composed(name: &'a str) -> Option<Self> {
        if let Some(number) = name.strip_prefix("cpu") {
            let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
            return is_number.then(|| number.parse().ok().map(Self::Cpu)).flatten();
        }
        if let Some(state) = name.strip_prefix("runstate_") {
            return Some(Self::RunState(state));
        }
        if let Some(rest) = name.strip_prefix("pif_aggr_") {
            return exactly(&TRAFFIC, rest).map(Self::PifTotal);
        }
        if let Some(rest) = name.strip_prefix("pif_") {
            return at_end(&TRAFFIC, rest).map(|(device, traffic)| Self::Pif { device, traffic });
        }
        if let Some(rest) = name.strip_prefix("vif_") {
            return at_end(&TRAFFIC, rest).map(|(device, traffic)| Self::Vif { device, traffic });
        }
        if let Some(rest) = name.strip_prefix("vbd_") {
            return at_end(&ACTIVITIES, rest).map(|(device, activity)| Self::Vbd { device, activity });
        }
        let (activity, sr) = name.rsplit_once('_')?;
        let is_sr = sr.len() == 8 && sr.bytes().all(|byte| byte.is_ascii_hexdigit());
        let activity = is_sr.then(|| exactly(&ACTIVITIES, activity)).flatten()?;
        Some(Self::Storage { sr, activity })
    }

    /// What the values are counted in.
    pub fn unit(self) -> Unit {
        match self {
            Self::Cpu(_) | Self::CpuAverage | Self::CpuUsage | Self::RunState(_) | Self::HostLoad => Unit::Fraction,
            Self::LoadAverage | Self::SessionCount | Self::TaskCount => Unit::Count,
            Self::Memory
            | Self::MemoryTarget
            | Self::MemoryReclaimed
            | Self::MemoryReclaimable
            | Self::Size
            | Self::PhysicalUtilisation => Unit::Bytes,
            Self::MemoryInternalFree | Self::MemoryTotal | Self::MemoryFree | Self::ToolstackMemory(_) => {
                Unit::Kibibytes
            }
            Self::Vif { traffic, .. } | Self::Pif { traffic, .. } | Self::PifTotal(traffic) => traffic.unit(),
            Self::Vbd { activity, .. } | Self::Storage { activity, .. } => activity.unit(),
            Self::Other(_) => Unit::Unknown,
        }
    }
}

impl Traffic {
    /// What the values are counted in.
    pub fn unit(self) -> Unit {
        match self {
            Self::Received | Self::Sent => Unit::BytesPerSecond,
            Self::ReceiveErrors | Self::SendErrors => Unit::PerSecond,
        }
    }
}

impl Activity {
    /// What the values are counted in.
    pub fn unit(self) -> Unit {
        match self {
            Self::Read | Self::Written => Unit::BytesPerSecond,
            Self::ReadLatency | Self::WriteLatency => Unit::Microseconds,
            Self::Latency => Unit::Milliseconds,
            Self::Reads | Self::Writes | Self::Requests => Unit::PerSecond,
            Self::ReadThroughput | Self::WriteThroughput | Self::Throughput => Unit::MebibytesPerSecond,
            Self::Wait => Unit::Fraction,
            Self::InFlight | Self::QueueLength => Unit::Count,
        }
    }
}

fn exactly<T: Copy>(known: &[(&str, T)], name: &str) -> Option<T> {
    known.iter().find(|(known, _)| *known == name).map(|&(_, meant)| meant)
}

/// A device, and what is measured of it.
fn at_end<'a, T: Copy>(known: &[(&str, T)], name: &'a str) -> Option<(&'a str, T)> {
    known.iter().find_map(|&(ending, meant)| {
        let device = name.strip_suffix(ending)?.strip_suffix('_')?;
        (!device.is_empty()).then_some((device, meant))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(name: &str) -> SourceKind<'_> {
        SourceKind::of(name)
    }

    #[test]
    fn names_are_taken_apart() {
        assert_eq!(kind("cpu12"), SourceKind::Cpu(12));
        assert_eq!(
            kind("vif_0_rx"),
            SourceKind::Vif {
                device: "0",
                traffic: Traffic::Received
            }
        );
        assert_eq!(
            kind("pif_eth0.40_tx_errors"),
            SourceKind::Pif {
                device: "eth0.40",
                traffic: Traffic::SendErrors
            }
        );
        assert_eq!(kind("pif_aggr_tx"), SourceKind::PifTotal(Traffic::Sent));
        assert_eq!(
            kind("vbd_xvda_read_latency"),
            SourceKind::Vbd {
                device: "xvda",
                activity: Activity::ReadLatency
            }
        );
        assert_eq!(
            kind("io_throughput_total_0f3b21aa"),
            SourceKind::Storage {
                sr: "0f3b21aa",
                activity: Activity::Throughput
            }
        );
        assert_eq!(kind("runstate_fullrun"), SourceKind::RunState("fullrun"));
    }

    #[test]
    fn what_is_not_known_is_not_guessed() {
        for name in [
            "",
            "cpu",
            "cpu0-C1",
            "cpu99999999999",
            "vif_rx",
            "vif__rx",
            "vbd_xvda_spin",
            "read_shared",
            "gpu_utilisation_compute_0000:08:00.0",
        ] {
            assert_eq!(
                (kind(name), kind(name).unit()),
                (SourceKind::Other(name), Unit::Unknown)
            );
        }
    }

    #[test]
    fn units_are_those_of_the_server() {
        for (name, unit) in [
            ("cpu0", "fraction of 1"),
            ("memory", "B"),
            ("memory_internal_free", "KiB"),
            ("vif_0_rx", "B/s"),
            ("vbd_xvda_latency", "ms"),
            ("vbd_xvda_write_latency", "µs"),
            ("iops_read_0f3b21aa", "1/s"),
        ] {
            assert_eq!(DataSource::new(name).unit().to_string(), unit, "{name}");
        }
    }
}
