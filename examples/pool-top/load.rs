//! What hosts and VMs are using at the moment.

use std::collections::HashMap;

use xenapi::metrics::{Activity, Metrics, Series, SourceKind, Traffic};
use xenapi::{Cache, Vm};

const MEBIBYTE: f64 = (1 << 20) as f64;

/// What a host or VM is using. What nobody measures is `None`, and a column without any value is not shown.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Load {
    /// The share of its processors, from 0 to 1.
    pub(crate) cpu: Option<f64>,
    /// Bytes per second, in and out.
    pub(crate) network: Option<f64>,
    /// Bytes per second, read and written.
    pub(crate) disk: Option<f64>,
}

/// The loads of a pool, by the UUIDs of hosts and VMs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Loads(HashMap<String, Load>);

impl Loads {
    /// What the hosts measured last.
    pub(crate) fn measured(metrics: &Metrics) -> Self {
        let mut loads = HashMap::new();
        for of_one in metrics.series().chunk_by(|one, next| one.owner == next.owner) {
            if let Some(series) = of_one.first() {
                loads.insert(series.owner.uuid().to_owned(), load(of_one));
            }
        }
        Self(loads)
    }

    /// What the records tell: on old hosts what VMs' processors do, on newer ones, which leave zeros there, nothing.
    pub(crate) fn recorded(cache: &Cache) -> Self {
        let vms = cache.all::<Vm>().into_iter().filter_map(|(_, vm)| {
            let metrics = cache.get(vm.metrics)?;
            let each = &metrics.vcpus_utilisation;
            let mean = each.values().sum::<f64>() / each.len() as f64;
            let load = Load {
                cpu: (mean > 0.0).then_some(mean),
                ..Load::default()
            };
            Some((vm.uuid.clone(), load))
        });
        Self(vms.collect())
    }

    /// The load of a host or VM.
    pub(crate) fn of(&self, uuid: &str) -> Load {
        self.0.get(uuid).copied().unwrap_or_default()
    }
}

/// Adds up the series of one host or VM.
fn load(series: &[Series]) -> Load {
    let mut mean = None;
    let mut each = Vec::new();
    let (mut interfaces, mut total) = (None, None);
    let mut disk = None;
    for series in series {
        let Some(value) = series.latest().map(|point| point.value) else {
            continue;
        };
        match series.source.kind() {
            SourceKind::CpuAverage | SourceKind::CpuUsage => mean = Some(value),
            SourceKind::Cpu(_) => each.push(value),
            SourceKind::PifTotal(Traffic::Received | Traffic::Sent) => add(&mut total, value),
            SourceKind::Vif { traffic, .. } | SourceKind::Pif { traffic, .. }
                if matches!(traffic, Traffic::Received | Traffic::Sent) =>
            {
                add(&mut interfaces, value);
            }
            SourceKind::Vbd {
                activity: Activity::Read | Activity::Written,
                ..
            } => add(&mut disk, value),
            SourceKind::Storage {
                activity: Activity::ReadThroughput | Activity::WriteThroughput,
                ..
            } => add(&mut disk, value * MEBIBYTE),
            _ => {}
        }
    }
    Load {
        cpu: mean.or_else(|| (!each.is_empty()).then(|| each.iter().sum::<f64>() / each.len() as f64)),
        // Bonds and their members are counted twice in the sum of a host's interfaces.
        network: total.or(interfaces),
        disk,
    }
}

fn add(sum: &mut Option<f64>, value: f64) {
    *sum = Some(sum.unwrap_or(0.0) + value);
}
