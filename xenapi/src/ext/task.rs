//! Tasks that somebody else started.

use serde::de::DeserializeOwned;
use xenapi_connection::{TaskClass, TypedAs};

use crate::{RunningTask, Task};

impl TypedAs<Task> for TaskClass {}

impl Task {
    /// Takes up the wait for a task whose reference is all that is known of it: one that an [`Error::Lost`] or
    /// [`Error::Timeout`] named, or that another program started. `T` is what the message answers with, `()` for none.
    ///
    /// ```no_run
    /// # async fn resume(pool: xenapi::Client, error: xenapi::Timeout) -> xenapi::Result<()> {
    /// if let Some(task) = error.task() {
    ///     let copy: xenapi::Ref<xenapi::Vm> = pool.task(task).resume().wait().await?;
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// [`Error::Lost`]: crate::Error::Lost
    /// [`Error::Timeout`]: crate::Error::Timeout
    pub fn resume<T: DeserializeOwned + Send + 'static>(&self) -> RunningTask<T> {
        RunningTask::resume(self.client().connection(), self.reference())
    }
}
