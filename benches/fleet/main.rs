//! An ISO into a hundred VMs of three hosts, each call with 40 ms on its way: one VM after the other, and eight at a time,
//! as `iso insert` does. `--quick`, or the variable `BENCH_QUICK`, takes twenty VMs.

use std::time::{Duration, Instant};

use xenapi::{Client, Ref, Vdi, Vm, bulk};
use xenapi_sim::Simulator;

const DELAY: Duration = Duration::from_millis(40);

#[tokio::main]
async fn main() -> xenapi::Result<()> {
    let quick =
        std::env::args().any(|arg| arg == "--quick" || arg == "--test") || std::env::var_os("BENCH_QUICK").is_some();
    let count = if quick { 20 } else { 100 };
    let pool = Simulator::builder()
        .hosts(3)
        .vms(count)
        .delay(DELAY)
        .build()
        .expect("a pool");
    let connect = Client::connect(pool.url()).transport(pool.transport());
    let client = connect.login("root", "xensource").await?;
    let vms = client.vms().all_records().await?;
    let vms: Vec<_> = vms
        .into_iter()
        .filter(|(_, vm)| vm.is_real_vm())
        .map(|(vm, _)| vm)
        .collect();
    let (iso, _) = client.isos().await?.into_iter().next().expect("an ISO");

    let start = Instant::now();
    for &vm in &vms {
        client.vm(vm).insert_iso(iso).await?;
    }
    let alone = start.elapsed();
    eject(&client, &vms).await;
    let start = Instant::now();
    insert(&client, &vms, iso).await;
    let together = start.elapsed();

    // One that takes ten seconds longer holds up no other.
    eject(&client, &vms).await;
    pool.fault(
        xenapi_sim::Fault::on("VBD.insert")
            .delay(Duration::from_secs(10))
            .times(1),
    );
    let start = Instant::now();
    insert(&client, &vms, iso).await;
    let with_a_slow_one = start.elapsed();
    println!(
        "{} VMs: {alone:.1?} one after the other, {together:.1?} eight at a time: {:.1} times as fast; {with_a_slow_one:.1?} with \
         one that takes 10 s longer",
        vms.len(),
        alone.as_secs_f64() / together.as_secs_f64()
    );
    Ok(())
}

async fn insert(client: &Client, vms: &[Ref<Vm>], iso: Ref<Vdi>) {
    let done = bulk(vms.iter().map(|&vm| client.vm(vm).insert_iso(iso)))
        .concurrency(8)
        .run()
        .await;
    assert!(done.iter().all(Result::is_ok));
}

async fn eject(client: &Client, vms: &[Ref<Vm>]) {
    let done = bulk(vms.iter().map(|&vm| client.vm(vm).eject_iso()))
        .concurrency(32)
        .run()
        .await;
    assert!(done.iter().all(Result::is_ok));
}
