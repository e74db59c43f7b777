//! What a log of everything shows, and what it does not.

use std::future::IntoFuture;
use std::io::Write;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock};

use xenapi::{Client, Error, Map, PbdRecord, PoolSecretRecord, Ref, ToValue};
use xenapi_sim::{Fault, Simulator};

const SECRET: &str = "hunter2";

/// All messages whose arguments can hold a secret.
const TAKING_SECRETS: [&str; 16] = [
    "session.change_password",
    "secret.set_value",
    "secret.create",
    "PBD.create",
    "SR.probe",
    "SR.probe_ext",
    "SR.create",
    "host.install_server_certificate",
    "host.enable_external_auth",
    "pool.enable_external_auth",
    "pool.configure_repository_proxy",
    "pool.join",
    "pool.join_force",
    "pool.initialize_wlb",
    "VM.sysprep",
    "plugin.anything",
];

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

#[tokio::test]
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
    for method in TAKING_SECRETS {
        simulator.fault(Fault::on(method).error("INTERNAL_ERROR", [SECRET, &told]));
    }
    let config: Map<String, String> = Map::from([("cifspassword", SECRET), ("pass", SECRET), ("server", "nas")]);
    let host = Ref::NULL;
    let mut pbd = PbdRecord::default();
    pbd.device_config = config.clone();
    let mut secret = PoolSecretRecord::default();
    secret.value = SECRET.to_owned();
    let sr = client.srs();
    let pool = client.pool(Ref::NULL);
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
        attempt(pool.configure_repository_proxy("http://proxy", "user", SECRET)),
        attempt(client.pools().join("10.0.0.9", "root", SECRET)),
        attempt(client.pools().join_force("10.0.0.9", "root", SECRET)),
        attempt(client.pools().initialize_wlb("wlb", "user", SECRET, "root", SECRET)),
        attempt(client.vm(Ref::NULL).sysprep(SECRET, 1.0)),
        attempt(client.call("plugin.anything", [config.to_value()])),
    ];
    let mut said = format!("{refused} {refused:?} {client:?}");
    for attempt in attempts {
        said += &attempt.await;
    }
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
