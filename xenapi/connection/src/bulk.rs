//! Many calls side by side.

use std::future::Future;

use futures_util::StreamExt;

/// Runs many calls side by side and reports on each: one that fails stops none of the others.
///
/// ```
/// # use xenapi_connection::{Call, Connection, bulk};
/// # async fn start(pool: &Connection, vms: &[String]) {
/// let starts = vms.iter().map(|vm| Call::<()>::new(pool, "VM.start").arg(vm).arg(false).arg(false));
/// let results = bulk(starts).concurrency(8).run().await;
/// for (vm, error) in vms.iter().zip(results).filter_map(|(vm, result)| Some((vm, result.err()?))) {
///     eprintln!("{vm}: {error}");
/// }
/// # }
/// ```
pub fn bulk<F: Future>(calls: impl IntoIterator<Item = F>) -> Bulk<F> {
    Bulk {
        // Collected, so that the future of `run` is `Send` whatever the iterator borrows.
        calls: calls.into_iter().collect(),
        concurrency: 8,
        on_done: Box::new(|_| {}),
    }
}

/// Many calls that are not yet sent; see [`bulk`].
#[must_use = "the calls are sent only by `run`"]
pub struct Bulk<F> {
    calls: Vec<F>,
    concurrency: usize,
    on_done: Box<dyn FnMut(usize) + Send>,
}

impl<F> std::fmt::Debug for Bulk<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bulk")
            .field("calls", &self.calls.len())
            .field("concurrency", &self.concurrency)
            .finish_non_exhaustive()
    }
}

impl<F: Future> Bulk<F> {
    /// How many calls run at once; 8 unless told, at least 1. A pool queues what it cannot do at once, so more is
    /// seldom faster.
    pub fn concurrency(mut self, calls: usize) -> Self {
        self.concurrency = calls.max(1);
        self
    }

    /// Called after each call with the number of calls that are done, well or not.
    pub fn on_done(mut self, report: impl FnMut(usize) + Send + 'static) -> Self {
        self.on_done = Box::new(report);
        self
    }

    /// Sends them all and answers with their results in the order of the calls. A call is sent only when its turn
    /// comes.
    pub async fn run(mut self) -> Vec<F::Output> {
        let numbered = self
            .calls
            .into_iter()
            .enumerate()
            .map(|(place, call)| async move { (place, call.await) });
        let mut finished = futures_util::stream::iter(numbered).buffer_unordered(self.concurrency);
        let mut results = Vec::new();
        while let Some(result) = finished.next().await {
            results.push(result);
            (self.on_done)(results.len());
        }
        results.sort_by_key(|&(place, _)| place);
        results.into_iter().map(|(_, output)| output).collect()
    }
}
