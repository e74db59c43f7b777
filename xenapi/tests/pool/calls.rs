//! Calls, their errors, and what several messages do together.

use std::time::Duration;

use xenapi::wire::Encoding;
use xenapi::{Error, ErrorCode, ErrorKind, Ref, SecretString, ToValue, Value, Vm, bulk};
use xenapi_sim::{Fault, Simulator};

use crate::{client, halted_and_running, pool};

#[tokio::test]
async fn both_encodings_give_the_same_records() {
    let simulator = Simulator::builder().hosts(2).vms(12).build().unwrap();
    let json = client(&simulator, Some(Encoding::Json)).await;
    let xml = client(&simulator, Some(Encoding::Xml)).await;
    assert_eq!(
        json.vms().all_records().await.unwrap(),
        xml.vms().all_records().await.unwrap()
    );
    assert_eq!(
        json.vdis().all_records().await.unwrap(),
        xml.vdis().all_records().await.unwrap()
    );
    assert_eq!(
        json.hosts().all_records().await.unwrap(),
        xml.hosts().all_records().await.unwrap()
    );
}

#[tokio::test]
async fn disks_and_their_sizes_take_three_calls() {
    let (simulator, client) = pool(1, 8).await;
    let before = simulator.counters();
    let (vms, vbds, vdis) = tokio::try_join!(
        client.vms().all_records(),
        client.vbds().all_records(),
        client.vdis().all_records()
    )
    .unwrap();
    let real: Vec<_> = vms.values().filter(|vm| vm.is_real_vm()).collect();
    assert_eq!(real.len(), 8, "templates, snapshots and control domains are left out");
    for vm in real {
        let disks = vm.disks(&vbds, &vdis);
        assert!(!disks.is_empty(), "{} has a disk", vm.name_label);
        assert!(disks.iter().all(|disk| disk.vdi.virtual_size > 0));
    }
    let after = simulator.counters();
    for message in ["VM.get_all_records", "VBD.get_all_records", "VDI.get_all_records"] {
        assert_eq!(after.calls(message) - before.calls(message), 1, "{message}");
    }
}

#[tokio::test]
async fn an_error_has_its_code_its_parameters_by_name_and_a_kind() {
    let (_simulator, client) = pool(1, 4).await;
    let (_, running) = halted_and_running(&client).await;
    let error = client.vm(running).start(false, false).now().await.unwrap_err();
    assert_eq!(error.code(), Some(&ErrorCode::VmBadPowerState));
    let api = error.api().unwrap();
    assert_eq!(
        api.params(),
        [running.to_wire(), "halted".to_owned(), "running".to_owned()]
    );
    assert_eq!(api.param("vm"), Some(running.to_wire().as_str()));
    assert_eq!(api.kind(), ErrorKind::Conflict);
    assert!(
        error.to_string().starts_with("VM.start: VM_BAD_POWER_STATE ("),
        "{error}"
    );
}

#[tokio::test]
async fn an_error_code_of_a_newer_server_is_kept() {
    let (simulator, client) = pool(1, 1).await;
    simulator.fault(Fault::on("VM.get_all").error("MOON_PHASE_WRONG", ["full"]));
    let error = client.vms().all().await.unwrap_err();
    assert_eq!(error.code(), Some(&ErrorCode::Other("MOON_PHASE_WRONG".into())));
    assert_eq!(error.api().unwrap().params(), ["full"]);
}

#[tokio::test]
async fn any_message_can_be_called_by_name() {
    let (_simulator, client) = pool(1, 2).await;
    let answer = client
        .call("VM.get_by_name_label", ["web-01".to_value()])
        .await
        .unwrap();
    let reference: Ref<Vm> = answer.as_array().unwrap()[0].as_str().unwrap().parse().unwrap();
    assert_eq!(client.vm(reference).name_label().await.unwrap(), "web-01");
    let error = client.call("VM.fly", [Value::Bool(true)]).await.unwrap_err();
    assert_eq!(error.code(), Some(&ErrorCode::MessageMethodUnknown));
}

#[tokio::test]
async fn what_the_server_would_not_take_is_not_sent() {
    let (simulator, client) = pool(1, 1).await;
    let vm = client.vm(client.vms().all().await.unwrap()[0]);
    let before = simulator.counters().calls("VM.set_name_description");
    let long = vm.set_name_description(&"x".repeat(400 << 10)).await.unwrap_err();
    assert!(matches!(long, Error::Unsendable { .. }), "{long}");
    assert!(long.to_string().contains("307200"), "{long}");
    let xml = crate::client(&simulator, Some(Encoding::Xml)).await;
    let control = xml
        .vm(vm.reference())
        .set_name_description("a\u{1}b")
        .await
        .unwrap_err();
    assert!(matches!(control, Error::Unsendable { .. }), "{control}");
    assert_eq!(simulator.counters().calls("VM.set_name_description"), before);
}

#[tokio::test]
async fn a_broken_connection_is_told_apart_by_what_was_asked() {
    let (simulator, client) = pool(1, 2).await;
    let (halted, _) = halted_and_running(&client).await;
    simulator.fault(Fault::on("VM.get_all").reset());
    simulator.fault(Fault::on("VM.start").reset());
    let read = client.vms().all().await.unwrap_err();
    assert!(matches!(read, Error::Interrupted(_)), "{read}");
    let before = simulator.counters().calls("VM.start");
    let change = client.vm(halted).start(false, false).now().await.unwrap_err();
    assert!(matches!(change, Error::Lost(_)), "{change}");
    assert_eq!(
        simulator.counters().calls("VM.start") - before,
        1,
        "a mutation of unknown fate is not sent again"
    );
}

