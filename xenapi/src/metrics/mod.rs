//! Metrics: how busy hosts and VMs are and were.
//!
//! Each host samples itself and the VMs that run on it every five seconds, and keeps averages of five seconds for ten
//! minutes, of a minute for two hours, of an hour for a week, and of a day for a year ([`Resolution`]). No host knows
//! the whole pool: [`Client::metrics`](crate::Client::metrics) asks all of them at once.
//!
//! ```no_run
//! # async fn top(pool: xenapi::Client) -> xenapi::Result<()> {
//! use std::time::Duration;
//! use xenapi::metrics::SourceKind;
//!
//! let metrics = pool.metrics().all_vms().last(Duration::from_secs(60)).await?;
//! for vm in pool.vms().all_records().await?.values().filter(|vm| vm.is_real_vm()) {
//!     let cpus = metrics.vm(&vm.uuid).iter().filter(|series| matches!(series.source.kind(), SourceKind::Cpu(_)));
//!     let busy: f64 = cpus.filter_map(|series| series.latest()).map(|point| point.value).sum();
//!     println!("{}: {busy:.2} CPUs", vm.name_label);
//! }
//! for failure in metrics.failures() {
//!     eprintln!("{} said nothing: {}", failure.name, failure.error);
//! }
//! # Ok(()) }
//! ```
//!
//! # Data sources
//! What is measured is known by name; [`DataSource::kind`] takes the names apart and [`DataSource::unit`] says what the
//! values are counted in. Which of them there are depends on the release, the hardware and the guest.
//!
//! | Name | Of | Meaning | Unit |
//! |---|---|---|---|
//! | `cpu0`, `cpu1`, … | host, VM | how busy that (virtual) CPU was | fraction of 1 |
//! | `cpu_avg` | host | mean over its CPUs | fraction of 1 |
//! | `cpu_usage` | VM | mean over its virtual CPUs | fraction of 1 |
//! | `runstate_fullrun`, … | VM | part of the time in that state | fraction of 1 |
//! | `loadavg` | host | load average of the control domain | runnable processes |
//! | `hostload` | host | virtual CPUs that run or could, per CPU | fraction of 1 |
//! | `memory` | VM | what it has | bytes |
//! | `memory_target` | VM | what it is ballooned to | bytes |
//! | `memory_internal_free` | VM | what the guest has left | KiB |
//! | `memory_total_kib`, `memory_free_kib` | host | what it has, what is left | KiB |
//! | `vif_0_rx`, `vif_0_tx` | VM | network traffic of the interface at position 0 | bytes per second |
//! | `pif_eth0_rx`, `pif_aggr_rx`, … | host | network traffic of one interface, or of all | bytes per second |
//! | `…_rx_errors`, `…_tx_errors` | both | network errors | per second |
//! | `vbd_xvda_read`, `vbd_xvda_write` | VM | disk traffic | bytes per second |
//! | `vbd_xvda_read_latency`, `…_write_latency` | VM | mean time of a request | µs |
//! | `vbd_xvda_iops_total`, … | VM | disk requests | per second |
//! | `vbd_xvda_io_throughput_total`, … | VM | disk traffic | MiB per second |
//! | `iops_total_0f3b21aa`, … | host | the same of all its disks on that storage repository | |
//! | `size`, `physical_utilisation` | SR | room, and what of it is taken | bytes |
//!
//! The last value of a VM's memory says little while `memory_internal_free` is absent: only the guest knows what it
//! uses of what it has.
//!
//! # Without a connection
//! [`Updates`] and [`Rrd`] read the documents of `/rrd_updates` and of `/host_rrd`, `/vm_rrd` and `/sr_rrd` from bytes.

mod collected;
mod error;
mod live;
mod number;
mod of_one;
mod of_pool;
mod resolution;
mod rrd;
mod series;
mod source;
mod unit;
mod updates;
mod xml;

pub use self::collected::{HostFailure, Metrics};
pub use self::error::MetricsError;
pub use self::of_pool::MetricsCall;
pub use self::resolution::Resolution;
pub use self::rrd::{Archive, Rrd, RrdSource, Sampling};
pub use self::series::{Consolidation, Owner, Point, Series};
pub use self::source::{Activity, DataSource, SourceKind, Traffic};
pub use self::unit::Unit;
pub use self::updates::Updates;

use bytes::Bytes;
use serde::de::Error as _;

use crate::client::unanswered;
use crate::error::DecodeError;
use crate::{Error, Result, wire};

/// The most bytes that a document of metrics may have.
const MOST: usize = 256 << 20;

/// Documents above this are read away from the reactor.
const READ_IN_PLACE: usize = 1 << 20;

/// Reads an answer of `path`.
async fn read<T: Send + 'static>(
    path: &'static str,
    document: Bytes,
    parse: fn(&[u8]) -> Result<T, MetricsError>,
) -> Result<T> {
    let parsed = if document.len() < READ_IN_PLACE {
        parse(&document)
    } else {
        match tokio::task::spawn_blocking(move || parse(&document)).await {
            Ok(parsed) => parsed,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => return Err(unanswered(path, "the runtime shut down before the answer was read")),
            },
        }
    };
    parsed.map_err(|error| {
        Error::Decode(Box::new(DecodeError {
            method: path.into(),
            source: wire::DecodeError::custom(error),
        }))
    })
}
