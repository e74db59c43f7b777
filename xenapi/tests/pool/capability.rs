//! What the server knows, and what a session may do.

use xenapi::Client;
use xenapi_sim::{Role, Simulator};

use crate::pool;

#[tokio::test]
async fn what_the_server_knows_is_known() {
    let (_simulator, client) = pool(1, 1).await;
    let able = client.capabilities().await.unwrap();
    assert!(able.supports("VM.snapshot") && able.supports("Async.VM.snapshot"));
    assert!(!able.supports("VM.levitate") && !able.supports("VMPP.create"));
    assert_eq!(able.api_version().0, 2);
    assert_eq!(
        (able.since("VM.start"), able.least_role("VM.start")),
        (Some("rio"), Some("vm-operator"))
    );
    assert!(able.may("VM.start") && able.forbidden(["pool.eject", "VM.start"]).is_empty());

    assert!(client.supports("VM.snapshot").await.unwrap());
    assert!(!client.supports("VM.levitate").await.unwrap());
}

#[tokio::test]
async fn what_was_refused_as_unknown_is_remembered() {
    let (simulator, client) = pool(1, 1).await;
    assert!(client.supports("VM.get_all").await.unwrap());
    simulator.fault(xenapi_sim::Fault::on("VM.get_all").error("MESSAGE_METHOD_UNKNOWN", ["VM.get_all"]));
    assert!(client.vms().all().await.is_err());
    assert!(!client.supports("VM.get_all").await.unwrap());
    assert!(!client.capabilities().await.unwrap().supports("VM.get_all"));
}

#[tokio::test]
async fn a_role_is_tried_dry() {
    let simulator = Simulator::builder()
        .vms(2)
        .user("eve", "pw", Role::VmOperator)
        .build()
        .unwrap();
    let connect = Client::connect(simulator.url()).transport(simulator.transport());
    let client = connect.login("eve", "pw").await.unwrap();
    let able = client.capabilities().await.unwrap();
    assert_eq!(
        able.forbidden(["VM.start", "VM.destroy", "pool.eject", "VM.get_all"]),
        ["VM.destroy", "pool.eject"]
    );
    let vm = *client.vms().all().await.unwrap().first().unwrap();
    let error = client.vm(vm).destroy().now().await.unwrap_err();
    assert_eq!(error.code(), Some(&xenapi::ErrorCode::RbacPermissionDenied));
}
