//! A pool of XenServer or XCP-ng hosts in memory that answers as xapi does, errors and quirks included.
//!
//! It is for the tests of programs that talk to XenAPI, in whatever language: no hypervisor, no network, a new pool
//! for every test, and faults on demand. In Rust a test hands [`Simulator::transport`] to its client and everything
//! stays in the process; other programs connect to a [`Server`] or to the binary `xenapi-sim`, over HTTP or TLS, with
//! JSON-RPC 1.0 and 2.0 or XML-RPC.
//!
//! ```
//! use xenapi_sim::{Fault, Simulator};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let pool = Simulator::builder().hosts(3).vms(40).password("secret").build()?;
//! pool.fault(Fault::on("VM.start").object("db-01").times(1).error("SR_FULL", ["1024", "512"]));
//!
//! let server = pool.listen_tls("127.0.0.1:0").await?;
//! println!("{} has the certificate {:?}", server.url(), server.fingerprint_sha256());
//! # Ok(())
//! # }
//! ```
//!
//! # What it does
//! - Every class and message of the datamodel is known. What follows from the fields (getters, setters, records,
//!   lists, `get_all_records_where`, constructors) works for all classes; sessions, tasks, events, VMs, their disks,
//!   drives and interfaces, snapshots, SRs, networks, hosts, messages, blobs and secrets behave. Other messages answer
//!   with `NOT_IMPLEMENTED`.
//! - Handlers send and take real archives and disks: `/export` and `/import` of whole VMs, with and without their
//!   disks, `/export_raw_vdi` and `/import_raw_vdi` as raw bytes, VHD, differences and tar. Metrics, backups, logs,
//!   screens and blobs look as they do; handlers for hosts among themselves answer with 501.
//! - `CONNECT /console` of a pool that [listens](Simulator::listen_tls) leads to a small RFB server, where keys change
//!   the colour of the screen, and for serial lines to a prompt that repeats what is typed.
//! - Disks can be [read over NBD](Builder::nbd), with and without TLS, from what xapi-nbd is on each host: read-only, in
//!   whole sectors, with neither `NBD_OPT_GO` nor structured replies, for 16 clients at a time; each has a session, and
//!   the control domain has the disk for as long as the client stays.
//! - A pool lives: [restarts](Simulator::restart_toolstack) lose sessions, tasks and generations,
//!   [another host](Simulator::promote) takes over, [hosts die](Simulator::kill), [deletions](Simulator::remove_silently)
//!   go unnoticed.
//! - [`Simulator::save`] writes all that to a file of JSON that people can read and change, and [`Builder::load`] takes
//!   it back.
//! - Users other than the superuser may do what their [`Role`] allows.
//! - The [conformance] suite checks what every server does, here and against real hosts.
//! - A recording of a real xapi holds both to the same: the crate's tests replay it in both encodings.
//!
//! # What it is not
//! Nothing runs: a VM's power state changes, and that is all, and its metrics are curves without meaning. Allowed
//! operations are up to date at once, which xapi does not promise.

// Its tables alone have pages of more than a megabyte.
#![doc(html_no_source)]

mod behaviour;
mod builder;
mod certificate;
mod class_order;
mod clock;
mod config;
pub mod conformance;
mod counters;
pub mod datamodel;
mod db;
mod disk_image;
mod dispatch;
mod error;
mod events;
mod faults;
mod generic;
mod hidden;
mod http;
mod ids;
mod importer;
mod inventory;
mod inventory_file;
mod nbd;
mod outside;
mod ova;
mod qcow2;
mod query;
mod relations;
mod roles;
mod rrd;
mod sample_disks;
mod schema;
mod server;
mod sessions;
mod simulator;
mod spec;
mod state;
mod tables;
mod tasks;
mod toolstack;
mod transport;
mod vhd;
mod xva_stream;

pub use self::behaviour::nbd::NbdPurpose;
pub use self::builder::{BuildError, Builder};
pub use self::counters::Counters;
pub use self::disk_image::DiskImage;
pub use self::faults::{Fault, FaultError};
pub use self::inventory_file::InventoryError;
pub use self::roles::{Role, RoleError};
pub use self::server::Server;
pub use self::simulator::{Refused, Simulator};
pub use self::spec::VmSpec;
pub use self::transport::SimTransport;
