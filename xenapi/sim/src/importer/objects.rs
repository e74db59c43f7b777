//! What a client wants of an import, and what an import has made.

use std::collections::HashMap;

use xenapi::Value;

use super::making::Making;
use crate::behaviour::{vdi, vm};
use crate::error::{ApiError, Result};
use crate::state::State;

/// What a client wants of an import.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    /// Where the disks go.
    pub(crate) sr: String,
    /// The VMs are what they were, with the same addresses.
    pub(crate) restore: bool,
    /// Damaged blocks and missing disks are put up with.
    pub(crate) force: bool,
    /// No disks follow: those in the pool are used.
    pub(crate) metadata: bool,
    /// Nothing is made.
    pub(crate) dry_run: bool,
    /// Disks to use in place of others, by UUID or reference.
    pub(crate) disks: HashMap<String, String>,
}

/// A disk whose content follows in the archive.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    pub(crate) folder: String,
    pub(crate) vdi: String,
    /// In bytes, as the description has it.
    pub(crate) size: u64,
}

/// What an import has made.
#[derive(Debug, Default)]
pub(crate) struct Created {
    pub(crate) vms: Vec<String>,
    /// In the order in which the archive has them: by the text of their folders.
    pub(crate) disks: Vec<Disk>,
    pub(super) networks: Vec<String>,
}

impl Created {
    /// Makes the objects of a description.
    pub(crate) fn make(state: &mut State, description: &Value, options: &Options, task: &str) -> Result<Self> {
        check_version(state, description)?;
        let (made, created) = Making::new(description, options, task).run(state);
        match made {
            Ok(()) if options.dry_run => {
                created.undo(state);
                Ok(Self::default())
            }
            Ok(()) => Ok(created),
            Err(error) => {
                created.undo(state);
                Err(error)
            }
        }
    }

    /// The sum of the disks' sizes in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.disks.iter().map(|disk| disk.size).fold(0, u64::saturating_add)
    }

    /// Notes that everything is there.
    pub(crate) fn finish(&self, state: &mut State, task: &str) {
        for disk in &self.disks {
            vdi::count(state, &disk.vdi);
        }
        for vm in &self.vms {
            state.db.remove_entry("VM", vm, "current_operations", task);
            vm::refresh(state, vm);
        }
    }

    /// Takes everything away again.
    pub(crate) fn undo(&self, state: &mut State) {
        for vm in &self.vms {
            vm::remove(state, vm);
        }
        for disk in &self.disks {
            vdi::remove(state, &disk.vdi);
        }
        for network in &self.networks {
            state.db.remove("network", network);
        }
    }
}

/// Complains about archives of newer servers.
fn check_version(state: &State, description: &Value) -> Result<()> {
    let version = description.get("version");
    let number = |name: &str| -> Option<i64> {
        let value = version?.get(name)?;
        value.as_int().or_else(|| value.as_str()?.trim().parse().ok())
    };
    let host = state.coordinator();
    let ours = state
        .db
        .entry("host", &host, "software_version", "xapi")
        .unwrap_or_default();
    let (major, minor) = ours.split_once('.').unwrap_or_default();
    let ours = (major.parse().unwrap_or(i64::MAX), minor.parse().unwrap_or(i64::MAX));
    let theirs = (
        number("xapi_major").unwrap_or_default(),
        number("xapi_minor").unwrap_or_default(),
    );
    if theirs > ours {
        return Err(ApiError::new("IMPORT_INCOMPATIBLE_VERSION", []));
    }
    Ok(())
}
