use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use dom0::Dom0;

use super::{Error, Vm};

type Answer = Pin<Box<dyn Future<Output = Option<Dom0>> + Send>>;

/// Knows at which host a VM runs.
#[derive(Clone)]
pub(super) struct Locate(Arc<dyn Fn(Vm) -> Answer + Send + Sync>);

impl Locate {
    pub(super) fn new<F>(locate: impl Fn(Vm) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Option<Dom0>> + Send + 'static,
    {
        Self(Arc::new(move |vm| Box::pin(locate(vm))))
    }

    /// The VM where it is now, with the session to there; none while it is nowhere.
    pub(super) async fn elsewhere(&self, vm: &Vm, dom0: &mut Dom0) -> Result<Option<Vm>, Error> {
        let Some(host) = (self.0)(vm.clone()).await else {
            return Ok(None);
        };
        let found = match vm.again(&host).await {
            // It may be lost by the next look as well, which asks again.
            Err(Error::Dom0(error)) if error.is_lost() => None,
            found => found?,
        };
        if found.is_some() {
            *dom0 = host;
        }
        Ok(found)
    }
}

impl fmt::Debug for Locate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Locate")
    }
}
