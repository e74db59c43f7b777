//! Logging in, staying in, being thrown out; several hosts.

mod common;

use std::time::Duration;

use common::{Caller, PASSWORD, args, pool};
use xenapi::transport::Transport;
use xenapi::wire::Encoding;
use xenapi::{ToValue, Value};

#[tokio::test]
async fn a_session_can_be_read_and_ends() {
    let (_, caller) = pool(|builder| builder.vms(0)).await;
    let record = caller.ok("session.get_record", args![caller.session]).await;
    assert_eq!(record.get("originator"), Some(&"test".to_value()));
    assert_eq!(record.get("is_local_superuser"), Some(&Value::Bool(true)));
    caller.ok("session.logout", args![]).await;
    assert_eq!(
        caller.err("VM.get_all", args![]).await,
        ["SESSION_INVALID", caller.session.as_str()]
    );
}

#[tokio::test]
async fn sessions_expire_a_day_after_their_last_call() {
    let (pool, caller) = pool(|builder| builder.vms(0)).await;
    pool.advance(Duration::from_secs(23 * 3600));
    caller.ok("VM.get_all", args![]).await;
    pool.advance(Duration::from_secs(23 * 3600));
    caller.ok("VM.get_all", args![]).await;
    pool.advance(Duration::from_secs(25 * 3600));
    assert_eq!(caller.err("VM.get_all", args![]).await[0], "SESSION_INVALID");
}

#[tokio::test]
async fn an_originator_with_too_many_sessions_loses_its_oldest() {
    let (pool, oldest) = pool(|builder| builder.vms(0).session_limit(2)).await;
    let mut others = vec![Caller::new(&pool, Encoding::Json); 2];
    for other in &mut others {
        pool.advance(Duration::from_secs(1));
        other.login().await;
    }
    assert_eq!(oldest.err("VM.get_all", args![]).await[0], "SESSION_INVALID");
    for other in others {
        other.ok("VM.get_all", args![]).await;
    }
}

#[tokio::test]
async fn members_send_callers_to_the_coordinator() {
    let (pool, caller) = pool(|builder| builder.hosts(2).vms(0)).await;
    let member = Caller {
        url: format!("https://{}", pool.addresses()[1]),
        ..caller.clone()
    };
    let away = vec!["HOST_IS_SLAVE".to_owned(), pool.addresses()[0].clone()];
    assert_eq!(member.err("VM.get_all", args![]).await, away);
    let login = member.raw("session.login_with_password", args!["root", PASSWORD]).await;
    assert_eq!(login.unwrap_err(), away);
    let local = member
        .raw("session.slave_local_login_with_password", args!["root", PASSWORD])
        .await
        .unwrap();
    let local = Caller {
        session: local.as_str().unwrap().to_owned(),
        ..member
    };
    local.ok("host.get_all", args![]).await;
    local.ok("session.local_logout", args![]).await;
    assert_eq!(local.err("host.get_all", args![]).await[0], "HOST_IS_SLAVE");
}

#[tokio::test]
async fn a_member_names_the_coordinators_certificate_when_asked() {
    let (pool, _) = pool(|builder| builder.hosts(2).vms(0)).await;
    let body = xenapi::wire::json::request(
        "session.login_with_password",
        &["root", PASSWORD].map(|text| text.to_value()),
        1,
    )
    .unwrap();
    let request = http::Request::post(format!("https://{}/jsonrpc", pool.addresses()[1]))
        .header("x-xenapi-request-host-certificate-thumbprint", "sha-256:master")
        .body(body.into())
        .unwrap();
    let response = pool.transport().send(request).await.unwrap();
    let told = response
        .headers()
        .get("x-xenapi-response-host-certificate-thumbprint")
        .unwrap();
    assert_eq!(told.to_str().ok(), pool.fingerprint_sha256(0));
}

#[tokio::test]
async fn another_host_takes_over() {
    let (pool, caller) = pool(|builder| builder.hosts(2).vms(0)).await;
    pool.set_reachable(0, false);
    pool.promote(1);
    let unreachable = caller.err("VM.get_all", args![]).await;
    assert!(unreachable[0].contains("no host"), "{unreachable:?}");
    let mut caller = Caller {
        url: pool.url(),
        ..caller
    };
    assert_eq!(caller.err("VM.get_all", args![]).await[0], "SESSION_INVALID");
    caller.login().await;
    caller.ok("VM.get_all", args![]).await;
    pool.set_reachable(0, true);
    let old = Caller {
        url: format!("https://{}", pool.addresses()[0]),
        ..caller.clone()
    };
    assert_eq!(
        old.err("VM.get_all", args![]).await,
        ["HOST_IS_SLAVE", pool.addresses()[1].as_str()]
    );
    let record = caller.ok("pool.get_all_records", args![]).await;
    let master = record.as_struct().unwrap()[0]
        .1
        .get("master")
        .unwrap()
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        caller.text("host.get_address", args![master]).await,
        pool.addresses()[1]
    );
}

#[tokio::test]
async fn the_pool_tells_the_fingerprints_of_its_certificates() {
    let (pool, caller) = pool(|builder| builder.hosts(2).vms(0)).await;
    let records = caller.ok("Certificate.get_all_records", args![]).await;
    assert_eq!(records.as_struct().unwrap().len(), 2);
    for (number, name) in ["host-01", "host-02"].into_iter().enumerate() {
        let host = pool.find("host", name).unwrap();
        let certificates = caller.ok("host.get_certificates", args![host]).await;
        let record = records
            .get(certificates.as_array().unwrap()[0].as_str().unwrap())
            .unwrap();
        let field = |name: &str| record.get(name).and_then(Value::as_str).unwrap();
        assert_eq!([field("type"), field("host")], ["host", &host]);
        assert_eq!(Some(field("fingerprint")), pool.fingerprint_sha256(number));
        assert_eq!(field("fingerprint"), field("fingerprint_sha256"));
        assert_eq!(field("fingerprint_sha1").len(), 59);
        let pem = caller.text("host.get_server_certificate", args![host]).await;
        assert!(pem.starts_with("-----BEGIN CERTIFICATE-----"), "{pem}");
    }
}
