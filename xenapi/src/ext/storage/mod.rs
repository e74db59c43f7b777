//! Where storage repositories are: what their drivers want to know, and what is there.
//!
//! An SR is reached through the `device_config` of its PBDs, whose keys depend on the driver ([`SrRecord::kind`]).
//! [`Driver`] knows the keys of the drivers that come with XenServer and XCP-ng and checks a map before a host is
//! asked; [`Srs::discover`] asks a host for what the next key can be.
//!
//! ```no_run
//! use xenapi::storage::{Discovery, Driver};
//! use xenapi::{Client, Host, Map, Ref};
//!
//! # async fn example(pool: Client, host: Ref<Host>) -> Result<(), Box<dyn std::error::Error>> {
//! let mut place = Map::from_iter([("server".to_owned(), "10.0.0.9".to_owned())]);
//! if let Discovery::Exports(exports) = pool.srs().discover(host, "nfs", &place).await? {
//!     place.insert("serverpath".to_owned(), exports[0].path.clone());
//! }
//! Driver::of("nfs").expect("one of those known here").check(&place)?;
//! pool.srs().create(host, &place, 0, "Lab", "", "nfs", "user", true).await?;
//! # Ok(()) }
//! ```
//!
//! [`SrRecord::kind`]: crate::SrRecord::kind
//! [`Srs::discover`]: crate::Srs::discover

mod discovery;
mod driver;
mod drivers;

pub use self::discovery::{Discovery, FoundSr, IscsiTarget, Lun, NfsExport};
pub use self::driver::{Content, DeviceConfigError, Driver, Key};
