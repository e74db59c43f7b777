//! Opening consoles: on the right host, and refusals by their reasons.

use std::sync::{Arc, Mutex};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use xenapi::console::ConsoleProtocol;
use xenapi::transport::{BodyStream, Duplex, RequestBody, Transport, TransportError};
use xenapi::vm::PowerState;
use xenapi::{Client, ConsoleError, Error, Ref, Vm};
use xenapi_sim::{SimTransport, Simulator};

use crate::{client, halted_and_running};

/// What a host says to a request for a console: a status, and what follows the head.
type Answer = (u16, &'static [u8]);

/// A simulated pool whose consoles are answered here.
struct Consoles {
    pool: SimTransport,
    requests: Mutex<Vec<http::Request<()>>>,
    answer: Box<dyn Fn(usize) -> Answer + Send + Sync>,
}

impl std::fmt::Debug for Consoles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Consoles")
    }
}

impl Transport for Consoles {
    fn send(
        &self,
        request: http::Request<RequestBody>,
    ) -> BoxFuture<'_, Result<http::Response<BodyStream>, TransportError>> {
        self.pool.send(request)
    }

    fn connect(
        &self,
        request: http::Request<()>,
    ) -> BoxFuture<'_, Result<http::Response<Box<dyn Duplex>>, TransportError>> {
        let mut requests = self.requests.lock().unwrap();
        let (status, bytes) = (self.answer)(requests.len());
        requests.push(request);
        async move {
            let (ours, mut theirs) = tokio::io::duplex(1 << 10);
            tokio::spawn(async move {
                theirs.write_all(bytes).await.unwrap();
                if status == 200 {
                    let (mut keys, mut screen) = tokio::io::split(theirs);
                    let _ = tokio::io::copy(&mut keys, &mut screen).await;
                }
            });
            let response = http::Response::builder().status(status);
            Ok(response.body(Box::new(ours) as Box<dyn Duplex>).unwrap())
        }
        .boxed()
    }
}

struct Scene {
    simulator: Simulator,
    client: Client,
    consoles: Arc<Consoles>,
    halted: Ref<Vm>,
    running: Ref<Vm>,
}

impl Scene {
    async fn new(answer: impl Fn(usize) -> Answer + Send + Sync + 'static) -> Self {
        let simulator = Simulator::builder().hosts(3).vms(6).build().unwrap();
        Self::of(simulator, answer).await
    }

    async fn of(simulator: Simulator, answer: impl Fn(usize) -> Answer + Send + Sync + 'static) -> Self {
        let consoles = Arc::new(Consoles {
            pool: simulator.transport(),
            requests: Mutex::default(),
            answer: Box::new(answer),
        });
        let connect = Client::connect(simulator.url()).transport(consoles.clone());
        let client = connect.login("root", "xensource").await.unwrap();
        let (halted, running) = halted_and_running(&client).await;
        Self {
            simulator,
            client,
            consoles,
            halted,
            running,
        }
    }

    /// The hosts that were asked for a console.
    fn asked(&self) -> Vec<String> {
        let requests = self.consoles.requests.lock().unwrap();
        requests
            .iter()
            .map(|request| request.uri().host().unwrap().to_owned())
            .collect()
    }

    async fn address_of(&self, vm: Ref<Vm>) -> String {
        let host = self.client.vm(vm).resident_on().await.unwrap();
        self.client.host(host).address().await.unwrap()
    }
}

#[tokio::test]
async fn a_screen_comes_from_the_host_where_the_vm_runs() {
    let scene = Scene::new(|_| (200, b"RFB 003.003\n")).await;
    let vms = scene.client.vms().all_records().await.unwrap();
    for (&vm, _) in vms
        .iter()
        .filter(|(_, vm)| vm.is_real_vm() && vm.power_state == PowerState::Running)
    {
        let mut screen = scene.client.vm(vm).console().await.unwrap();
        let mut version = [0; 12];
        screen.read_exact(&mut version).await.unwrap();
        assert_eq!(&version, b"RFB 003.003\n");
        screen.write_all(b"hello").await.unwrap();
        let mut echo = [0; 5];
        screen.read_exact(&mut echo).await.unwrap();
        assert_eq!(&echo, b"hello");
        assert_eq!(scene.asked().pop(), Some(scene.address_of(vm).await));
        let requests = scene.consoles.requests.lock().unwrap();
        let request = requests.last().unwrap();
        assert_eq!(
            (request.method(), request.uri().path()),
            (&http::Method::CONNECT, "/console")
        );
        assert_eq!(
            request.uri().query().unwrap(),
            format!("ref={}", vm.to_wire().replace(':', "%3A"))
        );
        assert!(
            request.headers()["cookie"]
                .to_str()
                .unwrap()
                .starts_with("session_id=OpaqueRef")
        );
    }
    let hosts: std::collections::HashSet<_> = scene.asked().into_iter().collect();
    assert!(hosts.len() > 1, "{hosts:?}");
}

