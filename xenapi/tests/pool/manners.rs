//! What a good guest of the server does.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use xenapi::{Client, bulk};
use xenapi_sim::Simulator;

use crate::detour::Detour;
use crate::pool;

#[tokio::test]
async fn few_calls_are_under_way_at_once() {
    let simulator = Simulator::builder()
        .vms(4)
        .delay(Duration::from_millis(5))
        .build()
        .unwrap();
    let client = Client::connect(simulator.url())
        .transport(simulator.transport())
        .concurrency(4)
        .login("root", "xensource")
        .await
        .unwrap();
    bulk((0..60).map(|_| client.vms().all())).concurrency(60).run().await;
    assert!(
        simulator.counters().most_pending <= 6,
        "{:?}",
        simulator.counters().most_pending
    );
}

#[tokio::test]
async fn the_user_agent_is_stable_and_traces_are_continued() {
    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let (simulator, _) = pool(1, 4).await;
    let seen = Arc::new(AtomicUsize::new(0));
    let count = seen.clone();
    let detour = Detour::new(&simulator, move |request| {
        let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
        assert_eq!(header("user-agent"), Some("backup/1.2"));
        assert_eq!(header("traceparent"), Some(PARENT));
        count.fetch_add(1, Ordering::Relaxed);
        None
    });
    let client = Client::connect(simulator.url())
        .transport(detour)
        .originator("backup/1.2")
        .trace_parent(|| Some(PARENT.to_owned()))
        .failover(false)
        .login("root", "xensource")
        .await
        .unwrap();
    let (halted, _) = crate::halted_and_running(&client).await;
    client.vm(halted).export().await.unwrap().cancel().await;
    assert!(seen.load(Ordering::Relaxed) > 4);
}
