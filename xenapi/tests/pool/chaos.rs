//! A network that breaks at random bytes, and what the client makes of it.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use xenapi::{Client, Error, Ref, Vm, bulk};
use xenapi_sim::{DiskImage, Fault, Simulator, VmSpec};

use crate::{eventually, pool};

/// How many breaks the client has to live through.
const BREAKS: u64 = 1000;

/// Passes bytes on to a server, and resets connections after random numbers of them.
struct Proxy {
    address: String,
    breaks: Arc<AtomicU64>,
    is_breaking: Arc<AtomicU64>,
}

impl Proxy {
    async fn before(url: &str) -> Self {
        let server = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (breaks, is_breaking) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        let (count, on) = (breaks.clone(), is_breaking.clone());
        tokio::spawn(async move {
            let mut random = Random(7);
            while let Ok((client, _)) = listener.accept().await {
                let budgets = (random.below(4000), random.below(6000));
                let (server, count, on) = (server.clone(), count.clone(), on.clone());
                tokio::spawn(async move { pass(client, &server, budgets, &count, &on).await });
            }
        });
        Self {
            address,
            breaks,
            is_breaking,
        }
    }

    fn break_connections(&self, wanted: bool) {
        self.is_breaking.store(u64::from(wanted), Ordering::Relaxed);
    }

    fn breaks(&self) -> u64 {
        self.breaks.load(Ordering::Relaxed)
    }
}

async fn pass(client: TcpStream, server: &str, budgets: (u64, u64), breaks: &AtomicU64, on: &AtomicU64) {
    let Ok(server) = TcpStream::connect(server).await else {
        return;
    };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let up = limited(&mut from_client, &mut to_server, budgets.0, on);
    let down = limited(&mut from_server, &mut to_client, budgets.1, on);
    let is_broken = tokio::select! {
        is_broken = up => is_broken,
        is_broken = down => is_broken,
    };
    if is_broken {
        breaks.fetch_add(1, Ordering::Relaxed);
        let _ = to_client.as_ref().set_zero_linger();
        let _ = to_server.as_ref().set_zero_linger();
    }
}

/// Copies bytes until the budget is used up; answers whether it was.
async fn limited(
    from: &mut (impl AsyncReadExt + Unpin),
    to: &mut (impl AsyncWriteExt + Unpin),
    budget: u64,
    on: &AtomicU64,
) -> bool {
    let (mut buffer, mut passed) = (vec![0; 1024], 0);
    loop {
        let length = match from.read(&mut buffer).await {
            Ok(0) | Err(_) => return false,
            Ok(length) => length,
        };
        let left = (budget.saturating_sub(passed)) as usize;
        let is_last = length > left && on.load(Ordering::Relaxed) == 1;
        let length = if is_last { left } else { length };
        if to.write_all(&buffer[..length]).await.is_err() {
            return false;
        }
        if is_last {
            return true;
        }
        passed += length as u64;
    }
}

/// Splitmix: the same breaks in each run, as far as the scheduler lets them.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}

/// A change that can be told from all others, and how it ended.
async fn change(client: Client, vm: Ref<Vm>, number: u64) -> (String, Result<(), Error>) {
    let tag = format!("change {number}");
    let result = client.vm(vm).add_tags(&tag).await;
    (tag, result)
}

