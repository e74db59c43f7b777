//! Large pools are quick to build and cheap to watch.

mod common;

use std::time::{Duration, Instant};

use xenapi_sim::{DiskImage, Simulator, VmSpec};

/// How long each of the two may take: far more than it does, and far less than what grows with the square of the number.
const LIMIT: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_thousand_vms_are_built_found_removed_and_watched_in_seconds() {
    let began = Instant::now();
    let (pool, caller) = common::pool(|builder| builder.hosts(3).vms(1_000)).await;
    for number in 0..200 {
        let name = format!("extra-{number}");
        let spec = VmSpec::new(&name).disk(DiskImage::new(1 << 30)).halted();
        let added = pool.add_vm(spec).unwrap();
        assert_eq!(pool.find("VM", &name).as_deref(), Some(added.as_str()));
        assert!(pool.remove("VM", &added));
        assert_eq!(pool.find("VM", &name), None);
    }
    assert!(began.elapsed() < LIMIT, "{:?}", began.elapsed());

    let (all, mut token) = caller.events(&["*"], "", 0.0).await;
    assert!(all.len() > 10_000);
    let vms = pool.refs("VM");
    let began = Instant::now();
    for (number, vm) in vms.iter().take(200).enumerate() {
        pool.set("VM", vm, "name_description", format!("change {number}"));
        let (events, next) = caller.events(&["*"], &token, 10.0).await;
        assert_eq!(events.len(), 1);
        token = next;
    }
    assert!(began.elapsed() < LIMIT, "{:?}", began.elapsed());
}

#[test]
fn the_sums_of_an_sr_are_those_of_its_disks() {
    let pool = Simulator::builder().vms(12).build().unwrap();
    let vm = pool.add_vm(VmSpec::new("one").disk(DiskImage::new(3 << 30))).unwrap();
    pool.remove("VM", &vm);
    let int = |class: &str, reference: &str, field: &str| pool.get(class, reference, field).unwrap().as_int().unwrap();
    let disks = pool.refs("VDI");
    pool.set("VDI", &disks[0], "physical_utilisation", 12_345);
    pool.remove("VDI", &disks[1]);
    // An addition brings the sums of its SR up to date.
    pool.add_vm(VmSpec::new("two").disk(DiskImage::new(1 << 30))).unwrap();
    let owner = pool.get("pool", &pool.refs("pool")[0], "default_SR").unwrap();
    let sr = owner.as_str().unwrap();
    let sum = |field: &str| -> i64 {
        let inside = pool
            .refs("VDI")
            .into_iter()
            .filter(|vdi| pool.get("VDI", vdi, "SR").unwrap() == owner);
        inside.map(|vdi| int("VDI", &vdi, field)).sum()
    };
    assert_eq!(int("SR", sr, "virtual_allocation"), sum("virtual_size"));
    assert_eq!(int("SR", sr, "physical_utilisation"), sum("physical_utilisation"));
}