#[tokio::test]
async fn text_is_the_console_of_that_protocol() {
    let scene = Scene::new(|_| (200, b"login: ")).await;
    let vms = scene.client.vms().all_records().await.unwrap();
    let (&vm, record) = vms.iter().find(|(_, vm)| vm.is_control_domain).unwrap();
    let asked = || {
        scene
            .consoles
            .requests
            .lock()
            .unwrap()
            .last()
            .unwrap()
            .uri()
            .query()
            .unwrap()
            .to_owned()
    };
    let query = |reference: String| format!("ref={}", reference.replace(':', "%3A"));
    scene.client.vm(vm).console().text().await.unwrap();
    let text = asked();
    for &console in &record.consoles {
        let protocol = scene.client.console(console).protocol().await.unwrap();
        assert_eq!(query(console.to_wire()) == text, protocol == ConsoleProtocol::Vt100);
        scene.client.console(console).open().await.unwrap();
        assert_eq!(asked(), query(console.to_wire()));
        scene.simulator.set("console", &console.to_wire(), "protocol", "rfb");
    }
    assert!(record.consoles.len() > 1);
    let error = scene.client.vm(vm).console().text().await.unwrap_err();
    assert!(
        matches!(
            error,
            ConsoleError::Absent {
                protocol: ConsoleProtocol::Vt100,
                ..
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn a_vm_that_does_not_run_is_not_asked_for() {
    let scene = Scene::new(|_| (500, b"")).await;
    let error = scene.client.vm(scene.halted).console().await.unwrap_err();
    match &error {
        ConsoleError::NotRunning { vm, state } => assert_eq!((*vm, state), (scene.halted, &PowerState::Halted)),
        _ => panic!("{error}"),
    }
    assert!(error.to_string().contains("Halted"), "{error}");
    assert!(scene.asked().is_empty());
}

#[tokio::test]
async fn refusals_have_their_reasons() {
    let page: &[u8] = b"<html><body><p>User 'root' is currently connected to this console.</p></body></html>";
    for status in [401, 403, 404, 500, 503] {
        let scene = Scene::new(move |_| (status, page)).await;
        let error = scene.client.vm(scene.running).console().await.unwrap_err();
        let is_right = match status {
            401 => matches!(error, ConsoleError::Unauthorized(_)),
            403 => matches!(error, ConsoleError::Forbidden(_)),
            503 => matches!(error, ConsoleError::Limited(_)),
            _ => matches!(&error, ConsoleError::Refused(http) if http.status() == status),
        };
        assert!(is_right, "{error:?}");
        assert!(
            error.to_string().contains("User 'root' is currently connected"),
            "{error}"
        );
        assert_eq!(scene.asked().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn a_vm_that_moves_is_followed() {
    let simulator = Simulator::builder().hosts(3).vms(6).build().unwrap();
    let mover = simulator.clone();
    let moved: Arc<Mutex<Option<String>>> = Arc::default();
    let vm = moved.clone();
    let scene = Scene::of(simulator, move |count| {
        if count > 0 {
            return (200, b"RFB 003.003\n");
        }
        let vm = vm.lock().unwrap().clone().unwrap();
        let here = mover.get("VM", &vm, "resident_on").unwrap();
        let other = mover
            .refs("host")
            .into_iter()
            .find(|host| here.as_str() != Some(host))
            .unwrap();
        mover.set("VM", &vm, "resident_on", other);
        (500, b"")
    })
    .await;
    *moved.lock().unwrap() = Some(scene.running.to_wire());
    scene.client.vm(scene.running).console().await.unwrap();
    let asked = scene.asked();
    assert_eq!(asked.len(), 2);
    assert_ne!(asked[0], asked[1]);
    assert_eq!(asked[1], scene.address_of(scene.running).await);
}

#[tokio::test]
async fn a_session_that_is_gone_is_made_anew() {
    let simulator = Simulator::builder().hosts(2).vms(2).build().unwrap();
    let pool = simulator.clone();
    let scene = Scene::of(simulator, move |count| {
        if count > 0 {
            return (200, b"");
        }
        pool.expire_sessions();
        (401, b"")
    })
    .await;
    let old = scene.client.session_reference();
    scene.client.vm(scene.running).console().await.unwrap();
    assert_ne!(scene.client.session_reference().expose(), old.expose());
    let cookies: Vec<_> = scene
        .consoles
        .requests
        .lock()
        .unwrap()
        .iter()
        .map(|request| request.headers()["cookie"].clone())
        .collect();
    assert_ne!(cookies[0], cookies[1]);
}

#[tokio::test]
async fn a_transport_without_streams_says_so() {
    let simulator = Simulator::builder().vms(2).build().unwrap();
    #[derive(Debug)]
    struct Plain(SimTransport);
    impl Transport for Plain {
        fn send(
            &self,
            request: http::Request<RequestBody>,
        ) -> BoxFuture<'_, Result<http::Response<BodyStream>, TransportError>> {
            self.0.send(request)
        }
    }
    let connect = Client::connect(simulator.url()).transport(Plain(simulator.transport()));
    let plain = connect.login("root", "xensource").await.unwrap();
    let (_, running) = halted_and_running(&client(&simulator, None).await).await;
    let error = plain.vm(running).console().await.unwrap_err();
    assert!(matches!(error, ConsoleError::Other(Error::Connect { .. })), "{error:?}");
    assert!(error.to_string().contains("which consoles need"), "{error}");
}

/// A host behind TLS: its consoles greet, and all other requests go on to the simulated pool.
async fn front(simulator: &Simulator) -> (String, String) {
    let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = key.cert.der().clone();
    let fingerprint = ring::digest::digest(&ring::digest::SHA256, &certificate);
    let pin: String = fingerprint.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let secret = rustls::pki_types::PrivatePkcs8KeyDer::from(key.signing_key.serialize_der());
    let tls = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], secret.into())
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(tls));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let pool = simulator.listen("127.0.0.1:0").await.unwrap();
    for host in simulator.refs("host") {
        simulator.set("host", &host, "address", address.as_str());
    }
    tokio::spawn(async move {
        let behind = pool.url().trim_start_matches("http://").to_owned();
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let (acceptor, behind) = (acceptor.clone(), behind.clone());
            tokio::spawn(async move {
                let mut client = acceptor.accept(socket).await.unwrap();
                let mut first = [0; 7];
                client.read_exact(&mut first).await.unwrap();
                if &first == b"CONNECT" {
                    client.write_all(b"HTTP/1.1 200 OK\r\n\r\nRFB 003.008\n").await.unwrap();
                    client.flush().await.unwrap();
                    // Until the client closes.
                    let _ = client.read_to_end(&mut Vec::new()).await;
                    return;
                }
                let mut host = tokio::net::TcpStream::connect(behind).await.unwrap();
                host.write_all(&first).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut client, &mut host).await;
            });
        }
    });
    (format!("https://{address}"), pin)
}

#[tokio::test]
async fn over_tls_the_pin_holds_for_the_console_too() {
    let simulator = Simulator::builder().hosts(1).vms(2).build().unwrap();
    let (url, pin) = front(&simulator).await;
    let client = Client::connect(url)
        .pin_sha256(&pin)
        .login("root", "xensource")
        .await
        .unwrap();
    let (_, running) = halted_and_running(&client).await;
    let mut screen = client.vm(running).console().await.unwrap();
    let mut version = [0; 12];
    screen.read_exact(&mut version).await.unwrap();
    assert_eq!(&version, b"RFB 003.008\n");
}

/// Types on the serial line of a VM, and sees its screen's greeting.
async fn visit(pool: &Client) {
    let (halted, running) = halted_and_running(pool).await;
    let name = pool.vm(running).name_label().await.unwrap();
    let mut line = pool.vm(running).console().text().await.unwrap();
    let prompt = format!("\r\n{name} login: ");
    let mut seen = vec![0; prompt.len()];
    line.read_exact(&mut seen).await.unwrap();
    assert_eq!(String::from_utf8(seen).unwrap(), prompt);
    line.write_all(b"root\r").await.unwrap();
    let mut seen = vec![0; "root".len() + prompt.len()];
    line.read_exact(&mut seen).await.unwrap();
    assert_eq!(String::from_utf8(seen).unwrap(), format!("root{prompt}"));

    let mut screen = pool.vm(running).console().await.unwrap();
    let mut version = [0; 12];
    screen.read_exact(&mut version).await.unwrap();
    assert!(version.starts_with(b"RFB 003."));

    let refused = pool.vm(halted).console().await.unwrap_err();
    assert!(matches!(refused, ConsoleError::NotRunning { .. }), "{refused}");
    pool.vm(running).hard_shutdown().await.unwrap();
    assert_eq!(line.read(&mut [0; 1]).await.unwrap(), 0, "the VM took its line with it");
}

#[tokio::test]
async fn the_simulators_consoles_open_in_the_process_and_over_tls() {
    let pool = || Simulator::builder().hosts(3).vms(6).build().unwrap();
    visit(&client(&pool(), None).await).await;

    let server = pool().listen_tls("127.0.0.1:0").await.unwrap();
    let connect = Client::connect(server.url()).pin_sha256(server.fingerprint_sha256().unwrap());
    visit(&connect.login("root", "xensource").await.unwrap()).await;
}
