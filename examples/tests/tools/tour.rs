//! The tour changes a real pool only when told to, and puts it back.

use crate::harness::{Pool, complained, said, tool};

const ISO: [&str; 2] = ["--iso", "Rocky-9.6-x86_64-minimal.iso"];

#[tokio::test(flavor = "multi_thread")]
async fn without_a_yes_nothing_is_changed() {
    let pool = Pool::new(4).await;
    let Some(mut tour) = pool.tool("tour") else { return };
    let output = tour.output().await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(complained(&output).contains("--iso"), "{output:?}");

    let output = tour.args(ISO).output().await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("into 4 VMs"), "{output:?}");
    assert!(complained(&output).contains("--yes"), "{output:?}");
    assert_eq!(pool.simulator.counters().calls("VBD.insert"), 0);
    pool.assert_tidy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_inserted_is_ejected() {
    let pool = Pool::new(4).await;
    let Some(mut tour) = pool.tool("tour") else { return };
    let output = tour.args(ISO).arg("--yes").output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(said(&output).contains("MBR 0x"), "{output:?}");
    let counters = pool.simulator.counters();
    assert_eq!((counters.calls("VBD.insert"), counters.calls("VBD.eject")), (4, 4));
    pool.assert_tidy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_without_vms_is_a_short_tour() {
    let Some(mut tour) = tool("tour") else { return };
    let output = tour.args(["--simulated-vms", "0"]).output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(said(&output).contains("0 VMs."), "{output:?}");
}
