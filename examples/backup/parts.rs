//! A big object on its way into a bucket.

use std::sync::Arc;

use anyhow::Context as _;
use bytes::{Bytes, BytesMut};
use object_store::{MultipartUpload, ObjectStore as _};
use tokio::task::JoinSet;
use xenapi_examples::note;

use crate::bucket::Bucket;

/// The least length of a part, the most parts that S3 takes of an object, and how much of all of them may be in memory.
const PART: u64 = 8 << 20;
const PARTS: u64 = 9_000;
const IN_MEMORY: u64 = 32 << 20;

/// An object that is sent in parts, of the same length as some stores want them. One that is not finished is taken back.
pub(crate) struct NewObject {
    bucket: Arc<Bucket>,
    key: String,
    upload: Option<Box<dyn MultipartUpload>>,
    held: BytesMut,
    part: usize,
    at_once: usize,
    sending: JoinSet<object_store::Result<()>>,
}

impl NewObject {
    pub(crate) async fn begin(bucket: &Arc<Bucket>, key: &str, at_most: u64) -> anyhow::Result<Self> {
        let upload = bucket
            .store
            .put_multipart_opts(&bucket.path(key), Default::default())
            .await;
        let part = at_most.div_ceil(PARTS).max(PART);
        Ok(Self {
            upload: Some(upload.map_err(|error| bucket.failed(key, error))?),
            bucket: Arc::clone(bucket),
            key: key.to_owned(),
            held: BytesMut::new(),
            part: usize::try_from(part).context("the disk is too big for this machine")?,
            at_once: usize::try_from(IN_MEMORY / part).unwrap_or(1).max(1),
            sending: JoinSet::new(),
        })
    }

    pub(crate) async fn write(&mut self, mut bytes: Bytes) -> anyhow::Result<()> {
        while !bytes.is_empty() {
            // All at once: the part before has taken the memory with it.
            self.held.reserve(self.part - self.held.len());
            let fits = bytes.len().min(self.part - self.held.len());
            self.held.extend_from_slice(&bytes.split_to(fits));
            if self.held.len() == self.part {
                self.send().await?;
            }
        }
        Ok(())
    }

    pub(crate) async fn finish(mut self) -> anyhow::Result<()> {
        if !self.held.is_empty() {
            self.send().await?;
        }
        self.sent(0).await?;
        if let Some(upload) = &mut self.upload {
            let complete = upload.complete().await;
            complete.map_err(|error| self.bucket.failed(&self.key, error))?;
        }
        self.upload = None;
        Ok(())
    }

    /// Sends what is held, once few enough parts are on their way.
    async fn send(&mut self) -> anyhow::Result<()> {
        self.sent(self.at_once - 1).await?;
        let part = self.held.split().freeze();
        if let Some(upload) = &mut self.upload {
            self.sending.spawn(upload.put_part(part.into()));
        }
        Ok(())
    }

    /// Waits until no more than so many parts are on their way.
    async fn sent(&mut self, at_most: usize) -> anyhow::Result<()> {
        while self.sending.len() > at_most {
            if let Some(sent) = self.sending.join_next().await {
                sent?.map_err(|error| self.bucket.failed(&self.key, error))?;
            }
        }
        Ok(())
    }
}

impl Drop for NewObject {
    /// Parts of an object that never comes are in no list, and cost as much as others.
    fn drop(&mut self) {
        let Some(mut upload) = self.upload.take() else { return };
        let mut sending = std::mem::take(&mut self.sending);
        let name = self.bucket.name(&self.key);
        self.bucket.tidy_up(async move {
            sending.shutdown().await;
            if let Err(error) = upload.abort().await {
                note(format!("parts of {name} are left in the bucket: {error}"));
            }
        });
    }
}
