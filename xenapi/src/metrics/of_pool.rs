//! `GET /rrd_updates` of all hosts.

use std::collections::HashSet;
use std::future::IntoFuture;
use std::pin::Pin;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{Consolidation, HostFailure, MOST, Metrics, Owner, Resolution, Series, Updates, read};
use crate::{Client, Handler, Host, HostRecord, Ref, Result, bulk};

const PATH: &str = "/rrd_updates";

/// A question for metrics that is not yet asked; awaiting it asks all hosts.
///
/// Without more it is about all VMs and hosts in the last ten minutes, every five seconds. As soon as one of
/// [`hosts`](MetricsCall::hosts), [`all_vms`](MetricsCall::all_vms), [`vms`](MetricsCall::vms) and
/// [`srs`](MetricsCall::srs) is called, it is about what they name and nothing else.
#[derive(Clone, Debug)]
#[must_use = "the hosts are asked only when it is awaited"]
pub struct MetricsCall {
    client: Client,
    since: Since,
    resolution: Option<Resolution>,
    consolidations: Vec<Consolidation>,
    hosts: bool,
    all_vms: bool,
    vms: HashSet<String>,
    srs: HashSet<String>,
    concurrency: usize,
}

#[derive(Clone, Copy, Debug)]
enum Since {
    /// So long before the last sample, by the clock of each host.
    Past(Duration),
    /// Seconds since 1970.
    Time(i64),
}

impl Client {
    /// Asks all hosts what they measured: of themselves, of VMs, of storage repositories.
    ///
    /// Hosts that are down are not asked. A host that fails is named in [`Metrics::failures`] and spoils nothing for the
    /// others; only where no host answers at all does the whole fail.
    ///
    /// Least role: read-only.
    #[doc(alias = "/rrd_updates")]
    pub fn metrics(&self) -> MetricsCall {
        MetricsCall {
            client: self.clone(),
            since: Since::Past(Resolution::FiveSeconds.span()),
            resolution: None,
            consolidations: Vec::new(),
            hosts: false,
            all_vms: false,
            vms: HashSet::new(),
            srs: HashSet::new(),
            concurrency: 8,
        }
    }
}

impl MetricsCall {
    /// From this long ago until now, by the hosts' own clocks; ten minutes unless told.
    pub fn last(mut self, past: Duration) -> Self {
        self.since = Since::Past(past);
        self
    }

    /// From this time on, in seconds since 1970. To go on where an answer ended, give the time of the newest point and
    /// pass over what is as old.
    pub fn since(mut self, time: i64) -> Self {
        self.since = Since::Time(time);
        self
    }

    /// How far apart the points are; without it, the finest resolution that reaches back far enough.
    pub fn interval(mut self, resolution: Resolution) -> Self {
        self.resolution = Some(resolution);
        self
    }

    /// Asks for averages, which is so unless another is asked for.
    pub fn average(self) -> Self {
        self.consolidation(Consolidation::Average)
    }

    /// Asks for minima; there are none for every five seconds.
    pub fn minimum(self) -> Self {
        self.consolidation(Consolidation::Minimum)
    }

    /// Asks for maxima; there are none for every five seconds.
    pub fn maximum(self) -> Self {
        self.consolidation(Consolidation::Maximum)
    }

    fn consolidation(mut self, wanted: Consolidation) -> Self {
        if !self.consolidations.contains(&wanted) {
            self.consolidations.push(wanted);
        }
        self
    }

    /// Asks for what the hosts measure of themselves.
    pub fn hosts(mut self) -> Self {
        self.hosts = true;
        self
    }

    /// Asks for all VMs that run, control domains among them.
    pub fn all_vms(mut self) -> Self {
        self.all_vms = true;
        self
    }

    /// Asks for the VMs with these UUIDs, as far as they run.
    pub fn vms(mut self, uuids: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.vms.extend(uuids.into_iter().map(Into::into));
        self
    }

    /// Asks for the storage repositories with these UUIDs. Hosts answer for one at a time, so ask for few.
    pub fn srs(mut self, uuids: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.srs.extend(uuids.into_iter().map(Into::into));
        self
    }

    /// How many hosts are asked at once; 8 unless told.
    pub fn concurrency(mut self, hosts: usize) -> Self {
        self.concurrency = hosts;
        self
    }

