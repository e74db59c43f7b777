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
//! [`DataSource`] tells which data sources there are, and what they mean.
//!
//! # Without a connection
//! [`Updates`] and [`Rrd`] read the documents of `/rrd_updates` and of `/host_rrd`, `/vm_rrd` and `/sr_rrd` from bytes;
//! they are in a crate of their own, `xenapi-metrics`.

mod collected;
mod live;
mod of_one;
mod of_pool;

pub use self::collected::{HostFailure, Metrics};
pub use self::of_pool::MetricsCall;
#[doc(inline)]
pub use xenapi_metrics::{
    Activity, Archive, Consolidation, DataSource, MetricsError, Owner, Point, Resolution, Rrd, RrdSource, Sampling,
    Series, SourceKind, Traffic, Unit, Updates,
};

use bytes::Bytes;
use serde::de::Error as _;

use crate::{DecodeError, Error, Result, wire};

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
                Err(_) => {
                    return Err(Error::unanswered(
                        path,
                        "the runtime shut down before the answer was read",
                    ));
                }
            },
        }
    };
    parsed.map_err(|error| DecodeError::new(path, wire::DecodeError::custom(error)).into())
}
