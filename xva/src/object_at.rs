//! Archives in buckets.

use std::future::Future;
use std::io;
use std::sync::{Arc, mpsc};

use object_store::path::Path;
use object_store::{GetOptions, ObjectStore, ObjectStoreExt};
use tokio::runtime::{Builder, Runtime};

use xen_disk::ReadAt;

/// An object in a store, read in ranges: in S3 and its likes, on a web server, or in memory.
///
/// So a file comes out of a backup in a bucket with a few requests, without fetching the backup. An object that was
/// replaced since it was opened is not read any further.
///
/// Opening and reading block until the store has answered; in asynchronous code they belong into
/// [`tokio::task::spawn_blocking`].
///
/// ```
/// use std::sync::Arc;
///
/// use object_store::memory::InMemory;
/// use object_store::path::Path;
/// use xva::{ObjectAt, ReadAt};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let bucket = InMemory::new();
/// let path = Path::from("backups/machine.xva");
/// # use object_store::ObjectStoreExt;
/// # let put = bucket.put(&path, vec![7; 4096].into());
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(put)?;
/// let object = ObjectAt::open(Arc::new(bucket), path)?;
/// let mut sector = [0; 512];
/// object.read_exact_at(1024, &mut sector)?;
/// assert_eq!(sector, [7; 512]);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct ObjectAt {
    worker: Arc<Worker>,
    object: Object,
    size: u64,
}

#[derive(Debug, Clone)]
struct Object {
    store: Arc<dyn ObjectStore>,
    path: Path,
    /// What tells this version of the object from others.
    tag: Option<String>,
}

/// A thread that makes the requests, so that whoever waits for them blocks nobody who has to answer.
#[derive(Debug)]
struct Worker {
    runtime: Option<Runtime>,
}

impl ObjectAt {
    /// Asks the store for the object's length.
    ///
    /// # Errors
    /// Where the store has no such object or cannot be asked, and where no thread can be started.
    pub fn open(store: Arc<dyn ObjectStore>, path: Path) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let worker = Arc::new(Worker { runtime: Some(runtime) });
        let (asked, place) = (Arc::clone(&store), path.clone());
        let found = worker.run(async move { asked.head(&place).await })?;
        Ok(Self {
            worker,
            size: found.size,
            object: Object {
                store,
                path,
                tag: found.e_tag,
            },
        })
    }
}

impl Worker {
    fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = object_store::Result<T>> + Send + 'static,
    ) -> io::Result<T> {
        let gone = || io::Error::other("the thread that asks the store is gone");
        let (sender, answer) = mpsc::channel();
        self.runtime.as_ref().ok_or_else(gone)?.spawn(async move {
            // Whoever asked waits for it.
            let _ = sender.send(work.await);
        });
        answer.recv().map_err(|_| gone())?.map_err(io::Error::other)
    }
}

impl Drop for Worker {
    /// Waiting for the thread is forbidden in asynchronous code, and needless.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Object {
    async fn get(self, offset: u64, len: u64) -> object_store::Result<bytes::Bytes> {
        let options = GetOptions {
            range: Some((offset..offset + len).into()),
            if_match: self.tag,
            ..GetOptions::default()
        };
        self.store.get_opts(&self.path, options).await?.bytes().await
    }
}

impl ReadAt for ObjectAt {
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let len = buf.len() as u64;
        if offset.checked_add(len).is_none_or(|end| end > self.size) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if len == 0 {
            return Ok(());
        }
        let bytes = self.worker.run(self.object.clone().get(offset, len))?;
        let wanted = bytes.get(..buf.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        buf.copy_from_slice(wanted);
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.size)
    }
}