#[tokio::test]
async fn a_thousand_breaks_leave_every_call_with_the_right_outcome() {
    let simulator = Simulator::builder().vms(4).build().unwrap();
    let server = simulator.listen("127.0.0.1:0").await.unwrap();
    let proxy = Proxy::before(server.url()).await;
    let client = Client::connect(&proxy.address)
        .failover(false)
        .concurrency(256)
        .login("root", "xensource")
        .await
        .unwrap();
    let vm = *client.vms().all().await.unwrap().first().unwrap();
    let before = simulator.counters().calls("VM.add_tags");
    proxy.break_connections(true);
    let (mut sent, mut done, mut lost, mut unsent) = (0, Vec::new(), HashSet::new(), Vec::new());
    let (mut reads, mut failed_reads) = (0, 0);
    while proxy.breaks() < BREAKS {
        let numbers = sent..sent + 256;
        sent += 256;
        let changes = bulk(numbers.clone().map(|number| change(client.clone(), vm, number)));
        let looks = bulk(numbers.map(|_| client.vm(vm).name_label()));
        let (changes, looks) = tokio::join!(changes.concurrency(128).run(), looks.concurrency(128).run());
        for (tag, result) in changes {
            match result {
                Ok(()) => done.push(tag),
                Err(Error::Lost(_)) => drop(lost.insert(tag)),
                Err(Error::Connect { .. }) => unsent.push(tag),
                Err(other) => panic!("{tag}: {other}"),
            }
        }
        reads += looks.len();
        failed_reads += looks.iter().filter(|look| look.is_err()).count();
        let honest = |look: &Result<String, Error>| look.as_ref().err().is_none_or(Error::is_retryable);
        assert!(looks.iter().all(honest), "{looks:?}");
    }
    proxy.break_connections(false);
    let tags = client.vm(vm).tags().await.unwrap();
    let there: HashSet<_> = tags.iter().collect();
    assert_eq!(there.len(), tags.len(), "a change was made twice");
    assert!(
        done.iter().all(|tag| there.contains(tag)),
        "a change that succeeded is there"
    );
    assert!(
        unsent.iter().all(|tag| !there.contains(tag)),
        "a change that was not sent is not there"
    );
    let strays: Vec<_> = tags.iter().filter(|tag| tag.starts_with("change ")).collect();
    assert!(strays.iter().all(|tag| done.contains(tag) || lost.contains(*tag)));
    assert!(
        simulator.counters().calls("VM.add_tags") - before <= sent,
        "a change was sent twice"
    );
    assert!(
        failed_reads * 4 < reads,
        "{failed_reads} of {reads} reads failed in spite of the retries"
    );

    assert_eq!(simulator.counters().calls("session.login_with_password"), 1);
    client.logout().await.unwrap();
    eventually("no session is left", || simulator.refs("session").is_empty()).await;
    eprintln!(
        "{} breaks: {} changes done, {} of unknown fate, {} not sent; {failed_reads} of {reads} reads failed",
        proxy.breaks(),
        done.len(),
        lost.len(),
        unsent.len()
    );
}

#[tokio::test]
async fn an_export_cut_at_any_byte_is_no_export() {
    let (simulator, client) = pool(1, 0).await;
    let mut disk = DiskImage::new(3 << 20);
    disk.write(0, &[0x55; 300_000]);
    let vm: Ref<Vm> = simulator
        .add_vm(VmSpec::new("small").halted().disk(disk))
        .unwrap()
        .parse()
        .unwrap();
    let mut whole = Vec::new();
    client
        .vm(vm)
        .export()
        .await
        .unwrap()
        .read_to_end(&mut whole)
        .await
        .unwrap();
    let length = whole.len() as u64;
    let mut random = Random(11);
    let edges = [0, 1, 511, 512, 513, length - 1024, length - 1, length];
    let places = edges.into_iter().chain((0..150).map(|_| random.below(length)));
    for place in places {
        for fault in [
            Fault::on("/export").truncate(place),
            Fault::on("/export").error_in_body(place),
        ] {
            simulator.clear_faults();
            simulator.fault(fault);
            let read = async {
                let mut bytes = Vec::new();
                client
                    .vm(vm)
                    .export()
                    .await
                    .map_err(std::io::Error::other)?
                    .read_to_end(&mut bytes)
                    .await
            };
            let outcome = tokio::time::timeout(Duration::from_secs(20), read)
                .await
                .expect("an end");
            assert!(outcome.is_err(), "cut at byte {place} of {length}");
        }
    }
    simulator.clear_faults();
    eventually("no task is left", || simulator.refs("task").is_empty()).await;
}
