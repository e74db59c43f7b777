//! Restarts, new coordinators, hosts that die, and what listeners notice of it.

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::{Caller, PASSWORD, args, fetch, pool, text};
use futures_util::StreamExt;
use tokio::task::JoinHandle;
use xenapi::Value;
use xenapi::transport::Transport;
use xenapi::wire::Encoding;
use xenapi_sim::Simulator;

fn at(pool: &Simulator, caller: &Caller, host: usize) -> Caller {
    Caller {
        url: format!("https://{}", pool.addresses()[host]),
        ..caller.clone()
    }
}

fn generation(token: &str) -> u64 {
    token.split(',').next().unwrap().parse().unwrap()
}

/// Waits for events of VMs while the test goes on.
fn listen(caller: &Caller, token: String) -> JoinHandle<Result<Value, Vec<String>>> {
    let caller = caller.clone();
    let events = async move {
        caller
            .call("event.from", args![vec!["vm".to_owned()], token, 30.0])
            .await
    };
    tokio::spawn(events)
}

#[tokio::test]
async fn a_restart_loses_sessions_tasks_and_generations() {
    let (pool, mut caller) = pool(|builder| builder.vms(2).task_delay(Duration::from_millis(20))).await;
    let vm = pool.find("VM", "db-01").unwrap();
    let (_, token) = caller.events(&["*"], "", 0.0).await;
    for _ in 0..200 {
        caller.ok("VM.set_name_description", args![vm, "changed"]).await;
    }
    let (_, token) = caller.events(&["*"], &token, 0.0).await;
    let task = caller.text("Async.VM.start", args![vm, false, false]).await;
    let old = caller.session.clone();
    pool.restart_toolstack(0, Duration::ZERO);
    assert_eq!(caller.err("VM.get_all", args![]).await, ["SESSION_INVALID", &old]);
    caller.login().await;
    assert_eq!(caller.err("task.get_status", args![task]).await[0], "HANDLE_INVALID");
    tokio::time::sleep(Duration::from_millis(40)).await;
    assert_eq!(
        caller.text("VM.get_power_state", args![vm]).await,
        "Halted",
        "the operation went with its task"
    );
    assert_eq!(caller.ok("VM.get_current_operations", args![vm]).await, common::empty());
    let (events, lower) = caller.events(&["*"], &token, 0.0).await;
    assert!(events.is_empty(), "nothing tells that the task is gone");
    assert!(generation(&lower) < generation(&token));
    caller.ok("VM.set_name_description", args![vm, "again"]).await;
    assert!(
        caller.events(&["vm"], &token, 0.0).await.0.is_empty(),
        "deaf with the old token"
    );
    assert_eq!(caller.events(&["vm"], &lower, 0.0).await.0.len(), 1);
}

#[tokio::test]
async fn who_waits_for_events_hears_of_the_restart() {
    let (pool, caller) = pool(|builder| builder.vms(0)).await;
    let (_, token) = caller.events(&["*"], "", 0.0).await;
    let waiting = listen(&caller, token);
    tokio::time::sleep(Duration::from_millis(10)).await;
    pool.restart_toolstack(0, Duration::ZERO);
    assert_eq!(waiting.await.unwrap().unwrap_err()[0], "SESSION_INVALID");
}

#[tokio::test]
async fn a_host_that_boots_says_so_in_its_own_way() {
    let (pool, caller) = pool(|builder| builder.vms(0)).await;
    pool.restart_toolstack(0, Duration::from_millis(30));
    let body = r#"{"id":7,"method":"session.login_with_password","params":["root","x"]}"#;
    let request = http::Request::post(format!("{}/jsonrpc", caller.url))
        .body(body.into())
        .unwrap();
    let (status, body) = fetch(&pool.transport(), request).await.unwrap();
    let expected = r#"{"jsonrpc":"2.0","error":["HOST_STILL_BOOTING"],"id":0}"#;
    assert_eq!((status, std::str::from_utf8(&body).unwrap()), (200, expected));
    let xml = Caller::new(&pool, Encoding::Xml);
    let login = async || xml.raw("session.login_with_password", args!["root", PASSWORD]).await;
    assert_eq!(login().await.unwrap_err(), ["HOST_STILL_BOOTING"]);
    tokio::time::sleep(Duration::from_millis(40)).await;
    login().await.unwrap();
}

#[tokio::test]
async fn the_pool_chooses_a_new_coordinator() {
    let (pool, caller) = pool(|builder| builder.hosts(3).vms(0)).await;
    let heir = pool.find("host", "host-03").unwrap();
    caller.ok("pool.designate_new_master", args![heir]).await;
    assert_eq!(pool.coordinator(), 2);
    for member in 0..2 {
        let away = vec!["HOST_IS_SLAVE".to_owned(), pool.addresses()[2].clone()];
        assert_eq!(at(&pool, &caller, member).err("VM.get_all", args![]).await, away);
    }
    let mut caller = at(&pool, &caller, 2);
    assert_eq!(caller.err("VM.get_all", args![]).await[0], "SESSION_INVALID");
    caller.login().await;
    let pools = caller.ok("pool.get_all_records", args![]).await;
    assert_eq!(text(&pools.as_struct().unwrap()[0].1, "master"), heir);
}

