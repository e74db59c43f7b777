//! The documents in which hosts of XenServer and XCP-ng tell how busy they and their VMs are, read from bytes.
//!
//! [`Updates`] is what `/rrd_updates` answers, [`Rrd`] what `/host_rrd`, `/vm_rrd` and `/sr_rrd` do, of all server
//! generations, in XML and JSON. The crate `xenapi` fetches them, and shows this one within `xenapi::metrics`.
//!
//! ```
//! use xenapi_metrics::{SourceKind, Updates};
//!
//! let document = br#"{"meta": {"start": 5, "step": 5, "end": 10, "rows": 2, "columns": 1,
//!     "legend": ["AVERAGE:vm:7f1c0a52:cpu0"]},
//!     "data": [{"t": 10, "values": ["0.25"]}, {"t": 5, "values": ["NaN"]}]}"#;
//! let updates = Updates::parse(document)?;
//! let series = &updates.series[0];
//! assert_eq!(series.source.kind(), SourceKind::Cpu(0));
//! assert_eq!(series.mean(), Some(0.25));
//! # Ok::<(), xenapi_metrics::MetricsError>(())
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

mod error;
mod number;
mod resolution;
mod rrd;
mod series;
mod source;
mod unit;
mod updates;
mod xml;

pub use self::error::MetricsError;
pub use self::resolution::Resolution;
pub use self::rrd::{Archive, Rrd, RrdSource, Sampling};
pub use self::series::{Consolidation, Owner, Point, Series};
pub use self::source::{Activity, DataSource, SourceKind, Traffic};
pub use self::unit::Unit;
pub use self::updates::Updates;