#[tokio::test]
async fn a_call_ends_at_its_limit() {
    let (simulator, client) = pool(1, 1).await;
    simulator.fault(Fault::on("VM.get_all").delay(Duration::from_secs(30)));
    let error = client.vms().all().timeout(Duration::from_millis(50)).await.unwrap_err();
    assert!(matches!(error, Error::Timeout(_)), "{error}");
}

#[tokio::test]
async fn an_iso_goes_into_forty_vms_and_one_failure_stops_none() {
    let (simulator, client) = pool(2, 40).await;
    let (iso, _) = client.isos().await.unwrap()[0].clone();
    let vms = client.vms().all_records().await.unwrap();
    let targets: Vec<_> = vms
        .iter()
        .filter(|(_, vm)| vm.is_real_vm())
        .map(|(&vm, _)| vm)
        .collect();
    simulator.fault(
        Fault::on("VBD.insert")
            .times(1)
            .error("VBD_TRAY_LOCKED", ["OpaqueRef:NULL"]),
    );
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let sink = seen.clone();
    let results = bulk(targets.iter().map(|&vm| client.vm(vm).insert_iso(iso)))
        .concurrency(8)
        .on_done(move |done| sink.lock().unwrap().push(done))
        .run()
        .await;
    assert_eq!(results.len(), 40);
    assert_eq!(results.iter().filter(|result| result.is_err()).count(), 1);
    assert_eq!(*seen.lock().unwrap(), (1..=40).collect::<Vec<_>>());
    let loaded = client.vbds().all_records().await.unwrap();
    assert_eq!(loaded.values().filter(|vbd| vbd.vdi == iso).count(), 39);

    let again = bulk(targets.iter().map(|&vm| client.vm(vm).insert_iso(iso)))
        .run()
        .await;
    assert!(
        again.iter().all(Result::is_ok),
        "what is in the drive already is left there"
    );
    let ejected = bulk(targets.iter().map(|&vm| client.vm(vm).eject_iso())).run().await;
    assert!(ejected.iter().all(Result::is_ok));
    let emptied = client.vbds().all_records().await.unwrap();
    assert_eq!(emptied.values().filter(|vbd| vbd.vdi == iso).count(), 0);
}

#[tokio::test]
async fn optional_arguments_are_sent_only_where_they_matter() {
    let (_simulator, client) = pool(1, 4).await;
    let (halted, _) = halted_and_running(&client).await;
    let plain = client.vm(halted).snapshot("plain").await.unwrap();
    assert!(client.vm(plain).is_a_snapshot().await.unwrap());
    let options = xenapi::vm::SnapshotOptions {
        ignore_vdis: client.vdis().all().await.unwrap(),
    };
    let bare = client.vm(halted).snapshot_with("bare", &options).await.unwrap();
    assert_eq!(client.vm(bare).name_label().await.unwrap(), "bare");
}

#[tokio::test]
async fn a_bulk_over_borrowed_names_runs_in_a_spawned_task() {
    let (_simulator, client) = pool(1, 4).await;
    let vms = client.vms().all().await.unwrap();
    let renamed = tokio::spawn(async move {
        xenapi::bulk(vms.iter().map(|&vm| client.vm(vm).name_label()))
            .run()
            .await
            .len()
    });
    assert!(renamed.await.unwrap() >= 4);
}

#[tokio::test]
async fn a_script_runs_in_a_guest_within_the_limits() {
    let (simulator, client) = pool(1, 4).await;
    let (_, running) = halted_and_running(&client).await;
    let vm = client.vm(running);
    let password = SecretString::new("a guest's password");
    let run = |script: &str| vm.run_script("Administrator", &password, script);
    let forbidden = run("echo a").await.unwrap_err();
    assert_eq!(forbidden.code(), Some(&ErrorCode::OperationNotAllowed), "{forbidden}");
    let pools = client.pools().all_records().await.unwrap();
    let (&this, _) = pools.iter().next().unwrap();
    let allow = client
        .pool(this)
        .add_to_other_config("allow_guest_agent_run_script", "true");
    allow.await.unwrap();
    let before = simulator.counters();
    let long = run(&"x".repeat(1025)).await.unwrap_err();
    assert!(
        matches!(long, Error::Unsendable { .. }) && long.to_string().contains("1025 bytes"),
        "{long}"
    );
    assert_eq!(
        simulator.counters().calls("VM.call_plugin"),
        before.calls("VM.call_plugin")
    );

    let output = run("echo \"quoted\" \\ and\nnonsense\nexit 3").await.unwrap();
    assert_eq!((output.exit_code, &*output.stdout), (3, "\"quoted\" \\ and\n"));
    assert!(output.stderr.contains("nonsense"));
    let soon = run("echo a").await.unwrap_err();
    assert_eq!(soon.code(), Some(&ErrorCode::VmCallPluginRateLimit), "{soon}");
    assert!(!format!("{soon:?}").contains("a guest's password"));
}
