//! What can be changed.

use std::fs::File;
use std::path::PathBuf;

use anyhow::Context;
use clap::Subcommand;
use vhd_mbr::patch::{Undo, WritePlan};
use vhd_mbr::xen_disk::ReadAt;

use crate::files::Where;
use crate::{boot, files, registry};

#[derive(Clone, Subcommand)]
pub(crate) enum Change {
    /// Put other content into a file, without growing it
    Put(files::Put),
    /// Give a value of the Windows registry other data
    RegSet(registry::RegSet),
    /// Leave off a driver or service of Windows from its next start on, or start it otherwise
    DriverOff(registry::DriverOff),
    /// Let a kernel debugger into Windows over a serial port
    BcdDebug(boot::BcdDebug),
    /// Have Linux talk on a serial port from its next start on
    GrubSerial(boot::GrubSerial),
    /// Take a change back
    Undo {
        /// What `--undo` has kept
        #[arg(value_name = "FILE")]
        kept: PathBuf,
    },
}

impl Change {
    pub(crate) fn is_undo(&self) -> bool {
        matches!(self, Self::Undo { .. })
    }

    /// What is to be written to the disk.
    pub(crate) fn plan(&self, disk: &dyn ReadAt, which: &Where) -> anyhow::Result<WritePlan> {
        match self {
            Self::Put(put) => put.plan(disk, which),
            Self::RegSet(set) => set.plan(disk, which),
            Self::DriverOff(off) => off.plan(disk, which),
            Self::BcdDebug(debug) => debug.plan(disk, which),
            Self::GrubSerial(serial) => serial.plan(disk, which),
            Self::Undo { kept } => {
                let file = File::open(kept).with_context(|| format!("cannot open {}", kept.display()))?;
                Ok(Undo::read(file)?.plan_for(disk)?)
            }
        }
    }
}
