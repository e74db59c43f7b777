//! Logging in, again and out; the coordinator.

use xenapi::wire::Encoding;
use xenapi::{Client, Error, ErrorCode, bulk};
use xenapi_sim::{Fault, Simulator};

use crate::{client, pool};

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
    assert!(matches!(error, Error::Config(_)), "{error}");
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
