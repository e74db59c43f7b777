//! `/export_raw_vdi` and `/import_raw_vdi`: the content of one disk.

use std::future::IntoFuture;
use std::pin::Pin;
use std::time::Duration;

use super::wraps::wraps_download;
use crate::{DownloadCall, Error, Handler, Ref, Result, Source, UploadCall, Vdi};

/// How a disk travels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DiskFormat {
    /// Every byte of the disk, empty ones too.
    #[default]
    Raw,
    /// A dynamic VHD, which leaves empty blocks out; against a [`base`](ExportRawCall::base), a differencing one. Not
    /// for disks above 2,040 GiB.
    Vhd,
    /// The numbered blocks of an XVA archive, without its `ova.xml`.
    Tar,
    /// qcow2, since xapi 24.
    Qcow2,
}

impl DiskFormat {
    fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Vhd => "vhd",
            Self::Tar => "tar",
            Self::Qcow2 => "qcow2",
        }
    }
}

/// An export of a disk that is not yet asked for; awaiting it answers with the stream.
#[derive(Debug)]
#[must_use = "an export is asked for only when it is awaited"]
pub struct ExportRawCall {
    call: DownloadCall,
}

wraps_download!(ExportRawCall);

impl Vdi {
    /// Streams the content of the disk. It must not be attached for writing; of a disk in use, export a snapshot.
    ///
    /// The server never says how long the stream will be. Least role: VM admin.
    #[doc(alias = "/export_raw_vdi")]
    pub fn export_raw(&self, format: DiskFormat) -> ExportRawCall {
        let reference = self.reference().to_wire();
        let handler = Handler::new("/export_raw_vdi")
            .query("vdi", &reference)
            .query("format", format.name());
        ExportRawCall {
            call: DownloadCall::new(self.client().connection(), reference, handler),
        }
    }

    /// Writes to the disk: a [`Source::sparse`] only what it holds, any other from the first byte on. The disk must not
    /// be attached.
    ///
    /// A raw source must not be longer than the disk (`VDI_IO_ERROR`, late); what a shorter one does not reach stays as
    /// it was. Least role: VM admin.
    #[doc(alias = "/import_raw_vdi")]
    pub fn import_raw(&self, format: DiskFormat, source: Source) -> ImportRawCall {
        let reference = self.reference().to_wire();
        let handler = Handler::new("/import_raw_vdi")
            .query("vdi", &reference)
            .query("format", format.name());
        let is_sparse = source.is_sparse();
        let call = UploadCall::new(self.client().connection(), reference, handler, source);
        ImportRawCall {
            is_sendable: !is_sparse || format == DiskFormat::Raw,
            call: if is_sparse { call.query("chunked", "true") } else { call },
        }
    }
}

impl ExportRawCall {
    /// Only what differs from this disk, which must be an ancestor or an earlier snapshot of the same one on the same
    /// SR. For [`Vhd`](DiskFormat::Vhd) and [`Qcow2`](DiskFormat::Qcow2).
    ///
    /// The VHD that comes names no usable parent: keep note of what it is a difference to.
    pub fn base(self, base: Ref<Vdi>) -> Self {
        self.query("base", base.to_wire())
    }
}

/// An import of a disk's content that is not yet begun; awaiting it ends when the server has written everything.
#[derive(Debug)]
#[must_use = "an import begins only when it is awaited"]
pub struct ImportRawCall {
    call: UploadCall<Ref<Vdi>>,
    is_sendable: bool,
}

impl ImportRawCall {
    /// Called about four times a second with the number of bytes that have gone out.
    pub fn on_sent(mut self, report: impl FnMut(u64) + Send + 'static) -> Self {
        self.call = self.call.on_sent(report);
        self
    }

    /// How long the server may take nothing, or work on after the last byte, before the transfer is given up; five
    /// minutes by default.
    pub fn silence_limit(mut self, limit: Duration) -> Self {
        self.call = self.call.silence_limit(limit);
        self
    }
}

impl ImportRawCall {
    async fn send(self) -> Result<()> {
        if !self.is_sendable {
            return Err(Error::Unsendable {
                method: "/import_raw_vdi".into(),
                reason: "a sparse source has the format Raw".into(),
            });
        }
        self.call.await.map(drop)
    }
}

impl IntoFuture for ImportRawCall {
    type Output = Result<()>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}
