//! Uploads to hosts that send them on, or take their time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use tokio::io::AsyncReadExt;
use xenapi::transport::{BodyStream, RequestBody, Transport, TransportError};
use xenapi::{Client, Error, Ref, Source, Vm};
use xenapi_sim::{DiskImage, Fault, SimTransport, Simulator, VmSpec};

use crate::detour::Detour;
use crate::{eventually, pool};

/// A first host that takes what it is sent for a while, and then sends the upload on to the second.
#[derive(Debug)]
struct Dawdler {
    pool: SimTransport,
    addresses: Vec<String>,
    dawdles: Duration,
    taken: Arc<AtomicU64>,
}

impl Dawdler {
    async fn send_on(&self, request: http::Request<RequestBody>) -> Result<http::Response<BodyStream>, TransportError> {
        let (head, body) = request.into_parts();
        let RequestBody::Stream(mut pieces) = body else {
            panic!("an upload is a stream");
        };
        let take = async {
            while let Some(Ok(piece)) = pieces.next().await {
                self.taken.fetch_add(piece.len() as u64, Ordering::Relaxed);
            }
            std::future::pending::<()>().await;
        };
        let _ = tokio::time::timeout(self.dawdles, take).await;
        let location = format!("https://{}{}", self.addresses[1], head.uri.path_and_query().unwrap());
        let response = http::Response::builder().status(302).header("location", location);
        Ok(response.body(stream::empty().boxed()).unwrap())
    }
}

impl Transport for Dawdler {
    fn send(
        &self,
        request: http::Request<RequestBody>,
    ) -> BoxFuture<'_, Result<http::Response<BodyStream>, TransportError>> {
        if request.method() == http::Method::PUT && request.uri().host() == Some(&*self.addresses[0]) {
            self.send_on(request).boxed()
        } else {
            self.pool.send(request)
        }
    }
}

/// An archive of a small VM of the pool.
async fn archive(simulator: &Simulator, client: &Client) -> Vec<u8> {
    let mut disk = DiskImage::new(2 << 20);
    disk.write(1 << 20, &[0x55; 4096]);
    let spec = VmSpec::new("original").halted().disk(disk);
    let vm: Ref<Vm> = simulator.add_vm(spec).unwrap().parse().unwrap();
    let mut archive = Vec::new();
    let mut export = client.vm(vm).export().await.unwrap();
    export.read_to_end(&mut archive).await.unwrap();
    archive
}

/// What comes of an import whose first host dawdles, and how much that host was sent.
async fn import_through_a_dawdler(
    dawdles: Duration,
    source: impl FnOnce(Vec<u8>) -> Source,
) -> (Simulator, u64, Result<Vec<Ref<Vm>>, Error>) {
    let (simulator, client) = pool(2, 0).await;
    let source = source(archive(&simulator, &client).await);
    let taken = Arc::<AtomicU64>::default();
    let transport = Dawdler {
        pool: simulator.transport(),
        addresses: simulator.addresses().to_vec(),
        dawdles,
        taken: taken.clone(),
    };
    let connect = Client::connect(simulator.url()).transport(transport);
    let client = connect.login("root", "xensource").await.unwrap();
    let imported = client.vms().import_xva(source).await;
    (simulator, taken.load(Ordering::Relaxed), imported)
}

fn once(archive: Vec<u8>) -> Source {
    let length = archive.len() as u64;
    Source::reader(std::io::Cursor::new(archive), length)
}

