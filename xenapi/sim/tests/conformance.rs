//! The conformance suite against the simulated pool, and against a real host where one is named.
//!
//! `XENAPI_CONFORMANCE_URL` and `XENAPI_CONFORMANCE_PIN` (SHA-256 of its certificate) name the host,
//! `XENAPI_CONFORMANCE_USER` and `XENAPI_PASSWORD` who logs in; `XENAPI_CONFORMANCE_WRITES=1` allows the checks that
//! change something.

mod common;

use std::env;
use std::sync::Arc;

use common::PASSWORD;
use common::tls::PinnedTransport;
use xenapi::Client;
use xenapi::transport::Transport;
use xenapi_sim::conformance::{Report, Suite, Verdict};
use xenapi_sim::{Fault, Simulator};

async fn run(url: &str, transport: impl Transport + Clone, user: &str, password: &str, writes: bool) -> Report {
    let connect = Client::connect(url).transport(transport.clone());
    let client = connect.login(user, password).await.unwrap();
    let suite = Suite::new(client, url, Arc::new(transport));
    if writes { suite.with_writes() } else { suite }.run().await
}

/// Every check passes, without a difference that needs an explanation.
fn assert_spotless(report: &Report) {
    assert!(report.outcomes.len() > 10);
    let spotless = |verdict: &Verdict| matches!(verdict, Verdict::Passed { notes } if notes.is_empty());
    assert!(
        report.outcomes.iter().all(|outcome| spotless(&outcome.verdict)),
        "{report}"
    );
}

#[tokio::test]
async fn the_simulated_pool_conforms() {
    let pool = Simulator::builder().hosts(2).vms(6).build().unwrap();
    let report = run(&pool.url(), pool.transport(), "root", PASSWORD, true).await;
    assert_spotless(&report);
}

#[tokio::test]
async fn what_does_not_conform_is_found_where_it_is() {
    let pool = Simulator::builder().vms(2).build().unwrap();
    let vm = pool.find("VM", "web-01").unwrap();
    pool.set("VM", &vm, "power_state", "Flying");
    pool.fault(Fault::on("/rrd_updates").error("INTERNAL_ERROR", ["broken"]));
    let report = run(&pool.url(), pool.transport(), "root", PASSWORD, false).await;
    let failed: Vec<_> = report.failures().map(|outcome| outcome.check).collect();
    let expected = [
        "all records are as the datamodel has them",
        "the first events are the full list",
        "metrics come as XML and as JSON",
    ];
    assert_eq!(failed, expected, "{report}");
    assert!(report.to_string().contains("Flying"));
}

#[tokio::test]
async fn it_conforms_over_tls_too() {
    let server = Simulator::builder().vms(2).start().await.unwrap();
    let transport = PinnedTransport(server.fingerprint_sha256().unwrap().to_owned());
    let report = run(server.url(), transport, "root", PASSWORD, false).await;
    assert_spotless(&report);
}

#[tokio::test]
async fn a_host_that_is_named_conforms() {
    let setting = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    let Some(url) = setting("XENAPI_CONFORMANCE_URL") else {
        eprintln!("skipped: XENAPI_CONFORMANCE_URL names no host");
        return;
    };
    let required = |name: &str| setting(name).unwrap_or_else(|| panic!("{name} is needed beside the URL"));
    let pin = required("XENAPI_CONFORMANCE_PIN").to_lowercase();
    let (user, password) = (required("XENAPI_CONFORMANCE_USER"), required("XENAPI_PASSWORD"));
    let writes = setting("XENAPI_CONFORMANCE_WRITES").as_deref() == Some("1");
    let report = run(&url, PinnedTransport(pin), &user, &password, writes).await;
    eprintln!("{report}");
    assert_eq!(report.failures().count(), 0, "{report}");
}
