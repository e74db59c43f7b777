//! What a log of everything shows, and what it does not.

use std::collections::BTreeSet;
use std::future::IntoFuture;
use std::io::Write;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock};

use xenapi::host::DisableExternalAuthOptions as LeaveHost;
use xenapi::pool::{DisableExternalAuthOptions as LeavePool, SyncUpdatesOptions};
use xenapi::{Client, Error, Map, PbdRecord, PoolSecretRecord, Ref, Session, ToValue};
use xenapi_sim::{Fault, Simulator};

const SECRET: &str = "hunter2";

/// A message that the bindings do not know, with a secret in its arguments.
const UNKNOWN: &str = "plugin.anything";

/// A log in memory.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// The log of everything in this process.
    fn of_all() -> Self {
        static LOG: OnceLock<Log> = OnceLock::new();
        LOG.get_or_init(|| {
            let log = Self::default();
            log.listen();
            log
        })
        .clone()
    }

    fn listen(&self) {
        let log = self.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_span_events(tracing_subscriber::fmt::format::FmtSpan::FULL)
            .with_writer(move || log.clone())
            .finish();
        tracing::subscriber::set_global_default(subscriber).expect("the only listener");
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

type Attempt = Pin<Box<dyn Future<Output = String>>>;

/// A call that fails, and all that its error says.
fn attempt<C: IntoFuture<Output = Result<T, Error>> + 'static, T: 'static>(call: C) -> Attempt {
    Box::pin(async move {
        let error = call.into_future().await.err().expect("refused");
        format!("{error} {error:?}")
    })
}

/// All messages of the bindings that have a secret among their arguments.
fn taking_secrets() -> BTreeSet<String> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/classes");
    let mut found = BTreeSet::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let mut message = "";
        for line in text.lines() {
            if let Some((_, begun)) = line.split_once(".begin").filter(|_| line.contains("(\"")) {
                message = begun.split('"').nth(1).unwrap();
            }
            if line.contains("secret_arg(") {
                found.insert(message.to_owned());
            }
        }
    }
    found
}

/// The class and message of an error's text.
fn refused_message(text: &str) -> Option<&str> {
    text.split([':', ' ']).next()
}

