//! A short soak; the benchmark `watch` runs the long one.

use std::time::Duration;

use xenapi_benches::soak::Soak;

#[tokio::test]
async fn a_cache_follows_a_pool_through_every_trouble() {
    let soak = Soak {
        vms: 60,
        rate: 100,
        duration: Duration::from_secs(6),
        trouble: Duration::from_millis(700),
    };
    let report = soak.run().await.expect("no call fails for good");
    eprintln!("{report:?}");
    assert!(
        report.troubles >= 7 && report.restarts >= 2 && report.mended > 1000,
        "{report:?}"
    );
}