#[tokio::test]
async fn a_member_takes_over_from_a_dead_coordinator() {
    let (pool, caller) = pool(|builder| builder.hosts(3).vms(0)).await;
    pool.kill(0);
    assert!(caller.err("VM.get_all", args![]).await[0].contains("no host"));
    let member = at(&pool, &caller, 1);
    assert_eq!(member.err("VM.get_all", args![]).await[0], "HOST_IS_SLAVE");
    pool.set_emergency(1, true);
    assert_eq!(member.err("VM.get_all", args![]).await, ["HOST_IN_EMERGENCY_MODE"]);
    let local = member
        .raw("session.slave_local_login_with_password", args!["root", PASSWORD])
        .await
        .unwrap();
    let mut local = Caller {
        session: local.as_str().unwrap().to_owned(),
        ..member
    };
    local.ok("pool.emergency_transition_to_master", args![]).await;
    local.login().await;
    local.ok("VM.get_all", args![]).await;
    assert_eq!(pool.coordinator(), 1);
}

#[tokio::test]
async fn what_a_host_was_answering_breaks_off_with_it() {
    let (pool, caller) = pool(|builder| builder.vms(2)).await;
    let (_, token) = caller.events(&["*"], "", 0.0).await;
    let waiting = listen(&caller, token);
    let vm = pool.find("VM", "db-01").unwrap();
    let url = format!("{}/export?ref={vm}&session_id={}", caller.url, caller.session);
    let request = http::Request::get(url).body(Bytes::new().into()).unwrap();
    let mut body = pool.transport().send(request).await.unwrap().into_body();
    body.next().await.unwrap().unwrap();
    pool.kill(0);
    assert!(waiting.await.unwrap().unwrap_err()[0].contains("reset"));
    assert!(body.next().await.unwrap().is_err());
}

#[tokio::test]
async fn a_dead_member_is_no_longer_live() {
    let (pool, caller) = pool(|builder| builder.hosts(2).vms(0)).await;
    let host = pool.find("host", "host-02").unwrap();
    let metrics = caller.text("host.get_metrics", args![host]).await;
    for (live, change) in [(false, true), (true, false)] {
        if change {
            pool.kill(1);
        } else {
            pool.set_reachable(1, true);
        }
        let known = caller.ok("host_metrics.get_live", args![metrics]).await;
        assert_eq!(known, Value::Bool(live));
    }
}

#[tokio::test]
async fn a_silent_deletion_shows_in_the_counts_alone() {
    let (pool, caller) = pool(|builder| builder.vms(3)).await;
    let count = async |token: &str| {
        let batch = caller.ok("event.from", args![vec!["vm".to_owned()], token, 0.0]).await;
        let events = batch.get("events").and_then(Value::as_array).unwrap().len();
        let vms = batch
            .get("valid_ref_counts")
            .and_then(|counts| counts.get("vm"))
            .and_then(Value::as_int);
        (events, vms.unwrap(), text(&batch, "token").to_owned())
    };
    let (_, before, token) = count("").await;
    let vm = pool.find("VM", "db-01").unwrap();
    assert!(pool.remove_silently("VM", &vm));
    let (events, after, token) = count(&token).await;
    assert_eq!((events, after), (0, before - 1));
    assert!(pool.remove("VM", &pool.find("VM", "app-01").unwrap()));
    assert_eq!(count(&token).await.0, 1, "others are told");
}

#[tokio::test]
async fn a_queue_that_overflowed_has_lost_events() {
    let (pool, caller) = pool(|builder| builder.vms(1)).await;
    caller.ok("event.register", args![vec!["vm".to_owned()]]).await;
    pool.lose_events();
    assert_eq!(caller.err("event.next", args![]).await, ["EVENTS_LOST"]);
    let vm = pool.find("VM", "web-01").unwrap();
    pool.set("VM", &vm, "name_description", "changed");
    assert_eq!(caller.ok("event.next", args![]).await.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn an_injected_object_shows_in_the_next_batch() {
    let (pool, caller) = pool(|builder| builder.vms(1)).await;
    let vm = pool.find("VM", "web-01").unwrap();
    let token = caller.text("event.inject", args!["VM", vm]).await;
    let (events, _) = caller.events(&["*"], &token, 0.0).await;
    assert_eq!(events.len(), 1);
    assert_eq!([text(&events[0], "operation"), text(&events[0], "ref")], ["mod", &vm]);
    assert_eq!(
        caller.err("event.inject", args!["VM", "OpaqueRef:none"]).await[0],
        "HANDLE_INVALID"
    );
}
