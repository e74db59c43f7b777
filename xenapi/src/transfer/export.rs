//! `GET /export` and `/export_metadata`: VMs as XVA archives.

use super::wraps::wraps_download;
use crate::{DownloadCall, Handler, Vm, Vms};

/// How the server packs an export. It does so with one slow process, so on a fast network none is often the fastest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Compression {
    /// The archive as it is.
    #[default]
    None,
    /// gzip, on all releases.
    Gzip,
    /// Zstandard, since xapi 1.135 (2018).
    Zstd,
}

/// An export that is not yet asked for; awaiting it answers with the stream as soon as the server has begun.
#[derive(Debug)]
#[must_use = "an export is asked for only when it is awaited"]
pub struct ExportCall {
    call: DownloadCall,
}

wraps_download!(ExportCall);

impl Vm {
    /// Streams the VM as an XVA archive: its configuration, then its disks block by block.
    ///
    /// The VM must be halted or suspended; of a running one, export a snapshot. Only blocks with data are sent, and
    /// the server does not say how long the archive will be. It sends a sign of life every few seconds also while it
    /// reads empty parts of a disk.
    ///
    /// Least role: VM admin. Errors: `VM_BAD_POWER_STATE`, `OTHER_OPERATION_IN_PROGRESS`, HTTP 500 for a VM that does
    /// not exist.
    #[doc(alias = "/export")]
    pub fn export(&self) -> ExportCall {
        let reference = self.reference().to_wire();
        let handler = Handler::new("/export").query("ref", &reference);
        ExportCall {
            call: DownloadCall::new(self.client().connection(), reference, handler),
        }
    }

    /// Streams the VM's configuration without its disks, as an archive of nothing but an `ova.xml`. The VM's power
    /// state does not matter, and the server says how long it is.
    ///
    /// Least role: VM admin.
    #[doc(alias = "/export_metadata")]
    pub fn export_metadata(&self) -> ExportMetadataCall {
        let reference = self.reference().to_wire();
        let handler = Handler::new("/export_metadata").query("ref", &reference);
        ExportMetadataCall {
            call: DownloadCall::new(self.client().connection(), reference, handler),
        }
    }
}

impl Vms {
    /// Streams the configuration of all VMs of the pool without their disks.
    ///
    /// Least role: VM admin.
    #[doc(alias = "/export_metadata")]
    pub fn export_metadata(&self) -> ExportMetadataCall {
        let handler = Handler::new("/export_metadata").query("all", "true");
        ExportMetadataCall {
            call: DownloadCall::new(self.client.connection(), "all VMs", handler),
        }
    }
}

impl ExportCall {
    /// Has the server compress the archive.
    pub fn compression(self, compression: Compression) -> Self {
        match compression {
            Compression::None => self,
            Compression::Gzip => self.query("use_compression", "gzip"),
            Compression::Zstd => self.query("use_compression", "zstd"),
        }
    }

    /// Keeps a suspended VM suspended: its memory image is exported too.
    pub fn preserve_power_state(self) -> Self {
        self.query("preserve_power_state", "true")
    }
}

/// An export of configurations that is not yet asked for; awaiting it answers with the stream.
#[derive(Debug)]
#[must_use = "an export is asked for only when it is awaited"]
pub struct ExportMetadataCall {
    call: DownloadCall,
}

wraps_download!(ExportMetadataCall);

impl ExportMetadataCall {
    /// Leaves the VMs' snapshots out.
    pub fn without_snapshots(self) -> Self {
        self.query("export_snapshots", "false")
    }

    /// Leaves the control domains out of an export of all VMs.
    pub fn without_control_domains(self) -> Self {
        self.query("include_dom0", "false")
    }

    /// Includes the hidden parents of disks that are stored as chains.
    pub fn with_vhd_parents(self) -> Self {
        self.query("include_vhd_parents", "true")
    }
}
