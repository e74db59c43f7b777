//! Logging in, again and out; the coordinator.

use std::time::Duration;

use xenapi::wire::Encoding;
use xenapi::{Client, Error, ErrorCode, bulk};
use xenapi_sim::{Fault, Simulator};

use crate::detour::Detour;
use crate::{client, eventually, pool};

#[tokio::test]
async fn a_wrong_password_is_said_and_not_repeated() {
    let simulator = Simulator::builder().build().unwrap();
    let transport = std::sync::Arc::new(simulator.transport());
    let error = Client::connect(simulator.url())
        .transport(transport)
        .login("root", "hunter2")
        .await
        .unwrap_err();
    assert_eq!(error.code(), Some(&ErrorCode::SessionAuthenticationFailed));
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}

#[tokio::test]
async fn forty_calls_share_one_new_login_when_the_session_is_gone() {
    let (simulator, client) = pool(1, 2).await;
    let before = simulator.counters().calls("session.login_with_password");
    simulator.expire_sessions();
    let results = bulk((0..40).map(|_| client.vms().all())).concurrency(40).run().await;
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(simulator.counters().calls("session.login_with_password") - before, 1);
}

#[tokio::test]
async fn a_session_of_somebody_else_is_used_and_left_alone() {
    let (simulator, owner) = pool(1, 2).await;
    let transport = std::sync::Arc::new(simulator.transport());
    let guest = Client::connect(simulator.url())
        .transport(transport)
        .session(owner.session_reference())
        .await
        .unwrap();
    guest.vms().all().await.unwrap();
    guest.logout().await.unwrap();
    owner.vms().all().await.expect("still logged in");

    owner.logout().await.unwrap();
    let error = guest.vms().all().await.unwrap_err();
    assert_eq!(error.code(), Some(&ErrorCode::SessionInvalid));
    let shown = format!("{error} {error:?} {:?} {:?}", guest, guest.session_reference());
    assert!(!shown.contains(guest.session_reference().expose()), "{shown}");
}

