//! Asking the hosts what they measured, again and again.

use std::convert::Infallible;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use xenapi::{Cache, Client};

use crate::load::Loads;

/// How often hosts measure.
const PERIOD: Duration = Duration::from_secs(5);
/// How far back to ask, for hosts that are a sample behind.
const PAST: Duration = Duration::from_secs(30);

/// What the hosts measured last. Where none of them tells, what the records do.
pub(crate) async fn once(pool: &Client, cache: &Cache) -> Loads {
    match pool.metrics().last(PAST).await {
        Ok(metrics) => Loads::measured(&metrics),
        Err(_) => Loads::recorded(cache),
    }
}

/// Keeps the loads up to date, for as long as this is polled.
pub(crate) async fn keep(pool: &Client, cache: &Cache, loads: &watch::Sender<Loads>) -> Infallible {
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        loads.send_replace(once(pool, cache).await);
    }
}