#[tokio::test]
#[expect(deprecated, reason = "an old message takes secrets too")]
async fn no_trace_and_no_error_repeats_a_secret() {
    let log = Log::of_all();
    let simulator = Simulator::builder().password(SECRET).build().unwrap();
    let connect = || {
        Client::connect(simulator.url())
            .transport(simulator.transport())
            .failover(false)
    };
    let wrong = format!("{SECRET}-wrong");
    let refused = connect().login("root", wrong.as_str()).await.unwrap_err();
    let client = connect().login("root", SECRET).await.unwrap();
    let session = client.session_reference().expose().to_owned();

    // All of them fail, and repeat what they were given, as a server might.
    let told = format!("it was {SECRET} in {session}");
    let taking_secrets = taking_secrets();
    for method in taking_secrets.iter().map(String::as_str).chain([UNKNOWN]) {
        let is_given_a_session = ["migrate", "recover", "trusted"]
            .iter()
            .any(|word| method.contains(word));
        let told = if is_given_a_session { &session } else { &told };
        simulator.fault(Fault::on(method).error("INTERNAL_ERROR", [told]));
    }
    let config: Map<String, String> = Map::from([("cifspassword", SECRET), ("pass", SECRET), ("server", "nas")]);
    let host = Ref::NULL;
    let mut pbd = PbdRecord::default();
    pbd.device_config = config.clone();
    let mut secret = PoolSecretRecord::default();
    secret.value = SECRET.to_owned();
    let sr = client.srs();
    let pool = client.pool(Ref::NULL);
    let vm = client.vm(Ref::NULL);
    let appliance = client.vm_appliance(Ref::NULL);
    let elsewhere: Ref<Session> = session.parse().unwrap();
    let destination = Map::from([("session_id", session.as_str())]);
    let host_leaves = LeaveHost {
        config: config.clone(),
        ..LeaveHost::default()
    };
    let pool_leaves = LeavePool { config: config.clone() };
    let updates = SyncUpdatesOptions {
        token: SECRET.to_owned(),
        password: SECRET.to_owned(),
        ..SyncUpdatesOptions::default()
    };
    let attempts: Vec<Attempt> = vec![
        attempt(client.sessions().change_password(SECRET, SECRET)),
        attempt(client.secret(Ref::NULL).set_value(SECRET)),
        attempt(client.secrets().create(&secret)),
        attempt(client.pbds().create(&pbd)),
        attempt(sr.probe(host, &config, "nfs")),
        attempt(sr.probe_ext(host, &config, "nfs")),
        attempt(sr.create(host, &config, 0, "", "", "nfs", "user", false)),
        attempt(client.host(host).install_server_certificate("-----BEGIN", SECRET)),
        attempt(client.host(host).enable_external_auth(&config, "lab", "AD")),
        attempt(pool.enable_external_auth(&config, "lab", "AD")),
        attempt(client.host(host).disable_external_auth_with(&host_leaves)),
        attempt(pool.disable_external_auth_with(&pool_leaves)),
        attempt(pool.configure_repository_proxy("http://proxy", "user", SECRET)),
        attempt(client.pools().join("10.0.0.9", "root", SECRET)),
        attempt(client.pools().join_force("10.0.0.9", "root", SECRET)),
        attempt(client.pools().initialize_wlb("wlb", "user", SECRET, "root", SECRET)),
        attempt(pool.sync_updates_with(false, &updates)),
        attempt(pool.sync_trusted_certificates_from("10.0.0.9", elsewhere, "", true)),
        attempt(client.dr_tasks().create("lvmoiscsi", &config, &[])),
        attempt(sr.make(host, &config, 0, "", "", "nfs", "user")),
        attempt(client.secret(Ref::NULL).set_other_config(&config)),
        attempt(client.secret(Ref::NULL).add_to_other_config("key", SECRET)),
        attempt(client.sessions().login_with_password("root", SECRET)),
        attempt(client.sessions().slave_local_login_with_password("root", SECRET)),
        attempt(vm.migrate_send(&destination, true, &Map::new(), &Map::new(), &Map::new())),
        attempt(vm.assert_can_migrate(&destination, true, &Map::new(), &Map::new(), &Map::new())),
        attempt(vm.assert_can_be_recovered(elsewhere)),
        attempt(vm.srs_required_for_recovery(elsewhere)),
        attempt(vm.recover(elsewhere, false)),
        attempt(vm.sysprep(SECRET, 1.0)),
        attempt(
            client
                .vms()
                .import_convert("vmware", "root", SECRET, Ref::NULL, &config),
        ),
        attempt(appliance.assert_can_be_recovered(elsewhere)),
        attempt(appliance.srs_required_for_recovery(elsewhere)),
        attempt(appliance.recover(elsewhere, false)),
        attempt(client.call(UNKNOWN, [config.to_value()])),
    ];
    let mut said = format!("{refused} {refused:?} {client:?}");
    let mut tried = BTreeSet::new();
    for attempt in attempts {
        let text = attempt.await;
        tried.extend(refused_message(&text).map(str::to_owned));
        said += &text;
    }
    let untried: Vec<_> = taking_secrets.difference(&tried).collect();
    assert!(
        taking_secrets.len() > 25 && untried.is_empty(),
        "not tried: {untried:?}"
    );
    let _ = client.logout().await;
    for text in [said, log.text()] {
        assert!(!text.contains(SECRET), "{text}");
        assert!(!text.contains(&session), "{text}");
        assert!(text.contains("INTERNAL_ERROR"), "the errors are there: {text}");
    }
}

#[tokio::test]
async fn a_trace_names_the_call_its_task_and_its_duration() {
    let log = Log::of_all();
    let simulator = Simulator::builder().vms(4).build().unwrap();
    let connect = Client::connect(simulator.url()).transport(simulator.transport());
    let client = connect.login("root", "xensource").await.unwrap();
    let vms = client.vms().all_records().await.unwrap();
    let halted = vms
        .iter()
        .find(|(_, vm)| vm.is_real_vm() && vm.power_state == xenapi::vm::PowerState::Halted);
    let halted = *halted.expect("a halted VM").0;
    client.vm(halted).start(false, false).await.unwrap();
    let text = log.text();
    assert!(text.contains("call{method=\"Async.VM.start\"}"), "{text}");
    assert!(
        text.contains("the task runs method=\"VM.start\" task=OpaqueRef:"),
        "{text}"
    );
    assert!(text.contains("answered milliseconds="), "{text}");
}
