//! The handlers that clients may use and few do.

mod common;

use bytes::Bytes;
use common::{Caller, args, fetch, pool, text};
use xenapi::Value;
use xenapi::transport::TransportError;

/// Sends a request that must be answered.
async fn request(caller: &Caller, method: &str, target: &str, body: &[u8]) -> (u16, String) {
    send(caller, method, target, body).await.unwrap()
}

/// Sends a request with the caller's session; the status and the body come back.
async fn send(caller: &Caller, method: &str, target: &str, body: &[u8]) -> Result<(u16, String), TransportError> {
    let separator = if target.contains('?') { '&' } else { '?' };
    let url = format!("{}{target}{separator}session_id={}", caller.url, caller.session);
    let request = http::Request::builder().method(method).uri(url);
    let request = request
        .header("content-length", body.len())
        .body(Bytes::copy_from_slice(body).into())
        .unwrap();
    let (status, body) = fetch(&caller.transport, request).await?;
    Ok((status, String::from_utf8(body).unwrap()))
}

/// The error of a task that a handler was given.
async fn failure_of(caller: &Caller, method: &str, path: &str, body: &[u8]) -> Vec<Value> {
    let task = caller.text("task.create", args!["transfer", ""]).await;
    let separator = if path.contains('?') { '&' } else { '?' };
    send(caller, method, &format!("{path}{separator}task_id={task}"), body)
        .await
        .ok();
    let record = caller.ok("task.get_record", args![task]).await;
    assert_eq!(text(&record, "status"), "failure");
    record.get("error_info").and_then(Value::as_array).unwrap().to_vec()
}

#[tokio::test]
async fn services_name_the_drivers_of_storage() {
    let (_, caller) = pool(|builder| builder.vms(0)).await;
    let json = async |path: &str| -> serde_json::Value {
        let (status, body) = request(&caller, "GET", path, b"").await;
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    };
    assert_eq!(json("/services").await["features"][0], "/services/SM");
    assert_eq!(json("/services/SM").await.as_array().unwrap().len(), 8);
    assert_eq!(json("/services/SM/nfs").await["name"], "NFS VHD");
    assert_eq!(request(&caller, "GET", "/services/SM/tape", b"").await.0, 404);
}

#[tokio::test]
async fn workload_balancing_is_not_set_up() {
    let (_, caller) = pool(|builder| builder.vms(0)).await;
    for path in ["/wlb_report?report=pool_health", "/wlb_diagnostics"] {
        let (status, page) = request(&caller, "GET", path, b"").await;
        assert!(status == 500 && page.contains("WLB_NOT_INITIALIZED"), "{page}");
        assert_eq!(
            failure_of(&caller, "GET", path, b"").await,
            args!["WLB_NOT_INITIALIZED"]
        );
    }
}

/// The first block of a tar archive.
fn archive() -> Vec<u8> {
    let mut bytes = vec![0; 1024];
    bytes[257..262].copy_from_slice(b"ustar");
    bytes
}

#[tokio::test]
async fn bundles_go_to_the_coordinators_repository() {
    let (simulator, caller) = pool(|builder| builder.hosts(2).vms(0)).await;
    let refused = failure_of(&caller, "PUT", "/bundle", &archive()).await;
    assert_eq!(refused, args!["BUNDLE_REPO_NOT_ENABLED"]);
    let repository = caller.text("Repository.introduce_bundle", args!["updates", ""]).await;
    let own = simulator.refs("pool").remove(0);
    caller
        .ok("pool.set_repositories", args![own, [repository.as_str()].as_slice()])
        .await;
    let refused = failure_of(&caller, "PUT", "/bundle", b"no archive").await;
    assert_eq!(refused[0], Value::String("BUNDLE_UNPACK_FAILED".to_owned()));
    let task = caller.text("task.create", args!["bundle", ""]).await;
    let (status, _) = request(&caller, "PUT", &format!("/bundle?task_id={task}"), &archive()).await;
    assert_eq!((status, caller.wait(&task).await.as_str()), (200, "success"));
    let member = Caller {
        url: format!("https://{}", simulator.addresses()[1]),
        ..caller.clone()
    };
    assert_eq!(request(&member, "PUT", "/bundle", &archive()).await.0, 302);
}