    async fn ask(mut self) -> Result<Metrics> {
        if !self.hosts && !self.all_vms && self.vms.is_empty() && self.srs.is_empty() {
            (self.hosts, self.all_vms) = (true, true);
        }
        if self.consolidations.is_empty() {
            self.consolidations.push(Consolidation::Average);
        }
        let hosts = self.live_hosts().await?;
        let questions = hosts.iter().map(|&(host, _)| {
            let call = self.clone();
            async move { call.ask_host(host).await }
        });
        let answers = bulk(questions).concurrency(self.concurrency).run().await;
        let asked = hosts.len();
        let (mut series, mut failures) = (Vec::new(), Vec::new());
        for ((host, name), answer) in hosts.into_iter().zip(answers) {
            match answer {
                Ok(known) => series.extend(known),
                Err(error) => failures.push(HostFailure { host, name, error }),
            }
        }
        if !failures.is_empty() && failures.len() == asked {
            return Err(failures.swap_remove(0).error);
        }
        Ok(Metrics::new(series, failures))
    }

    async fn live_hosts(&self) -> Result<Vec<(Ref<Host>, String)>> {
        let hosts = self.client.hosts().all_records().await?;
        let metrics = self.client.all_host_metrics().all_records().await?;
        let is_live = |host: &HostRecord| metrics.get(&host.metrics).is_none_or(|metrics| metrics.live);
        let live = hosts.into_iter().filter(|(_, record)| is_live(record));
        Ok(live.map(|(host, record)| (host, record.name_label)).collect())
    }

    async fn ask_host(self, host: Ref<Host>) -> Result<Vec<Series>> {
        let mut known = Vec::new();
        for (vms, sr) in self.questions() {
            let handler = self.handler(host, vms, sr);
            let updates = read(
                PATH,
                handler.fetch(self.client.connection(), MOST).await?,
                Updates::parse,
            )
            .await?;
            known.extend(updates.series.into_iter().filter(|series| self.wants(series)));
        }
        Ok(known)
    }

    /// What to send as `vm_uuid` and `sr_uuid`, request by request. Most releases understand one UUID at a time, so
    /// several VMs are picked from all of them, and several SRs take as many requests.
    fn questions(&self) -> Vec<(Option<&str>, Option<&str>)> {
        const NONE: Option<&str> = Some("none");
        let vms = match (self.all_vms, self.vms.len()) {
            (false, 0) => NONE,
            (false, 1) => self.vms.iter().next().map(String::as_str),
            _ => None,
        };
        let mut srs = self.srs.iter().map(String::as_str);
        let first = (vms, srs.next());
        std::iter::once(first).chain(srs.map(|sr| (NONE, Some(sr)))).collect()
    }

    fn handler(&self, host: Ref<Host>, vms: Option<&str>, sr: Option<&str>) -> Handler {
        let (start, past) = match self.since {
            Since::Past(past) => {
                let seconds = past.as_secs().saturating_add(u64::from(past.subsec_nanos() > 0));
                (-i64::try_from(seconds.max(1)).unwrap_or(i64::MAX), past)
            }
            Since::Time(time) => (time.max(0), since(time)),
        };
        let resolution = self.resolution.unwrap_or_else(|| Resolution::reaching(past));
        // A host that has nothing of what is asked for answers with an error, so it is always asked for itself too.
        let mut handler = Handler::new(PATH)
            .at(host)
            .query("start", start.to_string())
            .query("interval", resolution.seconds().to_string())
            .query("host", "true")
            .query("json", "true");
        if let [only] = self.consolidations[..] {
            handler = handler.query("cf", only.as_str());
        }
        if let Some(vms) = vms {
            handler = handler.query("vm_uuid", vms);
        }
        if let Some(sr) = sr {
            handler = handler.query("sr_uuid", sr);
        }
        handler
    }

    fn wants(&self, series: &Series) -> bool {
        let is_of_interest = match &series.owner {
            Owner::Host(_) => self.hosts,
            Owner::Vm(uuid) => self.all_vms || self.vms.contains(uuid),
            Owner::Sr(uuid) => self.srs.contains(uuid),
            _ => self.all_vms && self.hosts,
        };
        is_of_interest && self.consolidations.contains(&series.consolidation)
    }
}

/// How long ago a time was.
fn since(time: i64) -> Duration {
    let time = UNIX_EPOCH + Duration::from_secs(u64::try_from(time).unwrap_or_default().min(1 << 40));
    SystemTime::now().duration_since(time).unwrap_or_default()
}

impl IntoFuture for MetricsCall {
    type Output = Result<Metrics>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<Metrics>> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.ask())
    }
}
