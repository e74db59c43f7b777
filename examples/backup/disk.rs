//! A disk, or what has changed of it, on its way into a backup.

use anyhow::Context as _;
use bytes::Bytes;
use futures_util::StreamExt as _;
use sha2::{Digest as _, Sha256};
use xenapi::vdi::VdiType;
use xenapi::{DiskFormat, Error, ErrorCode, Ref, Vdi, VdiRecord};
use xenapi_examples::{Meter, Pool, Printable, Total, note};

use crate::manifest::{Disk, Manifest, hex};
use crate::place::Upload;
use crate::store::Store;
use crate::tracked::Tracked;

/// Where a disk comes from and where it goes.
pub(crate) struct Source<'a> {
    pub(crate) pool: &'a Pool,
    pub(crate) store: &'a Store,
    /// The UUID of the VM.
    pub(crate) vm: &'a str,
    /// The backup that it goes into, and the one before.
    pub(crate) id: &'a str,
    pub(crate) last: Option<&'a Manifest>,
    /// The disk of the snapshot.
    pub(crate) snapshot: Ref<Vdi>,
    pub(crate) record: &'a VdiRecord,
    /// The UUID of the disk that it is a snapshot of.
    pub(crate) original: &'a str,
    pub(crate) file: &'a str,
}

/// A disk in the backup before, and what the pool has of it.
pub(crate) struct Base<'a> {
    pub(crate) id: &'a str,
    pub(crate) disk: &'a Disk,
    pub(crate) vdi: Ref<Vdi>,
    pub(crate) record: VdiRecord,
}

/// What was written.
pub(crate) struct Written {
    /// The backup that it is a difference to.
    pub(crate) base: Option<String>,
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
    /// Whether it came as the blocks that the pool has tracked.
    pub(crate) is_tracked: bool,
}

impl Source<'_> {
    /// Writes the disk, or its difference, the way that works.
    pub(crate) async fn write(&self) -> anyhow::Result<Written> {
        let Some(base) = self.base().await? else {
            return self.by_export(None).await;
        };
        match self.by_blocks(&base).await {
            Ok(Some(written)) => return Ok(written),
            Ok(None) => {}
            Err(error) => {
                note(format!(
                    "{}: tracked blocks do not come: {error:#}",
                    Printable(&self.record.name_label)
                ));
                // What there is of the file makes way for the next try.
                self.store.settle().await;
            }
        }
        if base.record.kind == VdiType::CbtMetadata {
            note(format!(
                "{}: all of it comes, as the pool has kept only which blocks change",
                Printable(&self.record.name_label)
            ));
            return self.by_export(None).await;
        }
        self.by_export(Some(&base)).await
    }

    async fn base(&self) -> anyhow::Result<Option<Base<'_>>> {
        let Some(last) = self.last else { return Ok(None) };
        let Some(disk) = last.disks.iter().find(|disk| disk.vdi == self.original) else {
            return Ok(None);
        };
        let Some((vdi, record)) = found(self.pool, &disk.snapshot).await? else {
            return Ok(None);
        };
        Ok(Some(Base {
            id: &last.id,
            disk,
            vdi,
            record,
        }))
    }

    /// None where the pool does not track the disk, or does not offer it.
    async fn by_blocks(&self, base: &Base<'_>) -> anyhow::Result<Option<Written>> {
        if !base.record.cbt_enabled || !self.record.cbt_enabled {
            return Ok(None);
        }
        let offers = self.pool.vdi(self.snapshot).nbd_info().await?;
        if offers.is_empty() {
            return Ok(None);
        }
        let tracked = Tracked::open(self, base).await?;
        let mut sink = self.sink().await?;
        tracked.write(&mut sink).await?;
        let (bytes, sha256) = sink.finish().await?;
        Ok(Some(Written {
            base: Some(base.id.to_owned()),
            bytes,
            sha256,
            is_tracked: true,
        }))
    }

    async fn by_export(&self, base: Option<&Base<'_>>) -> anyhow::Result<Written> {
        let mut sink = self.sink().await?;
        let export = self.pool.vdi(self.snapshot).export_raw(DiskFormat::Vhd);
        let mut download = match base {
            Some(base) => export.base(base.vdi).await,
            None => export.await,
        }
        .context("the disk cannot be exported")?;
        while let Some(piece) = download.next().await {
            sink.put(piece.context("the export broke off")?).await?;
        }
        let (bytes, sha256) = sink.finish().await?;
        Ok(Written {
            base: base.map(|base| base.id.to_owned()),
            bytes,
            sha256,
            is_tracked: false,
        })
    }

    async fn sink(&self) -> anyhow::Result<Sink> {
        let upload = self.store.create(self.vm, self.id, self.file, self.size()?).await?;
        Ok(Sink {
            upload,
            hasher: Sha256::new(),
            length: 0,
            meter: Meter::new(Total::Unknown),
        })
    }

    pub(crate) fn size(&self) -> anyhow::Result<u64> {
        u64::try_from(self.record.virtual_size).context("the disk has no size")
    }
}

/// A disk's file that is being written, with its length and its checksum.
pub(crate) struct Sink {
    upload: Upload,
    hasher: Sha256,
    length: u64,
    meter: Meter,
}

impl Sink {
    pub(crate) async fn put(&mut self, piece: Bytes) -> anyhow::Result<()> {
        self.hasher.update(&piece);
        self.length += piece.len() as u64;
        self.upload.write(piece).await?;
        self.meter.set(self.length);
        Ok(())
    }

    async fn finish(self) -> anyhow::Result<(u64, String)> {
        self.upload.finish().await?;
        Ok((self.length, hex(&self.hasher.finalize())))
    }
}

/// The disk of a UUID, if the pool still has it.
async fn found(pool: &Pool, uuid: &str) -> anyhow::Result<Option<(Ref<Vdi>, VdiRecord)>> {
    let found = async {
        let vdi = pool.vdis().by_uuid(uuid).await?;
        Ok::<_, Error>((vdi, pool.vdi(vdi).record().await?))
    };
    match found.await {
        Err(error) if matches!(error.code(), Some(ErrorCode::UuidInvalid | ErrorCode::HandleInvalid)) => Ok(None),
        found => Ok(Some(found?)),
    }
}