#[tokio::test]
async fn the_last_clone_logs_out() {
    let (simulator, client) = pool(1, 1).await;
    let clone = client.clone();
    drop(client);
    clone.vms().all().await.unwrap();
    assert_eq!(simulator.counters().calls("session.logout"), 0);
    drop(clone);
    for _ in 0..100 {
        if simulator.counters().calls("session.logout") == 1 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("no logout");
}

#[tokio::test]
async fn a_login_at_a_member_goes_to_the_coordinator() {
    let simulator = Simulator::builder().hosts(3).build().unwrap();
    let member = format!("https://{}", simulator.addresses()[2]);
    let transport = std::sync::Arc::new(simulator.transport());
    let client = Client::connect(member)
        .transport(transport)
        .login("root", "xensource")
        .await
        .unwrap();
    assert_eq!(client.address(), simulator.addresses()[0]);
    client.vms().all().await.unwrap();
}

#[tokio::test]
async fn a_coordinator_that_moves_is_followed() {
    let (simulator, client) = pool(3, 2).await;
    client.vms().all().await.unwrap();
    simulator.promote(1);
    client.vms().all().await.unwrap();
    assert_eq!(client.address(), simulator.addresses()[1]);
}

#[tokio::test]
async fn hosts_that_point_at_each_other_end_in_an_error() {
    let simulator = Simulator::builder().hosts(2).build().unwrap();
    simulator.fault(Fault::on("session.login_with_password").host_is_slave(&simulator.addresses()[1].clone()));
    let transport = std::sync::Arc::new(simulator.transport());
    let error = Client::connect(simulator.url())
        .transport(transport)
        .login("root", "xensource")
        .await
        .unwrap_err();
    assert!(
        matches!(error, Error::Connect { .. }) && error.to_string().contains("from one host to the next"),
        "{error}"
    );
}

#[tokio::test]
async fn a_local_login_works_on_a_member() {
    let simulator = Simulator::builder().hosts(2).build().unwrap();
    let member = format!("https://{}", simulator.addresses()[1]);
    let transport = std::sync::Arc::new(simulator.transport());
    let client = Client::connect(member)
        .transport(transport)
        .login_local("root", "xensource")
        .await
        .unwrap();
    assert_eq!(client.address(), simulator.addresses()[1]);
    client.logout().await.unwrap();
}

#[tokio::test]
async fn json_is_tried_first() {
    let (simulator, first) = pool(1, 1).await;
    assert_eq!(first.encoding(), Encoding::Json);
    let chosen = client(&simulator, Some(Encoding::Xml)).await;
    assert_eq!(chosen.encoding(), Encoding::Xml);
}

#[tokio::test]
async fn after_a_logout_nothing_logs_in_again() {
    let (simulator, client) = pool(1, 1).await;
    client.logout().await.unwrap();
    let before = simulator.counters().calls("session.login_with_password");
    let error = client.vms().all().await.unwrap_err();
    assert_eq!(error.code(), Some(&ErrorCode::SessionInvalid));
    assert_eq!(simulator.counters().calls("session.login_with_password"), before);
}

/// A server from before JSON-RPC: it takes every request for XML.
fn without_json(simulator: &Simulator) -> std::sync::Arc<Detour> {
    Detour::new(simulator, |request| {
        let fault = || b"<methodResponse/>".to_vec();
        (request.uri().path() == "/jsonrpc").then(|| (200, ("content-type", "text/xml".to_owned()), fault()))
    })
}

#[tokio::test]
async fn a_server_without_json_is_spoken_to_in_xml() {
    let (simulator, owner) = pool(1, 2).await;
    let connect = || Client::connect(simulator.url()).transport(without_json(&simulator));
    let own = connect().login("root", "xensource").await.unwrap();
    let handed_in = connect().session(owner.session_reference()).await.unwrap();
    for client in [own, handed_in] {
        client.vms().all().await.unwrap();
        assert_eq!(client.encoding(), Encoding::Xml);
    }
}

#[tokio::test]
async fn a_handed_in_session_moves_to_the_coordinator() {
    let (simulator, owner) = pool(3, 2).await;
    let guest = Client::connect(format!("https://{}", simulator.addresses()[2]))
        .transport(std::sync::Arc::new(simulator.transport()))
        .session(owner.session_reference())
        .await
        .unwrap();
    guest.vms().all().await.unwrap();
    assert_eq!(guest.address(), simulator.addresses()[0]);
}

#[tokio::test]
async fn a_local_login_stays_where_it_is() {
    let simulator = Simulator::builder().hosts(2).build().unwrap();
    let member = Client::connect(format!("https://{}", simulator.addresses()[1]))
        .transport(std::sync::Arc::new(simulator.transport()))
        .login_local("root", "xensource")
        .await
        .unwrap();
    simulator.fault(Fault::on("VM.get_all").host_is_slave(&simulator.addresses()[0].clone()));
    let error = member.vms().all().await.unwrap_err();
    assert_eq!(error.code(), Some(&ErrorCode::HostIsSlave));
    assert_eq!(member.address(), simulator.addresses()[1]);
}

#[tokio::test]
async fn a_password_that_no_longer_works_is_tried_once_for_all_calls() {
    let (simulator, client) = pool(1, 2).await;
    let before = simulator.counters().calls("session.login_with_password");
    simulator.expire_sessions();
    let refusal = Fault::on("session.login_with_password").error("SESSION_AUTHENTICATION_FAILED", ["root", "no"]);
    simulator.fault(refusal);
    let results = bulk((0..30).map(|_| client.vms().all())).concurrency(30).run().await;
    let refused = |result: &Result<_, Error>| match result {
        Err(error) => error.code() == Some(&ErrorCode::SessionAuthenticationFailed),
        Ok(_) => false,
    };
    assert!(results.iter().all(refused));
    assert_eq!(simulator.counters().calls("session.login_with_password") - before, 1);
}

#[tokio::test]
async fn a_login_that_nobody_waits_for_leaves_no_session() {
    let simulator = Simulator::builder().build().unwrap();
    simulator.fault(Fault::on("session.login_with_password").delay(Duration::from_millis(100)));
    let login = Client::connect(simulator.url())
        .transport(std::sync::Arc::new(simulator.transport()))
        .login("root", "xensource");
    assert!(tokio::time::timeout(Duration::from_millis(20), login).await.is_err());
    eventually("the login", || {
        simulator.counters().calls("session.login_with_password") == 1
    })
    .await;
    eventually("the logout", || simulator.counters().calls("session.logout") == 1).await;
    eventually("no session", || simulator.refs("session").is_empty()).await;
}

#[tokio::test]
async fn a_logout_outlasts_a_login_that_is_under_way() {
    let (simulator, client) = pool(1, 1).await;
    simulator.expire_sessions();
    simulator.fault(Fault::on("session.login_with_password").delay(Duration::from_millis(100)));
    let call = tokio::spawn(client.vms().all());
    eventually("the login", || {
        simulator.counters().calls("session.login_with_password") == 2
    })
    .await;
    client.logout().await.unwrap();
    let _ = call.await.unwrap();
    assert!(simulator.refs("session").is_empty());
    assert!(client.session_reference().expose().is_empty());
}

#[tokio::test]
async fn a_reply_too_long_to_hold_is_given_up() {
    let simulator = Simulator::builder().vms(20).build().unwrap();
    let client = Client::connect(simulator.url())
        .transport(std::sync::Arc::new(simulator.transport()))
        .most_reply_bytes(4000)
        .login("root", "xensource")
        .await
        .unwrap();
    let error = client.vms().all_records().await.unwrap_err();
    assert!(matches!(error, Error::Interrupted(_)), "{error}");
}

/// The certificates are asked for when the hosts are known.
async fn members_are_known(simulator: &Simulator) {
    eventually("the members are known", || {
        simulator.counters().calls("Certificate.get_all_records") == 1
    })
    .await;
}

#[tokio::test]
async fn another_host_takes_over() {
    let (simulator, client) = pool(3, 4).await;
    members_are_known(&simulator).await;
    simulator.set_reachable(0, false);
    simulator.promote(2);
    client.vms().all().await.expect("found at the new coordinator");
    assert_eq!(client.address(), simulator.addresses()[2]);
}

#[tokio::test]
async fn a_change_goes_elsewhere_only_where_nothing_of_it_was_sent() {
    let (simulator, client) = pool(3, 4).await;
    let vm = *client.vms().all().await.unwrap().first().unwrap();
    members_are_known(&simulator).await;
    simulator.fault(Fault::on("VM.set_name_label").reset());
    let error = client.vm(vm).set_name_label("once").await.unwrap_err();
    assert!(matches!(error, Error::Lost(_)), "{error}");
    assert_eq!(simulator.counters().calls("VM.set_name_label"), 1);

    simulator.clear_faults();
    simulator.set_reachable(0, false);
    simulator.promote(1);
    client
        .vm(vm)
        .set_name_label("twice")
        .await
        .expect("nothing had been sent");
}

#[tokio::test]
async fn a_read_outlasts_broken_connections() {
    let (simulator, client) = pool(1, 4).await;
    simulator.fault(Fault::on("VM.get_all").times(3).reset());
    client.vms().all().await.unwrap();
    assert_eq!(simulator.counters().calls("VM.get_all"), 4);
}

#[tokio::test]
async fn a_login_whose_answer_is_lost_is_repeated_once() {
    let (simulator, client) = pool(1, 2).await;
    let logins = || simulator.counters().calls("session.login_with_password");
    let lost = Fault::on("session.login_with_password").times(1).reset();
    simulator.expire_sessions();
    simulator.fault(lost.clone());
    client.vms().all().await.expect("the second login");
    assert_eq!(logins(), 3);

    simulator.fault(lost.times(u64::MAX));
    for calls in [1, 30] {
        simulator.expire_sessions();
        let before = logins();
        let results = bulk((0..calls).map(|_| client.vms().all())).concurrency(30).run().await;
        let is_lost = |result: &Result<_, Error>| matches!(result, Err(Error::Interrupted(_)));
        assert!(results.iter().all(is_lost), "{results:?}");
        assert_eq!(logins() - before, 2, "{calls} calls at once");
    }
}
