//! `PUT /import` and `/import_metadata`: VMs out of XVA archives.

use super::wraps::wraps_upload;
use crate::{Handler, Ref, Source, Sr, UploadCall, Vdi, Vm, Vms};

/// An import that is not yet begun; awaiting it answers with the VMs that it made.
#[derive(Debug)]
#[must_use = "an import begins only when it is awaited"]
pub struct ImportCall {
    call: UploadCall<Vec<Ref<Vm>>>,
}

wraps_upload!(ImportCall, Vec<Ref<Vm>>);

impl Vms {
    /// Makes VMs out of an XVA archive, plain or compressed with gzip or Zstandard, as an export streams it.
    ///
    /// Where the archive's length is not known, [`Source::marked_end`] does: an archive says itself where it ends. The
    /// server often resets the connection after a successful import, for it does not read the archive's padding; that
    /// is understood.
    ///
    /// ```no_run
    /// # async fn import(pool: xenapi::Client, file: tokio::io::Empty, length: u64) -> xenapi::Result<()> {
    /// use xenapi::Source;
    ///
    /// let vms = pool.vms().import_xva(Source::reader(file, length)).on_sent(|bytes| eprint!("\r{bytes}")).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// Least role: VM admin. Errors: `IMPORT_ERROR_…`, `SR_FULL`, `NO_HOSTS_AVAILABLE` for an SR that does not exist.
    #[doc(alias = "/import")]
    pub fn import_xva(&self, source: Source) -> ImportCall {
        ImportCall {
            call: UploadCall::new(self.client.connection(), "import", Handler::new("/import"), source),
        }
    }

    /// Makes VMs out of an archive that holds configurations and no disks; their disks must be there, or be named with
    /// [`map_vdi`](ImportMetadataCall::map_vdi).
    ///
    /// Least role: VM admin.
    #[doc(alias = "/import_metadata")]
    pub fn import_metadata(&self, source: Source) -> ImportMetadataCall {
        ImportMetadataCall {
            call: UploadCall::new(
                self.client.connection(),
                "import",
                Handler::new("/import_metadata"),
                source,
            ),
        }
    }
}

impl ImportCall {
    /// Puts the disks on this SR, in place of the pool's default.
    pub fn sr(self, sr: Ref<Sr>) -> Self {
        self.query("sr_id", sr.to_wire())
    }

    /// Keeps UUIDs and MAC addresses, as for a backup that is restored. Without it the VMs are new ones.
    pub fn restore(self) -> Self {
        self.query("restore", "true")
    }

    /// Goes on over wrong checksums, and keeps what was imported before a failure.
    pub fn force(self) -> Self {
        self.query("force", "true")
    }
}

/// An import of configurations that is not yet begun; awaiting it answers with the VMs that it made.
#[derive(Debug)]
#[must_use = "an import begins only when it is awaited"]
pub struct ImportMetadataCall {
    call: UploadCall<Vec<Ref<Vm>>>,
}

wraps_upload!(ImportMetadataCall, Vec<Ref<Vm>>);

impl ImportMetadataCall {
    /// Keeps UUIDs and MAC addresses, as for a backup that is restored.
    pub fn restore(self) -> Self {
        self.query("restore", "true")
    }

    /// Goes on over objects that cannot be found.
    pub fn force(self) -> Self {
        self.query("force", "true")
    }

    /// Only checks whether it would go well.
    pub fn dry_run(self) -> Self {
        self.query("dry_run", "true")
    }

    /// Takes this disk of the pool where the archive names that one, by reference or UUID.
    pub fn map_vdi(self, archived: &str, present: Ref<Vdi>) -> Self {
        self.query(format!("vdi:{archived}"), present.to_wire())
    }
}
