//! Calls that run as tasks.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use xenapi::{Error, ErrorCode, Outcome};
use xenapi_sim::Fault;

use crate::{eventually, halted_and_running, pool};

#[tokio::test]
async fn awaiting_gives_the_typed_result_and_leaves_no_task() {
    let (_simulator, client) = pool(1, 4).await;
    let (halted, _) = halted_and_running(&client).await;
    let before = client.tasks().all().await.unwrap().len();
    let copy = client.vm(halted).clone_as("copy").await.unwrap();
    assert_eq!(client.vm(copy).name_label().await.unwrap(), "copy");
    client.vm(copy).start(false, false).await.unwrap();
    assert_eq!(
        client.vm(copy).power_state().await.unwrap(),
        xenapi::vm::PowerState::Running
    );
    assert_eq!(client.tasks().all().await.unwrap().len(), before);
}

#[tokio::test]
async fn progress_is_reported_and_a_failure_keeps_its_code() {
    let (simulator, client) = pool(1, 4).await;
    let (halted, running) = halted_and_running(&client).await;
    simulator.set_pace(5, Duration::from_millis(30));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = seen.clone();
    let call = client.vm(halted).start(false, false);
    call.on_progress(move |progress| sink.lock().unwrap().push(progress))
        .await
        .unwrap();
    let seen = seen.lock().unwrap().clone();
    assert!(seen.len() >= 2 && seen.is_sorted(), "{seen:?}");

    let error = client.vm(running).start(false, false).await.unwrap_err();
    assert_eq!(error.code(), Some(&ErrorCode::VmBadPowerState));
}

#[tokio::test]
async fn a_task_can_be_started_looked_at_and_cancelled() {
    let (simulator, client) = pool(1, 4).await;
    let (halted, _) = halted_and_running(&client).await;
    simulator.set_pace(100, Duration::from_millis(50));
    let task = client.vm(halted).start(false, false).start().await.unwrap();
    assert!(task.progress().await.unwrap() < 1.0);
    task.cancel().await.unwrap();
    assert!(matches!(task.outcome().await.unwrap(), Outcome::Cancelled));
}

#[tokio::test]
async fn a_limit_leaves_the_task_running_and_names_it() {
    let (simulator, client) = pool(1, 4).await;
    let (halted, _) = halted_and_running(&client).await;
    simulator.set_pace(100, Duration::from_millis(50));
    let error = client
        .vm(halted)
        .start(false, false)
        .timeout(Duration::from_millis(100))
        .await
        .unwrap_err();
    let Error::Timeout(timeout) = error else {
        panic!("{error}")
    };
    let task = timeout.task().expect("the task is known");
    assert_eq!(
        client.task(task).status().await.unwrap(),
        xenapi::task::StatusType::Pending
    );
}

