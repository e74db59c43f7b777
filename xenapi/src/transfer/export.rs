//! `GET /export`: a VM as an XVA archive.

use std::future::IntoFuture;
use std::pin::Pin;
use std::time::Duration;

use super::Download;
use super::request::{Handler, SILENCE};
use crate::{Client, Ref, Result, Vm};

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
    client: Client,
    vm: Ref<Vm>,
    compression: Compression,
    preserve_power_state: bool,
    silence: Duration,
}

impl Vm {
    /// Streams the VM as an XVA archive: its configuration, then its disks block by block.
    ///
    /// The VM must be halted or suspended; of a running one, export a snapshot. Only blocks with data are sent, and
    /// the server does not say how long the archive will be.
    ///
    /// Least role: VM admin. Errors: `VM_BAD_POWER_STATE`, `OTHER_OPERATION_IN_PROGRESS`, HTTP 500 for a VM that does
    /// not exist.
    #[doc(alias = "/export")]
    pub fn export(&self) -> ExportCall {
        ExportCall {
            client: self.client().clone(),
            vm: self.reference(),
            compression: Compression::None,
            preserve_power_state: false,
            silence: SILENCE,
        }
    }
}

impl ExportCall {
    /// Has the server compress the archive.
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// Keeps a suspended VM suspended: its memory image is exported too.
    pub fn preserve_power_state(mut self) -> Self {
        self.preserve_power_state = true;
        self
    }

    /// How long the server may send nothing before the export is given up; five minutes by default. It sends a sign of
    /// life every few seconds also while it reads empty parts of a disk.
    pub fn silence_limit(mut self, limit: Duration) -> Self {
        self.silence = limit;
        self
    }

    fn handler(&self) -> Handler {
        let compression = match self.compression {
            Compression::None => None,
            Compression::Gzip => Some("gzip"),
            Compression::Zstd => Some("zstd"),
        };
        Handler::new("/export")
            .silence(self.silence)
            .query("ref", self.vm.to_wire())
            .query_if("use_compression", compression)
            .query_if("preserve_power_state", self.preserve_power_state.then_some("true"))
    }
}

impl IntoFuture for ExportCall {
    type Output = Result<Download>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<Download>> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.handler().download(&self.client, self.vm.to_wire()).await })
    }
}
