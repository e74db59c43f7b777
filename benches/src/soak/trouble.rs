//! What befalls a pool.

use std::time::Duration;

use xenapi_sim::{Fault, Simulator};

use super::HOSTS;

/// How long a toolstack takes to start.
const START: Duration = Duration::from_millis(200);

/// One trouble after the other, by its number; the hosts that the last one killed are back.
pub(super) fn trouble(simulator: &Simulator, born: &mut Vec<String>, number: u64) {
    revive(simulator);
    let coordinator = simulator.coordinator();
    let next = (coordinator + 1) % HOSTS;
    match number % 7 {
        // The oldest one, which the cache has seen.
        0 if !born.is_empty() => drop(simulator.remove_silently("VM", &born.remove(0))),
        0 => (),
        1 => simulator.fault(Fault::on("event.from").times(2).reset()),
        2 => simulator.expire_sessions(),
        3 => simulator.promote(next),
        // The counter of changes goes back.
        4 => simulator.restart_toolstack(coordinator, START),
        5 => {
            simulator.kill(coordinator);
            simulator.promote(next);
        }
        _ => simulator.kill(next),
    }
}

/// Brings back the hosts that were killed.
pub(super) fn revive(simulator: &Simulator) {
    (0..HOSTS).for_each(|host| simulator.set_reachable(host, true));
}
