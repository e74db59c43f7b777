//! How a cache keeps up with a busy pool, and what it costs: 10,000 objects and 200 changes a second for a minute, with
//! resets, lost sessions, forgotten deletions, new coordinators, restarts of the toolstack and dead hosts every few
//! seconds. `--quick` is a short one.

use std::time::Duration;

use peak_alloc::PeakAlloc;
use xenapi::Client;
use xenapi_benches::soak::Soak;
use xenapi_sim::Simulator;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

fn main() {
    let quick =
        std::env::args().any(|arg| arg == "--quick" || arg == "--test") || std::env::var_os("BENCH_QUICK").is_some();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let vms = if quick { 60 } else { 1250 };
    let soak = Soak {
        vms,
        rate: 200,
        duration: Duration::from_secs(if quick { 4 } else { 60 }),
        trouble: Duration::from_secs(if quick { 1 } else { 3 }),
    };
    runtime.block_on(fill(vms));
    HEAP.reset_peak_usage();
    let report = runtime.block_on(soak.run()).expect("no call fails for good");
    let peak = HEAP.peak_usage();
    println!(
        "{} objects, {} changes, {} troubles: equal at the end, {} lists anew, {} deletions found without an event, \
         longest lag {:?}, settled in {:?}; {:.1} MiB at the peak of all of it (the simulated pool included)",
        report.objects,
        report.changes,
        report.troubles,
        report.restarts,
        report.mended,
        report.longest_lag,
        report.settled,
        peak as f64 / f64::from(1 << 20),
    );
}

/// The heap that a cache of everything needs, at its peak and for good.
async fn fill(vms: usize) {
    let simulator = Simulator::builder().vms(vms).build().expect("a pool");
    let connect = Client::connect(simulator.url()).transport(simulator.transport());
    let client = connect.login("root", "xensource").await.expect("a login");
    let before = HEAP.current_usage();
    HEAP.reset_peak_usage();
    let cache = client.cache().await.expect("a cache");
    let mebibytes = |bytes: usize| bytes.saturating_sub(before) as f64 / f64::from(1 << 20);
    println!(
        "{} VMs and all that is theirs: {:.1} MiB held, {:.1} MiB at the peak (the simulated server's reply included)",
        cache.count::<xenapi::Vm>(),
        mebibytes(HEAP.current_usage()),
        mebibytes(HEAP.peak_usage()),
    );
}
