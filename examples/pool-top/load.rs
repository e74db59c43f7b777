//! What hosts and VMs are using at the moment.

use std::collections::HashMap;

use xenapi::{Cache, Host, Ref, Vm};

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

/// The loads of a pool: here measurements come in.
#[derive(Debug, Default)]
pub(crate) struct Loads {
    pub(crate) hosts: HashMap<Ref<Host>, Load>,
    pub(crate) vms: HashMap<Ref<Vm>, Load>,
}

impl Loads {
    /// What the records tell: on old hosts what VMs' processors do, on newer ones, which leave zeros there, nothing.
    pub(crate) fn recorded(cache: &Cache) -> Self {
        let vms = cache.all::<Vm>().into_iter().filter_map(|(vm, record)| {
            let metrics = cache.get(record.metrics)?;
            let each = &metrics.vcpus_utilisation;
            let mean = each.values().sum::<f64>() / each.len() as f64;
            let load = Load {
                cpu: (mean > 0.0).then_some(mean),
                ..Load::default()
            };
            Some((vm, load))
        });
        Self {
            vms: vms.collect(),
            hosts: HashMap::new(),
        }
    }
}
