//! Something to watch on a simulated pool.

use std::time::Duration;

use xenapi::vm::PowerState;
use xenapi_examples::{Pool, note};

const PAUSE: Duration = Duration::from_millis(700);

/// Starts and stops a VM again and again.
pub(crate) async fn stir(pool: &Pool) -> anyhow::Result<()> {
    let vms = pool.vms().all_records().await?;
    let mut real = vms.iter().filter(|(_, vm)| vm.is_real_vm());
    let Some((&vm, record)) = real.find(|(_, vm)| vm.power_state == PowerState::Halted) else {
        return std::future::pending().await;
    };
    note(format!(
        "Nothing happens on it by itself, so {:?} is started and stopped.",
        record.name_label
    ));
    loop {
        tokio::time::sleep(PAUSE).await;
        pool.vm(vm).start(false, false).await?;
        tokio::time::sleep(PAUSE).await;
        pool.vm(vm).hard_shutdown().await?;
    }
}
