//! The client against the simulated pool.

mod calls;
mod capability;
mod certificates;
mod chaos;
mod console;
mod detour;
mod export;
mod manners;
mod metrics;
mod proxy;
mod secrets;
mod sessions;
mod storage;
mod tasks;
mod transfers;
mod trust;
mod uploads;
mod watch;

use xenapi::wire::Encoding;
use xenapi::{Client, Ref, Vm};
use xenapi_sim::Simulator;

/// A pool of `hosts` hosts and `vms` VMs, and a client of it, all in this process.
async fn pool(hosts: usize, vms: usize) -> (Simulator, Client) {
    let simulator = Simulator::builder().hosts(hosts).vms(vms).build().expect("a pool");
    let client = client(&simulator, None).await;
    (simulator, client)
}

async fn client(simulator: &Simulator, encoding: Option<Encoding>) -> Client {
    let connect = Client::connect(simulator.url()).transport(std::sync::Arc::new(simulator.transport()));
    let connect = encoding
        .into_iter()
        .fold(connect, |connect, encoding| connect.encoding(encoding));
    connect.login("root", "xensource").await.expect("a login")
}

/// Some VM that is halted, and some that runs.
async fn halted_and_running(client: &Client) -> (Ref<Vm>, Ref<Vm>) {
    let vms = client.vms().all_records().await.expect("the VMs");
    let find = |state: xenapi::vm::PowerState| {
        let found = vms.iter().find(|(_, vm)| vm.is_real_vm() && vm.power_state == state);
        *found.expect("a VM in this state").0
    };
    (
        find(xenapi::vm::PowerState::Halted),
        find(xenapi::vm::PowerState::Running),
    )
}

/// Waits until something is so.
async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..300 {
        if is_so() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("never happened: {what}");
}
