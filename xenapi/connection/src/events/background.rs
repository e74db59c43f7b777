//! Work that ends with its owner.

use std::future::Future;

use tokio::task::JoinHandle;

/// A task of the runtime that is aborted when this is dropped.
#[derive(Debug)]
pub struct Background(JoinHandle<()>);

impl Background {
    /// Begins it.
    ///
    /// # Panics
    /// Outside of a Tokio runtime.
    pub fn spawn(work: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(work))
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.0.abort();
    }
}
