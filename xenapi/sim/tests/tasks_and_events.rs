//! Operations that take time, and those who wait for something to happen.

mod common;

use std::time::Duration;

use common::{args, empty, kinds, pool, text};
use xenapi::{ToValue, Value};
use xenapi_sim::Fault;

#[tokio::test]
async fn a_task_moves_on_and_ends_with_its_status() {
    let (pool, caller) = pool(|builder| builder.vms(2).task_steps(3).task_delay(Duration::from_millis(5))).await;
    let vm = pool.find("VM", "db-01").unwrap();
    let (_, mut token) = caller.events(&["task"], "", 0.0).await;
    let task = caller.text("Async.VM.start", args![vm, false, false]).await;
    let mut seen = Vec::new();
    while seen.last().is_none_or(|(_, status)| status == "pending") {
        let (events, next) = caller.events(&["task"], &token, 5.0).await;
        token = next;
        let snapshots = events.iter().filter_map(|event| event.get("snapshot"));
        seen.extend(snapshots.map(|task| {
            (
                task.get("progress").and_then(Value::as_float).unwrap(),
                text(task, "status").to_owned(),
            )
        }));
    }
    assert!(seen.is_sorted_by(|a, b| a.0 <= b.0), "{seen:?}");
    assert!(
        seen.contains(&(0.25, "pending".to_owned())) && seen.contains(&(0.75, "pending".to_owned())),
        "{seen:?}"
    );
    assert_eq!(seen.last(), Some(&(1.0, "success".to_owned())));
    assert_eq!(caller.text("task.get_result", args![task]).await, "<value></value>");
}

#[tokio::test]
async fn while_an_operation_runs_the_object_is_taken() {
    let (pool, caller) = pool(|builder| builder.vms(2).task_delay(Duration::from_millis(50))).await;
    let vm = pool.find("VM", "db-01").unwrap();
    let task = caller.text("Async.VM.start", args![vm, false, false]).await;
    while caller.ok("VM.get_current_operations", args![vm]).await == empty() {
        tokio::task::yield_now().await;
    }
    let current = caller.ok("VM.get_current_operations", args![vm]).await;
    assert_eq!(current.get(&task), Some(&"start".to_value()));
    assert_eq!(
        caller.ok("VM.get_allowed_operations", args![vm]).await,
        Value::Array(Vec::new())
    );
    let refused = caller.err("VM.clone", args![vm, "copy"]).await;
    assert_eq!(
        refused,
        ["OTHER_OPERATION_IN_PROGRESS", "VM", vm.as_str(), "start", task.as_str()]
    );
    assert_eq!(caller.wait(&task).await, "success");
    assert_eq!(caller.ok("VM.get_current_operations", args![vm]).await, empty());
}

#[tokio::test]
async fn a_task_can_be_cancelled() {
    let (pool, caller) = pool(|builder| builder.vms(2).task_steps(100).task_delay(Duration::from_millis(5))).await;
    let vm = pool.find("VM", "db-01").unwrap();
    let task = caller.text("Async.VM.start", args![vm, false, false]).await;
    caller.ok("task.cancel", args![task]).await;
    assert_eq!(caller.wait(&task).await, "cancelled");
    assert_eq!(
        caller.ok("task.get_error_info", args![task]).await,
        vec!["TASK_CANCELLED".to_owned(), task].to_value()
    );
    assert_eq!(caller.text("VM.get_power_state", args![vm]).await, "Halted");
}

#[tokio::test]
async fn results_are_xml_whatever_the_encoding() {
    let (pool, caller) = pool(|builder| builder.vms(1)).await;
    let vm = pool.find("VM", "web-01").unwrap();
    let task = caller.text("Async.VM.snapshot", args![vm, "s"]).await;
    assert_eq!(caller.wait(&task).await, "success");
    let result = caller.text("task.get_result", args![task]).await;
    let snapshot: String = xenapi::wire::xml::from_value_text(&result).unwrap();
    assert_eq!(result, format!("<value>{snapshot}</value>"));
    assert_eq!(caller.text("VM.get_snapshot_of", args![snapshot]).await, vm);
}

