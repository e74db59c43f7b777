//! Users who may not do everything.

mod common;

use bytes::Bytes;
use common::{Caller, PASSWORD, args, fetch, pool};
use xenapi::Value;
use xenapi::transport::Transport;
use xenapi_sim::{Role, Simulator};

async fn as_user(pool: &Simulator, name: &str) -> Caller {
    let mut caller = Caller::new(pool, xenapi::wire::Encoding::Json);
    let session = caller
        .raw("session.login_with_password", args![name, "secret"])
        .await
        .unwrap();
    caller.session = session.as_str().unwrap().to_owned();
    caller
}

async fn team() -> (Simulator, Caller) {
    pool(|builder| {
        builder
            .vms(2)
            .user("reader", "secret", Role::ReadOnly)
            .user("operator", "secret", Role::VmOperator)
            .user("admin", "secret", Role::PoolAdmin)
    })
    .await
}

#[tokio::test]
async fn each_role_may_call_its_messages() {
    let (pool, root) = team().await;
    let vm = pool.find("VM", "db-01").unwrap();
    let reader = as_user(&pool, "reader").await;
    reader.ok("VM.get_all_records", args![]).await;
    let able = "No permission in user session. (Roles with this permission: pool-admin, pool-operator, \
                vm-power-admin, vm-admin, vm-operator)";
    for start in ["VM.start", "Async.VM.start"] {
        let denied = reader.err(start, args![vm, false, false]).await;
        assert_eq!(denied, ["RBAC_PERMISSION_DENIED", "vm.start", able], "{start}");
    }
    let operator = as_user(&pool, "operator").await;
    operator.ok("VM.start", args![vm, false, false]).await;
    assert_eq!(
        operator.err("VM.destroy", args![vm]).await[..2],
        ["RBAC_PERMISSION_DENIED", "vm.destroy"]
    );
    let admin = as_user(&pool, "admin").await;
    for caller in [&root, &admin] {
        caller.ok("VM.hard_shutdown", args![vm]).await;
        caller.ok("VM.start", args![vm, false, false]).await;
    }
}

#[tokio::test]
async fn a_session_tells_who_it_is() {
    let (pool, root) = team().await;
    let reader = as_user(&pool, "reader").await;
    let record = reader.ok("session.get_record", args![reader.session]).await;
    assert_eq!(record.get("is_local_superuser"), Some(&Value::Bool(false)));
    assert_eq!(common::text(&record, "auth_user_name"), "reader");
    let permissions = record.get("rbac_permissions").and_then(Value::as_array).unwrap();
    let has = |name: &str| permissions.iter().any(|known| known.as_str() == Some(name));
    assert!(has("vm.get_record") && !has("vm.start"));
    let subject = common::text(&record, "subject");
    let roles = root.ok("subject.get_roles", args![subject]).await;
    let role = roles.as_array().unwrap()[0].as_str().unwrap();
    assert_eq!(root.text("role.get_name_label", args![role]).await, "read-only");
    let wrong = root.raw("session.login_with_password", args!["reader", PASSWORD]).await;
    assert_eq!(wrong.unwrap_err()[0], "SESSION_AUTHENTICATION_FAILED");
}

#[tokio::test]
async fn handlers_refuse_with_403_and_fail_the_task() {
    let (pool, root) = team().await;
    let reader = as_user(&pool, "reader").await;
    let task = root.text("task.create", args!["backup", ""]).await;
    let get = |caller: &Caller, path: &str| {
        let url = format!("{}{path}&session_id={}", caller.url, caller.session);
        http::Request::get(url).body(Bytes::new().into()).unwrap()
    };
    let path = format!("/host_backup?task_id={task}");
    let response = pool.transport().send(get(&reader, &path)).await.unwrap();
    assert_eq!(response.status(), 403);
    let info = root.ok("task.get_error_info", args![task]).await;
    let words: Vec<_> = info.as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(words[..2], ["RBAC_PERMISSION_DENIED", "http/get_host_backup"]);
    assert_eq!(
        fetch(&pool.transport(), get(&reader, "/host_rrd?json"))
            .await
            .unwrap()
            .0,
        200
    );
    assert_eq!(
        fetch(&pool.transport(), get(&root, "/host_backup?")).await.unwrap().0,
        200
    );
    // A password serves as well as a session, with the same role.
    let by_password = http::Request::get(format!("{}/host_backup", reader.url))
        .header("authorization", "Basic cmVhZGVyOnNlY3JldA==")
        .body(Bytes::new().into())
        .unwrap();
    assert_eq!(fetch(&pool.transport(), by_password).await.unwrap().0, 403);
}
