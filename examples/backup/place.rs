//! Where backups are: in a folder, or in a bucket. Files in either are named by keys such as `UUID/BACKUP/disk-0.vhd`.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use xenapi_examples::AnyDisk;

use crate::bucket::Bucket;
use crate::folder::{Folder, FolderLock, NewFile};
use crate::lock::BucketLock;
use crate::parts::NewObject;
use crate::web::NewWebFile;

pub(crate) enum Place {
    Folder(Folder),
    Bucket(Arc<Bucket>),
}

/// A file that is being written. One that is dropped is not there.
pub(crate) enum Upload {
    File(NewFile),
    Object(NewObject),
    Web(NewWebFile),
}

/// What keeps two runs apart.
pub(crate) enum Lock {
    File(FolderLock),
    Object(BucketLock),
}

impl Place {
    /// A folder, or a bucket where it is a URL.
    pub(crate) fn at(place: &Path) -> anyhow::Result<Self> {
        match place.to_str().filter(|place| place.contains("://")) {
            Some(url) => Ok(Self::Bucket(Arc::new(Bucket::at(url)?))),
            None => Ok(Self::Folder(Folder::new(place.to_owned()))),
        }
    }

    /// How messages call a file, or what is below a key.
    pub(crate) fn name(&self, key: &str) -> String {
        match self {
            Self::Folder(folder) => folder.path(key).display().to_string(),
            Self::Bucket(bucket) => bucket.name(key),
        }
    }

    /// What there is below a key that has something below it itself, in order.
    pub(crate) async fn folders(&self, key: &str) -> anyhow::Result<Vec<String>> {
        match self {
            Self::Folder(folder) => folder.folders(key),
            Self::Bucket(bucket) => bucket.folders(key).await,
        }
    }

    /// A small file; none where there is none.
    pub(crate) async fn read(&self, key: &str) -> anyhow::Result<Option<String>> {
        match self {
            Self::Folder(folder) => folder.read(key),
            Self::Bucket(bucket) => bucket.read(key).await,
        }
    }

    /// Writes a small file in one piece.
    pub(crate) async fn write(&self, key: &str, text: String) -> anyhow::Result<()> {
        match self {
            Self::Folder(folder) => folder.write(key, &text),
            Self::Bucket(bucket) => bucket.write(key, text).await,
        }
    }

    /// Begins a file that gets about so many bytes at most.
    pub(crate) async fn create(&self, key: &str, at_most: u64) -> anyhow::Result<Upload> {
        match self {
            Self::Folder(folder) => folder.create(key).await.map(Upload::File),
            Self::Bucket(bucket) => match &bucket.web {
                Some(web) => NewWebFile::begin(bucket, web, key).await.map(Upload::Web),
                None => NewObject::begin(bucket, key, at_most).await.map(Upload::Object),
            },
        }
    }

    /// A file, to be read anywhere by code that waits.
    pub(crate) async fn open(&self, key: &str) -> anyhow::Result<AnyDisk> {
        match self {
            Self::Folder(folder) => folder.open(key),
            Self::Bucket(bucket) => bucket.open(key).await,
        }
    }

    /// Hands all of a file on, piece by piece.
    pub(crate) async fn each_piece(&self, key: &str, take: impl FnMut(&[u8]) + Send) -> anyhow::Result<()> {
        match self {
            Self::Folder(folder) => folder.each_piece(key, take).await,
            Self::Bucket(bucket) => bucket.each_piece(key, take).await,
        }
    }

    /// Removes what is below a key; the file `first` goes first.
    pub(crate) async fn remove(&self, key: &str, first: &str) -> anyhow::Result<()> {
        match self {
            Self::Folder(folder) => folder.remove(key, first),
            Self::Bucket(bucket) => bucket.remove(key, first).await,
        }
    }

    /// Makes sure that nobody else writes below a key until it is released.
    pub(crate) async fn lock(&self, key: &str) -> anyhow::Result<Lock> {
        match self {
            Self::Folder(folder) => folder.lock(key).map(Lock::File),
            Self::Bucket(bucket) => BucketLock::take(bucket, key).await.map(Lock::Object),
        }
    }

    /// Takes away a lock that a killed run has left. That of a folder ends with its run.
    pub(crate) async fn unlock(&self, key: &str) -> anyhow::Result<()> {
        match self {
            Self::Folder(_) => Ok(()),
            Self::Bucket(bucket) => BucketLock::break_open(bucket, key).await,
        }
    }

    /// Waits until what was dropped is tidied up.
    pub(crate) async fn settle(&self) {
        if let Self::Bucket(bucket) = self {
            bucket.settle().await;
        }
    }
}

impl Upload {
    pub(crate) async fn write(&mut self, bytes: Bytes) -> anyhow::Result<()> {
        match self {
            Self::File(file) => file.write(&bytes).await,
            Self::Object(object) => object.write(bytes).await,
            Self::Web(file) => file.write(bytes).await,
        }
    }

    /// Now it is there, whatever happens to the machine.
    pub(crate) async fn finish(self) -> anyhow::Result<()> {
        match self {
            Self::File(file) => file.finish().await,
            Self::Object(object) => object.finish().await,
            Self::Web(file) => file.finish().await,
        }
    }
}

impl Lock {
    pub(crate) async fn release(self) -> anyhow::Result<()> {
        match self {
            Self::File(lock) => lock.release(),
            Self::Object(lock) => lock.release().await,
        }
    }
}
