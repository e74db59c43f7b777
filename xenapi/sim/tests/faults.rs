//! Faults on demand.

mod common;

use std::time::{Duration, Instant};

use common::{args, pool};
use xenapi_sim::Fault;

#[tokio::test]
async fn an_error_strikes_one_object_so_often() {
    let (pool, caller) = pool(|builder| builder.vms(2)).await;
    let (web, db) = (pool.find("VM", "web-01").unwrap(), pool.find("VM", "db-01").unwrap());
    pool.fault(
        Fault::on("VM.get_uuid")
            .object("db-01")
            .after(1)
            .times(2)
            .error("VM_CRASHED", [&db]),
    );
    for expected in [true, false, false, true] {
        caller.ok("VM.get_uuid", args![web]).await;
        assert_eq!(caller.call("VM.get_uuid", args![db]).await.is_ok(), expected);
    }
    assert_eq!(pool.counters().calls("VM.get_uuid"), 8);
}

#[tokio::test]
async fn an_error_of_an_asynchronous_call_is_the_tasks() {
    let (pool, caller) = pool(|builder| builder.vms(2)).await;
    let vm = pool.find("VM", "db-01").unwrap();
    pool.fault(Fault::on("VM.start").error("SR_FULL", ["2", "1"]));
    let task = caller.text("Async.VM.start", args![vm, false, false]).await;
    assert_eq!(caller.wait(&task).await, "failure");
    let info = caller.ok("task.get_error_info", args![task]).await;
    assert_eq!(info.as_array().map(<[_]>::len), Some(3));
    pool.clear_faults();
    pool.fault(Fault::on("Async.VM.start").error("TOO_MANY_PENDING_TASKS", []));
    assert_eq!(
        caller.err("Async.VM.start", args![vm, false, false]).await,
        ["TOO_MANY_PENDING_TASKS"]
    );
    caller.ok("VM.start", args![vm, false, false]).await;
}

#[tokio::test]
async fn a_reset_comes_after_the_work() {
    let (pool, caller) = pool(|builder| builder.vms(2)).await;
    let vm = pool.find("VM", "db-01").unwrap();
    pool.fault(Fault::on("VM.start").times(1).reset());
    let lost = caller.err("VM.start", args![vm, false, false]).await;
    assert!(lost[0].contains("reset"), "{lost:?}");
    assert_eq!(caller.text("VM.get_power_state", args![vm]).await, "Running");
}

#[tokio::test]
async fn answers_can_be_late_or_none_of_xenapi() {
    let (pool, caller) = pool(|builder| builder.vms(0)).await;
    pool.fault(Fault::on("VM.get_all").times(1).delay(Duration::from_millis(30)));
    let before = Instant::now();
    caller.ok("VM.get_all", args![]).await;
    assert!(before.elapsed() >= Duration::from_millis(30));
    pool.fault(Fault::on("VM.get_all").times(1).unauthorized());
    assert_eq!(caller.err("VM.get_all", args![]).await, ["401"]);
    pool.fault(Fault::on("VM.get_all").times(1).server_error());
    assert_eq!(caller.err("VM.get_all", args![]).await, ["500"]);
    pool.fault(Fault::on("*").times(1).host_is_slave("10.9.9.9"));
    assert_eq!(caller.err("VM.get_all", args![]).await, ["HOST_IS_SLAVE", "10.9.9.9"]);
    pool.fault(Fault::on("VM.get_all").invalidate_session());
    assert_eq!(caller.err("VM.get_all", args![]).await[0], "SESSION_INVALID");
}

#[tokio::test]
async fn chance_follows_the_seed() {
    let strikes = async |seed| {
        let (pool, caller) = pool(|builder| builder.vms(0).seed(seed)).await;
        pool.fault(
            Fault::on("VM.get_all")
                .probability(0.5)
                .error("INTERNAL_ERROR", ["chance"]),
        );
        let mut outcomes = Vec::new();
        for _ in 0..64 {
            outcomes.push(caller.call("VM.get_all", args![]).await.is_ok());
        }
        outcomes
    };
    let first = strikes(1).await;
    assert_eq!(first, strikes(1).await);
    assert!((10..54).contains(&first.iter().filter(|&&well| well).count()));
}

#[test]
fn what_is_no_fault_is_explained() {
    for text in [
        "",
        "VM.start",
        "VM.start:dance",
        "VM.start:times=2",
        "VM.start:delay=soon",
        "VM.start:error=",
    ] {
        let error = text.parse::<Fault>().unwrap_err().to_string();
        assert!(error.contains("TARGET:EFFECT"), "{error}");
    }
}