#[tokio::test]
async fn a_dropped_wait_cancels_where_it_was_asked_to() {
    let (simulator, client) = pool(1, 4).await;
    let (halted, _) = halted_and_running(&client).await;
    simulator.set_pace(100, Duration::from_millis(50));
    let call = client.vm(halted).start(false, false).cancel_on_drop();
    assert!(tokio::time::timeout(Duration::from_millis(150), call).await.is_err());
    for _ in 0..100 {
        if simulator.counters().calls("task.cancel") > 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not cancelled");
}

#[tokio::test]
async fn a_connection_can_cancel_all_that_is_dropped() {
    let (simulator, client) = pool(1, 4).await;
    let (halted, _) = halted_and_running(&client).await;
    simulator.set_pace(100, Duration::from_millis(50));
    let connect = xenapi::Client::connect(simulator.url()).transport(std::sync::Arc::new(simulator.transport()));
    let client = connect.cancel_dropped_tasks().login("root", "xensource").await.unwrap();
    let call = client.vm(halted).start(false, false);
    assert!(tokio::time::timeout(Duration::from_millis(150), call).await.is_err());
    for _ in 0..100 {
        if simulator.counters().calls("task.destroy") > 0 {
            assert_eq!(simulator.counters().calls("task.cancel"), 1);
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not cancelled");
}

#[tokio::test]
async fn a_task_that_vanishes_is_neither_success_nor_failure() {
    let (simulator, client) = pool(1, 4).await;
    let (halted, _) = halted_and_running(&client).await;
    simulator.set_pace(100, Duration::from_millis(50));
    let task = client.vm(halted).start(false, false).start().await.unwrap();
    simulator.drop_tasks();
    let error = task.wait().await.unwrap_err();
    assert!(matches!(error, Error::Vanished { .. }), "{error}");
}

#[tokio::test]
async fn a_task_that_fails_halfway_keeps_its_code() {
    let (simulator, client) = pool(1, 4).await;
    let (halted, _) = halted_and_running(&client).await;
    simulator.fault(Fault::on("VM.start").error("SR_FULL", ["1024", "512"]));
    let error = client.vm(halted).start(false, false).await.unwrap_err();
    assert_eq!(error.code(), Some(&ErrorCode::SrFull));
}

#[tokio::test]
async fn a_broken_connection_does_not_end_the_wait() {
    let (simulator, client) = pool(1, 4).await;
    let (halted, _) = halted_and_running(&client).await;
    simulator.set_pace(2, Duration::from_millis(50));
    simulator.fault(Fault::on("event.from").times(1).reset());
    simulator.fault(Fault::on("task.get_record").times(1).reset());
    client.vm(halted).start(false, false).await.unwrap();
    assert_eq!(
        client.vm(halted).power_state().await.unwrap(),
        xenapi::vm::PowerState::Running
    );
}

#[tokio::test]
async fn a_limit_counts_from_the_start_of_the_call() {
    let (simulator, client) = pool(1, 4).await;
    let (halted, _) = halted_and_running(&client).await;
    simulator.set_pace(100, Duration::from_millis(50));
    simulator.fault(Fault::on("VM.start").delay(Duration::from_millis(300)));
    let begun = std::time::Instant::now();
    let call = client
        .vm(halted)
        .start(false, false)
        .timeout(Duration::from_millis(500));
    assert!(matches!(call.await.unwrap_err(), Error::Timeout(_)));
    assert!(begun.elapsed() < Duration::from_millis(750), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_started_task_that_is_dropped_is_cancelled_where_that_was_asked() {
    let (simulator, client) = pool(1, 4).await;
    let (halted, _) = halted_and_running(&client).await;
    simulator.set_pace(100, Duration::from_millis(50));
    let task = client
        .vm(halted)
        .start(false, false)
        .cancel_on_drop()
        .start()
        .await
        .unwrap();
    drop(task);
    eventually("the cancellation", || simulator.counters().calls("task.cancel") == 1).await;
}

#[tokio::test]
async fn a_task_is_taken_up_again_by_its_reference() {
    let (simulator, client) = pool(1, 4).await;
    let (halted, _) = halted_and_running(&client).await;
    simulator.set_pace(3, Duration::from_millis(50));
    let task = client.vm(halted).clone_as("copy").start().await.unwrap().reference();
    let copy: xenapi::Ref<xenapi::Vm> = client.task(task).resume().wait().await.unwrap();
    assert_eq!(client.vm(copy).name_label().await.unwrap(), "copy");
}

#[tokio::test]
async fn forty_waits_share_one_watch_and_ask_for_no_record() {
    let (simulator, client) = pool(1, 40).await;
    simulator.set_pace(2, Duration::from_millis(20));
    let vms = client.vms().all_records().await.unwrap();
    let copies = vms
        .iter()
        .filter(|(_, vm)| vm.is_real_vm() && vm.power_state == xenapi::vm::PowerState::Halted);
    let calls: Vec<_> = copies.map(|(&vm, _)| client.vm(vm).clone_as("copy")).collect();
    let results = xenapi::bulk(calls).concurrency(40).run().await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!(simulator.counters().calls("task.get_record"), 0);
    assert!(simulator.counters().calls("event.from") < 40);
}

#[tokio::test]
async fn where_nothing_is_told_tasks_are_asked() {
    let (simulator, client) = pool(1, 4).await;
    let (halted, _) = halted_and_running(&client).await;
    simulator.fault(Fault::on("event.from").error("RBAC_PERMISSION_DENIED", ["event.from", "no"]));
    client.vm(halted).start(false, false).await.unwrap();
    assert!(simulator.counters().calls("task.get_record") > 0);
}

/// The server answers, but cannot tell of the task: that is no answer to the call, which was carried out.
#[tokio::test]
async fn what_a_question_about_a_task_fails_with_is_not_the_calls_failure() {
    let (simulator, client) = pool(1, 4).await;
    let (halted, _) = halted_and_running(&client).await;
    simulator.fault(Fault::on("event.from").error("RBAC_PERMISSION_DENIED", ["event.from", "no"]));
    simulator.fault(Fault::on("task.get_record").times(2).error("HOST_STILL_BOOTING", []));
    client.vm(halted).start(false, false).await.unwrap();

    simulator.fault(Fault::on("task.get_record").error("RBAC_PERMISSION_DENIED", ["task.get_record", "no"]));
    let error = client.vm(halted).hard_shutdown().await.unwrap_err();
    assert!(!error.is_retryable(), "{error}");
    let Error::Lost(lost) = error else { panic!("{error}") };
    assert!(
        lost.task().is_some() && lost.method().contains("VM.hard_shutdown"),
        "{lost}"
    );
}
