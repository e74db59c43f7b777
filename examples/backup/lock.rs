//! Keeping two runs apart in a bucket: an object that is made only where there is none.

use std::process;
use std::sync::Arc;

use anyhow::{anyhow, ensure};
use gethostname::gethostname;
use jiff::Timestamp;
use object_store::{Error, ObjectStore as _, PutMode, PutPayload};
use xenapi_examples::{Printable, note};

use crate::bucket::Bucket;

/// An object that says who has made it, and when. It goes with the value.
pub(crate) struct BucketLock {
    bucket: Arc<Bucket>,
    key: String,
    made: Option<String>,
}

impl BucketLock {
    pub(crate) async fn take(bucket: &Arc<Bucket>, of: &str) -> anyhow::Result<Self> {
        let key = key(of);
        // Where a store does not know how to make an object only where there is none, this is all that can be done.
        if let Some(made) = bucket.read(&key).await? {
            return Err(taken(bucket, &key, &made));
        }
        let host = gethostname();
        let made = format!(
            "{} by process {} on {}",
            Timestamp::now(),
            process::id(),
            host.display()
        );
        let put = async |mode: PutMode| {
            let payload = PutPayload::from(made.clone());
            bucket.store.put_opts(&bucket.path(&key), payload, mode.into()).await
        };
        match put(PutMode::Create).await {
            Ok(_) => {}
            Err(Error::AlreadyExists { .. }) => {
                let made = bucket.read(&key).await?.unwrap_or_default();
                return Err(taken(bucket, &key, &made));
            }
            Err(Error::NotImplemented { .. } | Error::NotSupported { .. }) => {
                put(PutMode::Overwrite)
                    .await
                    .map_err(|error| bucket.failed(&key, error))?;
                warn(bucket, async || false).await;
            }
            Err(error) => return Err(bucket.failed(&key, error)),
        }
        let lock = Self {
            bucket: Arc::clone(bucket),
            key: key.clone(),
            made: Some(made.clone()),
        };
        // Servers that do not know the condition take it for none.
        warn(bucket, async || {
            matches!(put(PutMode::Create).await, Err(Error::AlreadyExists { .. }))
        })
        .await;
        Ok(lock)
    }

    /// Takes away one that somebody else has left.
    pub(crate) async fn break_open(bucket: &Bucket, of: &str) -> anyhow::Result<()> {
        let key = key(of);
        let deleted = bucket.delete(&bucket.path(&key)).await;
        deleted.map_err(|error| bucket.failed(&key, error))
    }

    pub(crate) async fn release(mut self) -> anyhow::Result<()> {
        match self.made.take() {
            Some(made) => release(&self.bucket, &self.key, &made).await,
            None => Ok(()),
        }
    }
}

impl Drop for BucketLock {
    fn drop(&mut self) {
        let Some(made) = self.made.take() else { return };
        let (bucket, key) = (Arc::clone(&self.bucket), std::mem::take(&mut self.key));
        self.bucket.tidy_up(async move {
            if let Err(error) = release(&bucket, &key, &made).await {
                note(format!("the lock is left: {error:#}"));
            }
        });
    }
}

fn key(of: &str) -> String {
    format!("{of}/lock")
}

fn taken(bucket: &Bucket, key: &str, made: &str) -> anyhow::Error {
    anyhow!(
        "another run backs it up, or was killed: {} was made {}; if that run is no more, say --unlock",
        bucket.name(key),
        Printable(made)
    )
}

async fn release(bucket: &Bucket, key: &str, made: &str) -> anyhow::Result<()> {
    let found = bucket.read(key).await?;
    ensure!(
        found.as_deref() == Some(made),
        "{} was taken away by somebody else meanwhile",
        bucket.name(key)
    );
    let deleted = bucket.delete(&bucket.path(key)).await;
    deleted.map_err(|error| bucket.failed(key, error))
}

/// Tells once where two runs are not kept apart.
async fn warn(bucket: &Bucket, is_exclusive: impl AsyncFnOnce() -> bool) {
    let find_out = async || {
        let is_exclusive = is_exclusive().await;
        if !is_exclusive {
            note(format!(
                "{} cannot make an object only where there is none: two runs that begin at the same moment are not kept apart.",
                bucket.name("")
            ));
        }
        is_exclusive
    };
    bucket.is_exclusive.get_or_init(find_out).await;
}