#[tokio::test(start_paused = true)]
async fn an_upload_waits_for_a_host_that_takes_its_time_to_send_it_on() {
    let (simulator, taken, imported) = import_through_a_dawdler(Duration::from_secs(10), once).await;
    assert_eq!(imported.unwrap().len(), 1);
    assert_eq!(taken, 0, "nothing was sent to the first host");
    assert!(simulator.refs("task").is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_upload_begins_anew_where_it_is_sent_on_late() {
    let (simulator, taken, imported) = import_through_a_dawdler(Duration::from_secs(20), Source::bytes).await;
    assert_eq!(imported.unwrap().len(), 1);
    assert!(taken > 0, "the first host was sent some of it");
    assert!(simulator.refs("task").is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_cannot_begin_anew_says_so() {
    let (simulator, taken, imported) = import_through_a_dawdler(Duration::from_secs(20), once).await;
    assert!(taken > 0, "the first host was sent some of it");
    let error = imported.unwrap_err();
    assert!(matches!(error, Error::SentOnLate { .. }), "{error}");
    assert!(
        error.is_retryable() && error.to_string().contains("only once"),
        "{error}"
    );
    assert!(simulator.refs("task").is_empty(), "a task is left");
}

/// Takes the place of a server that works long on what it was sent: moves the task that the upload waits for, and ends
/// it.
async fn work(simulator: Simulator, steps: u32, pace: Duration) {
    let task = loop {
        match simulator.refs("task").pop() {
            Some(task) => break task,
            None => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    };
    for step in 1..=steps {
        tokio::time::sleep(pace).await;
        simulator.set("task", &task, "progress", f64::from(step) / f64::from(steps));
    }
    let none = "<value><array><data></data></array></value>";
    simulator.set("task", &task, "result", none);
    simulator.set("task", &task, "status", "success");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_works_on_after_the_last_byte_is_waited_for_while_the_task_moves() {
    let (simulator, client) = pool(1, 0).await;
    let archive = archive(&simulator, &client).await;
    // What the server is sent is one piece, so all of it has gone out.
    simulator.fault(Fault::on("/import").stall(archive.len() as u64 / 2));
    tokio::spawn(work(simulator.clone(), 10, Duration::from_secs(200)));
    let imported = client.vms().import_xva(Source::bytes(archive.clone())).await;
    assert_eq!(imported.unwrap(), []);

    let imported = client.vms().import_xva(Source::bytes(archive)).await;
    assert!(matches!(imported, Err(Error::Timeout(_))), "{imported:?}");
    eventually("no task is left", || simulator.refs("task").is_empty()).await;
}

/// A pool whose answer to a download ends at once, as if all was there; its task goes on.
#[tokio::test(start_paused = true)]
async fn the_task_of_a_download_is_waited_for_while_it_moves() {
    let simulator = Simulator::builder().vms(2).build().unwrap();
    let end = |request: &http::Request<RequestBody>| {
        let kind = ("content-type", "application/octet-stream".to_owned());
        (request.uri().path() == "/host_backup").then(|| (200, kind, b"all".to_vec()))
    };
    let connect = Client::connect(simulator.url()).transport(Detour::new(&simulator, end));
    let client = connect.login("root", "xensource").await.unwrap();
    let host = client.hosts().all().await.unwrap()[0];
    tokio::spawn(work(simulator.clone(), 10, Duration::from_secs(200)));
    let mut backup = Vec::new();
    let mut download = client.host(host).backup().await.unwrap();
    download.read_to_end(&mut backup).await.unwrap();
    assert_eq!(backup, b"all");
}

#[tokio::test]
async fn what_is_fetched_without_a_task_outlives_the_session() {
    let (simulator, client) = pool(1, 2).await;
    let before = client.updates(&[]).await.unwrap();
    for _ in 0..2 {
        simulator.expire_sessions();
        assert_eq!(client.updates(&[]).await.unwrap(), before);
    }
    simulator.expire_sessions();
    client.services().await.unwrap();
    assert_eq!(simulator.counters().calls("session.login_with_password"), 4);

    simulator.fault(Fault::on("/services").unauthorized());
    let asked = simulator.counters().requests["/services"];
    let error = client.services().await.unwrap_err();
    assert!(matches!(&error, Error::Http(error) if error.status() == 401), "{error}");
    assert_eq!(
        simulator.counters().requests["/services"],
        asked + 2,
        "asked twice, no more"
    );
}