#[tokio::test]
async fn tasks_made_by_hand_are_marked_and_collected() {
    let (pool, caller) = pool(|builder| builder.vms(1)).await;
    let task = caller.text("task.create", args!["mine", ""]).await;
    caller.ok("task.set_progress", args![task, 0.5]).await;
    assert_eq!(caller.ok("task.get_progress", args![task]).await, Value::Float(0.5));
    caller.ok("task.destroy", args![task]).await;
    assert_eq!(
        caller.text("task.get_status", args![task]).await,
        "pending",
        "it only goes when it ends"
    );
    let vm = pool.find("VM", "web-01").unwrap();
    let ended = caller.text("Async.VM.pause", args![vm]).await;
    caller.wait(&ended).await;
    pool.advance(Duration::from_secs(66 * 60));
    assert_eq!(
        caller.err("task.get_status", args![ended]).await,
        ["HANDLE_INVALID", "task", ended.as_str()]
    );
}

#[tokio::test]
async fn a_task_can_vanish() {
    let (pool, caller) = pool(|builder| builder.vms(2)).await;
    pool.fault(Fault::on("VM.start").vanish_task());
    let vm = pool.find("VM", "db-01").unwrap();
    let task = caller.text("Async.VM.start", args![vm, false, false]).await;
    while caller.text("VM.get_power_state", args![vm]).await != "Running" {
        tokio::task::yield_now().await;
    }
    while caller.call("task.get_status", args![task]).await.is_ok() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_listener_waits_for_what_it_asked_for() {
    let (pool, caller) = pool(|builder| builder.vms(1)).await;
    let vm = pool.find("VM", "web-01").unwrap();
    let (all, token) = caller.events(&["vm", "VBD"], "", 0.0).await;
    let mut classes = kinds(&all);
    classes.sort_unstable();
    assert_eq!(classes, [("vbd", "add"), ("vm", "add")]);
    let (none, token) = caller.events(&["vm"], &token, 0.01).await;
    assert_eq!(none, []);
    let waiting = tokio::spawn({
        let (caller, token) = (caller.clone(), token.clone());
        async move { caller.events(&["vm"], &token, 10.0).await }
    });
    tokio::time::sleep(Duration::from_millis(5)).await;
    caller.ok("VM.set_name_description", args![vm, "new"]).await;
    let (events, next) = waiting.await.unwrap();
    assert_eq!(kinds(&events), [("vm", "mod")]);
    assert!(next > token && token.len() == 41, "{token} {next}");
    assert_eq!(text(events[0].get("snapshot").unwrap(), "name_description"), "new");
}

#[tokio::test]
async fn one_batch_has_additions_changes_and_deletions_in_this_order() {
    let (pool, caller) = pool(|builder| builder.vms(2)).await;
    let (web, db) = (pool.find("VM", "web-01").unwrap(), pool.find("VM", "db-01").unwrap());
    let (_, token) = caller.events(&["vm"], "", 0.0).await;
    caller.ok("VM.destroy", args![db]).await;
    caller.ok("VM.add_tags", args![web, "x"]).await;
    caller.ok("VM.add_tags", args![web, "y"]).await;
    caller
        .ok("VM.clone", args![pool.find("VM", "Windows 11").unwrap(), "new"])
        .await;
    let (events, _) = caller.events(&["vm"], &token, 0.0).await;
    assert_eq!(kinds(&events)[0], ("vm", "add"));
    assert_eq!(kinds(&events).last(), Some(&("vm", "del")));
    let changes = events.iter().filter(|event| event.get("ref") == Some(&web.to_value()));
    assert_eq!(changes.count(), 1, "two changes of one object are one event");
}

#[tokio::test]
async fn old_deletions_are_forgotten_without_a_word() {
    let (_, caller) = pool(|builder| builder.vms(0)).await;
    let mut networks = Vec::new();
    for network in 0..600 {
        let record = common::record(&[
            ("name_label", format!("n{network}").to_value()),
            ("other_config", empty()),
        ]);
        networks.push(caller.text("network.create", args![record]).await);
    }
    let (_, token) = caller.events(&["network"], "", 0.0).await;
    for network in &networks {
        caller.ok("network.destroy", args![network]).await;
    }
    let batch = caller
        .ok("event.from", args![vec!["network".to_owned()], token, 0.0])
        .await;
    let told = batch.get("events").and_then(Value::as_array).unwrap().len();
    assert!((256..512).contains(&told), "{told} of 600 deletions");
    let count = batch
        .get("valid_ref_counts")
        .and_then(|counts| counts.get("network"))
        .and_then(Value::as_int);
    assert_eq!(count, Some(3), "only the counts give it away");
}

#[tokio::test]
async fn an_injected_event_is_heard_and_gives_a_token() {
    let (pool, caller) = pool(|builder| builder.vms(0)).await;
    let reference = pool.refs("pool")[0].clone();
    let token = caller.text("event.inject", args!["pool", reference]).await;
    let (events, _) = caller.events(&["pool"], &token, 1.0).await;
    assert_eq!(kinds(&events), [("pool", "mod")]);
    assert_eq!(
        caller.err("event.inject", args!["pool", "OpaqueRef:x"]).await[0],
        "HANDLE_INVALID"
    );
}

#[tokio::test]
async fn a_blocked_listener_is_told_when_its_session_ends() {
    let (pool, caller) = pool(|builder| builder.vms(0)).await;
    let (_, token) = caller.events(&["vm"], "", 0.0).await;
    let classes = vec!["vm".to_owned()];
    let waiting = tokio::spawn({
        let caller = caller.clone();
        async move { caller.err("event.from", args![classes, token, 30.0]).await }
    });
    tokio::time::sleep(Duration::from_millis(5)).await;
    pool.expire_sessions();
    assert_eq!(waiting.await.unwrap()[0], "SESSION_INVALID");
}

#[tokio::test]
async fn the_older_way_to_listen_works_too() {
    let (pool, caller) = pool(|builder| builder.vms(1)).await;
    assert_eq!(
        caller.err("event.next", args![]).await,
        ["SESSION_NOT_REGISTERED", caller.session.as_str()]
    );
    caller.ok("event.register", args![vec!["vm".to_owned()]]).await;
    pool.set("VM", &pool.find("VM", "web-01").unwrap(), "name_description", "other");
    let events = caller.ok("event.next", args![]).await;
    assert_eq!(kinds(events.as_array().unwrap()), [("vm", "mod")]);
    caller.ok("event.unregister", args![vec!["vm".to_owned()]]).await;
    assert_eq!(caller.err("event.next", args![]).await[0], "SESSION_NOT_REGISTERED");
}

#[tokio::test]
async fn classes_come_in_the_datamodels_order() {
    let (_, caller) = pool(|builder| builder.vms(1)).await;
    let (events, _) = caller.events(&["*"], "", 0.0).await;
    let mut classes: Vec<_> = events.iter().map(|event| text(event, "class")).collect();
    classes.dedup();
    let expected = [
        "message",
        "task",
        "pool",
        "vm",
        "vm_metrics",
        "vm_guest_metrics",
        "host",
        "host_metrics",
        "host_cpu",
        "network",
        "vif",
        "vif_metrics",
        "pif",
        "pif_metrics",
        "sm",
        "sr",
        "vdi",
        "vbd",
        "vbd_metrics",
        "pbd",
        "console",
        "pci",
        "certificate",
    ];
    let present: Vec<_> = expected.into_iter().filter(|class| classes.contains(class)).collect();
    assert_eq!(classes, present, "each class once, and no others");
    let methods = caller.raw("system.listMethods", args![]).await.unwrap();
    let mut classes: Vec<_> = methods
        .as_array()
        .unwrap()
        .iter()
        .map(|name| name.as_str().unwrap().split('.').next().unwrap())
        .collect();
    classes.dedup();
    assert_eq!(classes[..4], ["session", "auth", "subject", "role"]);
    assert_eq!(classes[classes.len() - 2..], ["Caller", "Rate_limit"]);
    assert_eq!(classes.len(), 69, "{classes:?}");
}

#[tokio::test]
async fn counts_name_every_class_but_count_rows_only() {
    let (_, caller) = pool(|builder| builder.hosts(2).vms(1)).await;
    let batch = caller.ok("event.from", args![vec!["task".to_owned()], "", 0.0]).await;
    let counts = batch.get("valid_ref_counts").unwrap();
    let count = |class: &str| counts.get(class).and_then(Value::as_int);
    assert_eq!(counts.as_struct().unwrap().len(), 73);
    assert_eq!([count("host"), count("certificate")], [Some(2), Some(2)]);
    assert_eq!([count("role"), count("message"), count("diagnostics")], [Some(0); 3]);
}
