//! Watching a pool, and the cache that follows it.

use std::time::Duration;

use futures_util::StreamExt;
use xenapi::vm::PowerState;
use xenapi::{AnyRecord, Change, Changes, Class, Client, Error, ErrorCode, Host, Ref, Task, Vm};
use xenapi_sim::{Fault, Simulator, VmSpec};

use crate::{eventually, halted_and_running, pool};

async fn next(changes: &mut Changes) -> Change {
    let waited = tokio::time::timeout(Duration::from_secs(10), changes.next()).await;
    waited.expect("a change in time").expect("a change").expect("no error")
}

/// Reads up to the end of the first list, and answers with the VMs in it.
async fn listed(changes: &mut Changes) -> Vec<Ref<Vm>> {
    assert_eq!(next(changes).await, Change::Init);
    let mut vms = Vec::new();
    loop {
        match next(changes).await {
            Change::InitDone => return vms,
            Change::Apply { reference, .. } => vms.extend(reference.typed::<Vm>()),
            other => panic!("{other:?}"),
        }
    }
}

fn some_vm(simulator: &Simulator, name: &str) -> Ref<Vm> {
    simulator.add_vm(VmSpec::new(name)).unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_watch_lists_what_there_is_and_tells_what_changes() {
    let (simulator, client) = pool(1, 4).await;
    let mut changes = client.watch().classes([Class::Vm]).start();
    let mut there = listed(&mut changes).await;
    let mut all = client.vms().all().await.unwrap();
    there.sort();
    all.sort();
    assert_eq!(there, all);

    let vm = all[0];
    client.vm(vm).set_name_label("renamed").await.unwrap();
    match next(&mut changes).await {
        Change::Apply {
            reference,
            record: AnyRecord::Vm(record),
        } => {
            assert_eq!((reference.typed(), &*record.name_label), (Some(vm), "renamed"));
        }
        other => panic!("{other:?}"),
    }
    simulator.remove("VM", &vm.to_wire());
    match next(&mut changes).await {
        Change::Delete(reference) => assert_eq!(reference.typed(), Some(vm)),
        other => panic!("{other:?}"),
    }
    assert!(changes.health().borrow().is_live);
}

#[tokio::test]
async fn a_watch_outlasts_resets_lost_sessions_and_a_new_coordinator() {
    let (simulator, client) = pool(3, 4).await;
    let mut changes = client.watch().classes([Class::Vm]).start();
    let there = listed(&mut changes).await;
    let health = changes.health();

    simulator.fault(Fault::on("event.from").times(2).reset());
    client.vm(there[0]).set_name_label("after a reset").await.unwrap();
    assert!(matches!(next(&mut changes).await, Change::Apply { .. }));

    for blow in [Simulator::expire_sessions, |pool: &Simulator| pool.promote(1)] {
        blow(&simulator);
        simulator.remove("VM", &some_vm(&simulator, "short").to_wire());
        let _ = client.vms().all().await;
        loop {
            if next(&mut changes).await == Change::InitDone {
                break;
            }
        }
    }
    assert_eq!(health.borrow().restarts, 2);
}

#[tokio::test]
async fn a_refused_login_ends_a_watch_with_its_error() {
    let (simulator, client) = pool(1, 1).await;
    let mut changes = client.watch().classes([Class::Vm]).start();
    listed(&mut changes).await;
    simulator.fault(Fault::on("session.login_with_password").error("SESSION_AUTHENTICATION_FAILED", ["root", ""]));
    simulator.expire_sessions();
    let error = loop {
        match changes.next().await.expect("the error first") {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(error.code(), Some(&ErrorCode::SessionAuthenticationFailed));
    assert!(changes.next().await.is_none());
}

#[tokio::test]
async fn a_watch_keeps_the_session_and_its_end_does_not() {
    let (simulator, client) = pool(1, 1).await;
    let mut changes = client.watch().classes([Class::Vm]).start();
    drop(client);
    listed(&mut changes).await;
    assert_eq!(simulator.counters().calls("session.logout"), 0);
    drop(changes);
    eventually("the logout", || simulator.counters().calls("session.logout") == 1).await;
}

#[tokio::test]
async fn deletions_that_the_server_forgot_are_found() {
    let (simulator, client) = pool(1, 0).await;
    for number in 0..700 {
        some_vm(&simulator, &format!("short-{number}"));
    }
    let cache = client.cache().classes([Class::Vm]).await.unwrap();
    assert!(cache.count::<Vm>() >= 700);
    simulator.fault(Fault::on("event.from").times(1).delay(Duration::from_millis(300)));
    for number in 0..700 {
        simulator.remove("VM", &simulator.find("VM", &format!("short-{number}")).unwrap());
    }
    cache.barrier().await.unwrap();
    let left = simulator.refs("VM").len();
    assert_eq!(cache.count::<Vm>(), left);
    assert!(cache.health().borrow().mended > 0);
}

#[tokio::test]
async fn a_cache_is_read_by_reference_uuid_and_name() {
    let (_simulator, client) = pool(2, 8).await;
    let cache = client.cache().await.unwrap();
    let vms = client.vms().all_records().await.unwrap();
    assert_eq!(cache.count::<Vm>(), vms.len());
    for (&vm, record) in &vms {
        assert_eq!(*cache.get(vm).unwrap(), *record);
        assert_eq!(cache.by_uuid::<Vm>(&record.uuid).unwrap().0, vm);
        assert!(
            cache
                .by_name::<Vm>(&record.name_label)
                .iter()
                .any(|(found, _)| *found == vm)
        );
    }
    assert_eq!(cache.all::<Host>().len(), 2);
    assert!(cache.get(Ref::<Vm>::NULL).is_none());
}

#[tokio::test]
async fn a_cache_holds_only_what_it_was_told_to() {
    let (_simulator, client) = pool(1, 2).await;
    let cache = client
        .cache()
        .classes([Class::Vm])
        .without(Class::Vm, ["name_description", "other_config"])
        .await
        .unwrap();
    assert_eq!(cache.count::<Host>(), 0);
    assert!(
        cache
            .all::<Vm>()
            .iter()
            .all(|(_, vm)| vm.name_description.is_empty() && vm.other_config.is_empty())
    );
    let error = cache.wait_for(Ref::<Task>::NULL, |_| true).await.unwrap_err();
    assert!(matches!(error, Error::Config(_)), "{error}");
}

#[tokio::test]
async fn a_barrier_means_the_coordinator_that_has_just_taken_over() {
    let (simulator, client) = pool(2, 4).await;
    let (halted, _) = halted_and_running(&client).await;
    let cache = client.cache().classes([Class::Vm]).await.unwrap();
    for number in 0..8 {
        // The watch is late to notice, and what the old coordinator counted is no measure for the new one.
        simulator.fault(Fault::on("event.from").times(2).delay(Duration::from_millis(200)));
        simulator.promote(1 - number % 2);
        let name = format!("name {number}");
        client.vm(halted).set_name_label(&name).await.unwrap();
        cache.barrier().await.unwrap();
        assert_eq!(cache.get(halted).unwrap().name_label, name);
        assert_eq!(cache.count::<Vm>(), simulator.refs("VM").len());
    }
}

#[tokio::test]
async fn a_condition_is_waited_for_and_a_barrier_shows_ones_own_change() {
    let (simulator, client) = pool(1, 4).await;
    let (halted, _) = halted_and_running(&client).await;
    let cache = client.cache().classes([Class::Vm]).await.unwrap();
    simulator.set_pace(2, Duration::from_millis(50));
    let task = client.vm(halted).start(false, false).start().await.unwrap();
    let running = cache
        .wait_for(halted, |vm| vm.power_state == PowerState::Running)
        .await
        .unwrap();
    assert_eq!(running.power_state, PowerState::Running);
    task.wait().await.unwrap();

    for number in 0..20 {
        let name = format!("name {number}");
        client.vm(halted).set_name_label(&name).await.unwrap();
        cache.barrier().await.unwrap();
        assert_eq!(cache.get(halted).unwrap().name_label, name);
    }
    let wait = cache.wait_for(halted, |vm| vm.name_label == "never");
    let (gone, ()) = tokio::join!(wait, async {
        simulator.remove("VM", &halted.to_wire());
    });
    assert!(matches!(gone, Err(Error::Gone { .. })), "{gone:?}");
}

#[tokio::test]
async fn a_class_of_a_newer_server_is_passed_on_raw() {
    let (simulator, client) = pool(1, 1).await;
    drop(client);
    let detour = crate::detour::Detour::new(&simulator, |request| {
        let xenapi::transport::RequestBody::Whole(body) = request.body() else {
            return None;
        };
        let text = std::str::from_utf8(body).ok()?;
        let reply = r#"{"jsonrpc":"2.0","id":1,"result":{"token":"7,0","valid_ref_counts":{"gizmo":1},"events":[
            {"id":"1","timestamp":"0.0","class":"gizmo","operation":"add","ref":"OpaqueRef:1","snapshot":{"size":5}}]}}"#;
        (text.contains("event.from") && text.contains("\"\"")).then(|| {
            (
                200,
                ("content-type", "application/json".to_owned()),
                reply.as_bytes().to_vec(),
            )
        })
    });
    let client = Client::connect(simulator.url())
        .transport(detour)
        .login("root", "xensource")
        .await
        .unwrap();
    let mut changes = client.watch().start();
    assert_eq!(next(&mut changes).await, Change::Init);
    match next(&mut changes).await {
        Change::Apply {
            record: AnyRecord::Other(class, value),
            ..
        } => {
            assert_eq!(
                (class.as_str(), value.get("size").and_then(xenapi::Value::as_int)),
                ("gizmo", Some(5))
            );
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_pool_that_elects_a_coordinator_is_waited_for() {
    let (simulator, client) = pool(2, 2).await;
    let mut changes = client.watch().classes([Class::Vm]).start();
    listed(&mut changes).await;
    let other = simulator.addresses()[1].clone();
    for host in [
        &other,
        &simulator.addresses()[0].clone(),
        &other,
        &simulator.addresses()[0].clone(),
    ] {
        simulator.fault(Fault::on("session.login_with_password").times(1).host_is_slave(host));
    }
    simulator.expire_sessions();
    let listed_again = listed(&mut changes).await;
    assert!(!listed_again.is_empty());
}

#[tokio::test]
async fn a_cache_that_gets_no_list_says_why() {
    let (simulator, client) = pool(1, 2).await;
    simulator.fault(Fault::on("event.from").error("INTERNAL_ERROR", ["Not_found"]));
    let filled = client.cache().patience(Duration::from_millis(200)).await;
    let error = filled.unwrap_err();
    assert!(error.to_string().contains("INTERNAL_ERROR"), "{error}");
    simulator.clear_faults();
    client.cache().patience(Duration::ZERO).await.unwrap();
}

#[tokio::test]
async fn a_forgotten_deletion_of_a_single_object_is_found() {
    let (simulator, client) = pool(1, 4).await;
    let vms = client.vms().all().await.unwrap();
    let mut changes = client
        .watch()
        .object(vms[0])
        .poll_limit(Duration::from_millis(200))
        .start();
    assert_eq!(listed(&mut changes).await, [vms[0]]);
    simulator.remove_silently("VM", &vms[1].to_wire());
    simulator.remove_silently("VM", &vms[0].to_wire());
    match next(&mut changes).await {
        Change::Delete(reference) => assert_eq!(reference.typed(), Some(vms[0])),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_has_no_events_is_not_waited_for() {
    let (_simulator, client) = pool(1, 2).await;
    let cache = client.cache().await.unwrap();
    let error = cache
        .wait_for(Ref::<xenapi::Session>::NULL, |_| true)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Config(_)), "{error}");
}
