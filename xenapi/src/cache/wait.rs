//! Waiting for what a cache will hold.

use std::sync::Arc;

use tokio::sync::watch::Receiver;
use xenapi_connection::{Identity, generation};

use super::Cache;
use super::store::State;
use crate::{Call, Class, Error, Object, Pool, Record, Ref, Result};

impl Cache {
    /// Waits until an object is as wanted, and answers with its record. An object that is not there yet, because it
    /// has just been made, is waited for too. For a limit, wrap it in `tokio::time::timeout`.
    ///
    /// # Errors
    /// [`Error::Gone`] where the object was there and is destroyed, and [`Error::Config`] where the cache does not hold
    /// its class or follows the pool no more.
    pub async fn wait_for<T: Object>(
        &self,
        reference: Ref<T>,
        mut is_wanted: impl FnMut(&T::Record) -> bool + Send,
    ) -> Result<Arc<T::Record>> {
        let class = Class::from(<T::Record as Record>::CLASS);
        if !self.holds(&class) || !Class::WITH_EVENTS.contains(&class) {
            return Err(Error::config(format!(
                "the cache holds no objects of class {}",
                class.as_str()
            )));
        }
        let mut state = self.state();
        let mut was_there = false;
        loop {
            state.mark_unchanged();
            match self.get(reference) {
                Some(record) if is_wanted(&record) => return Ok(record),
                Some(_) => was_there = true,
                None if was_there => {
                    return Err(Error::Gone {
                        class: class.as_str().into(),
                        reference: reference.to_wire().into(),
                    });
                }
                None => {}
            }
            next(&mut state).await?;
        }
    }

    /// Waits until the cache holds at least what the server had when this was called: after a change of your own, a
    /// read that follows sees it.
    ///
    /// # Errors
    /// As any call, and [`Error::Config`] where the cache follows the pool no more.
    #[doc(alias = "event.inject")]
    pub async fn barrier(&self) -> Result<()> {
        let Some((pool, _)) = self.all::<Pool>().into_iter().next() else {
            return Err(Error::config("the cache holds no pool, so nothing marks the present"));
        };
        let mut state = self.state();
        loop {
            let lists = state.borrow().lists;
            let origin = self.client().connection().identity();
            let token: String = Call::new(self.client().connection(), "event.inject")
                .arg("pool")
                .arg(pool)
                .await?;
            if reached(&mut state, &origin, generation(&token), lists).await? {
                return Ok(());
            }
        }
    }
}

/// Waits until a cache has everything up to a count of one host's changes. `false` where that count means nothing any
/// more: everything was listed anew, perhaps from another host or a restored database, and perhaps before the count.
async fn reached(state: &mut Receiver<State>, origin: &Identity, present: u64, lists: u64) -> Result<bool> {
    loop {
        {
            let state = state.borrow_and_update();
            if state.origin.as_ref() == Some(origin) && generation(&state.token) >= present {
                return Ok(true);
            }
            if state.lists > lists {
                return Ok(false);
            }
        }
        next(state).await?;
    }
}

/// Waits for the next batch of changes.
async fn next(state: &mut Receiver<State>) -> Result<()> {
    if let Some(reason) = state.borrow().end.clone() {
        return Err(Error::config(format!("the cache follows the pool no more: {reason}")));
    }
    state
        .changed()
        .await
        .map_err(|_| Error::config("the cache follows the pool no more"))
}
