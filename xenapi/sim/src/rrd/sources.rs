//! What is measured.

use std::f64::consts::TAU;

use twox_hash::XxHash64;

use crate::state::State;

/// What a metric is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    Host,
    Vm,
    Sr,
}

impl Owner {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Vm => "vm",
            Self::Sr => "sr",
        }
    }
}

/// One metric of one object.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) owner: Owner,
    pub(crate) uuid: String,
    pub(crate) name: String,
    /// `GAUGE` or `DERIVE`.
    pub(crate) kind: &'static str,
    pub(crate) max: f64,
    /// What the curve swings around.
    middle: f64,
    /// From when on there are values, in seconds since 1970.
    since: i64,
}

impl Source {
    /// What was measured at a time.
    pub(crate) fn at(&self, time: i64) -> f64 {
        if time < self.since {
            return f64::NAN;
        }
        let seed = XxHash64::oneshot(0, format!("{}/{}", self.uuid, self.name).as_bytes());
        let phase = (seed % 1000) as f64 / 1000.0;
        let period = 300.0 + (seed / 1000 % 3600) as f64;
        let wave = (TAU * (time.rem_euclid(86_400 * 365) as f64 / period + phase)).sin();
        let value = self.middle * (1.0 + 0.4 * wave);
        if self.middle >= 1000.0 { value.round() } else { value }
    }

    /// How it stands in a legend, behind the name of a function.
    pub(crate) fn legend(&self) -> String {
        format!("{}:{}:{}", self.owner.name(), self.uuid, self.name)
    }
}

/// The metrics of one object while they are listed.
struct List {
    owner: Owner,
    uuid: String,
    since: i64,
    sources: Vec<Source>,
}

impl List {
    fn new(state: &State, owner: Owner, uuid: String) -> Self {
        const DAY: i64 = 86_400;
        let host = state.coordinator();
        let started = state.db.entry("host", &host, "other_config", "boot_time");
        let started: i64 = started
            .and_then(|text| text.trim_end_matches('.').parse().ok())
            .unwrap_or_default();
        Self {
            owner,
            uuid,
            since: started - DAY,
            sources: Vec::new(),
        }
    }

    fn add(&mut self, name: impl Into<String>, kind: &'static str, middle: f64, max: f64) {
        self.sources.push(Source {
            owner: self.owner,
            uuid: self.uuid.clone(),
            name: name.into(),
            kind,
            max,
            middle,
            since: self.since,
        });
    }

    fn share(&mut self, name: impl Into<String>) {
        self.add(name, "GAUGE", 0.3, 1.0);
    }

    fn amount(&mut self, name: impl Into<String>, middle: f64) {
        self.add(name, "GAUGE", middle, f64::INFINITY);
    }

    fn rate(&mut self, name: impl Into<String>, middle: f64) {
        self.add(name, "DERIVE", middle, f64::INFINITY);
    }

    fn sorted(mut self) -> Vec<Source> {
        self.sources.sort_by(|one, two| one.name.cmp(&two.name));
        self.sources
    }
}

/// The metrics of a host, by the order of their names.
pub(crate) fn of_host(state: &State, host: &str) -> Vec<Source> {
    let mut list = List::new(state, Owner::Host, state.uuid("host", host));
    list.share("cpu_avg");
    for cpu in 0..state.db.list("host", host, "host_CPUs").len() {
        list.share(format!("cpu{cpu}"));
    }
    let metrics = state.db.text("host", host, "metrics");
    let kib = |field: &str| state.db.int("host_metrics", &metrics, field) as f64 / 1024.0;
    list.amount("memory_total_kib", kib("memory_total"));
    list.amount("memory_free_kib", kib("memory_free"));
    list.amount("pool_session_count", 6.0);
    list.amount("pool_task_count", 3.0);
    for pif in state.db.list("host", host, "PIFs") {
        let device = state.db.text("PIF", &pif, "device");
        list.rate(format!("pif_{device}_rx"), 200_000.0);
        list.rate(format!("pif_{device}_tx"), 100_000.0);
    }
    list.sorted()
}

/// The metrics of a VM.
pub(crate) fn of_vm(state: &State, vm: &str) -> Vec<Source> {
    let mut list = List::new(state, Owner::Vm, state.uuid("VM", vm));
    for cpu in 0..state.db.int("VM", vm, "VCPUs_at_startup") {
        list.share(format!("cpu{cpu}"));
    }
    let memory = state.db.int("VM", vm, "memory_dynamic_max") as f64;
    list.amount("memory", memory);
    list.amount("memory_internal_free", memory / 2048.0);
    for vbd in state.db.list("VM", vm, "VBDs") {
        if state.db.flag("VBD", &vbd, "currently_attached") && !state.db.is("VBD", &vbd, "type", "CD") {
            let device = state.db.text("VBD", &vbd, "device");
            list.rate(format!("vbd_{device}_read"), 50_000.0);
            list.rate(format!("vbd_{device}_write"), 80_000.0);
        }
    }
    for vif in state.db.list("VM", vm, "VIFs") {
        let device = state.db.text("VIF", &vif, "device");
        list.rate(format!("vif_{device}_rx"), 20_000.0);
        list.rate(format!("vif_{device}_tx"), 10_000.0);
    }
    list.sorted()
}

/// The metrics of an SR.
pub(crate) fn of_sr(state: &State, sr: &str) -> Vec<Source> {
    let mut list = List::new(state, Owner::Sr, state.uuid("SR", sr));
    for field in ["physical_utilisation", "physical_size"] {
        let name = field.replace("physical_size", "size");
        list.amount(name, state.db.int("SR", sr, field) as f64);
    }
    list.sorted()
}
