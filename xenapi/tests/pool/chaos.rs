//! What the client makes of a network that breaks at random bytes.

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use tokio::io::AsyncReadExt;
use xenapi::{Client, Error, ErrorCode, Ref, Source, Vm};
use xenapi_sim::{DiskImage, Fault, Simulator, VmSpec};

use crate::proxy::{Proxy, Random};
use crate::{eventually, pool};

/// How many breaks the client has to live through.
const BREAKS: u64 = 1000;
/// How many of them among its transfers.
const BROKEN_TRANSFERS: u64 = 150;

/// Does some work, and ends the client's session after every so many breaks, as the server does.
async fn expiring<T>(
    every: u64,
    proxy: &Proxy,
    simulator: &Simulator,
    client: &Client,
    work: impl Future<Output = T>,
) -> T {
    let expire = async {
        for round in 1.. {
            while proxy.breaks() < round * every {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            simulator.remove("session", client.session_reference().expose());
        }
        std::future::pending().await
    };
    tokio::select! {
        done = work => done,
        never = expire => never,
    }
}

/// Whether a call that failed was certainly not carried out: it was not sent, changes nothing, or its session had
/// ended each time.
fn is_undone(error: &Error) -> bool {
    error.is_retryable() || error.code() == Some(&ErrorCode::SessionInvalid)
}

/// Each session that is left after the logout is one whose making was not heard of.
async fn no_session_is_left_but_unheard_ones(simulator: &Simulator, client: Client, proxy: &Proxy) {
    client.logout().await.unwrap();
    let mine = client.session_reference();
    drop(client);
    assert!(mine.expose().is_empty());
    let left = simulator.refs("session").len() as u64;
    assert!(
        left <= proxy.broken_logins(),
        "{left} sessions are left, and {} logins broke",
        proxy.broken_logins()
    );
}

/// How the changes and the reads of one worker ended.
#[derive(Default)]
struct Calls {
    done: Vec<String>,
    lost: Vec<String>,
    unsent: Vec<String>,
    reads: u64,
    failed_reads: u64,
}

impl Calls {
    /// Changes and reads a VM, until enough has been broken.
    async fn until(mut self, breaks: u64, proxy: &Proxy, client: &Client, vm: Ref<Vm>) -> Self {
        for number in 0.. {
            if proxy.breaks() >= breaks {
                break;
            }
            // A second time it fails.
            let key = format!("{vm} {number}");
            match client.vm(vm).add_to_other_config(&key, "").await {
                Ok(()) => self.done.push(key),
                Err(Error::Lost(_)) => self.lost.push(key),
                Err(error) if is_undone(&error) => self.unsent.push(key),
                Err(other) => panic!("{key}: {other}"),
            }
            self.reads += 1;
            if let Err(error) = client.vm(vm).name_label().await {
                assert!(is_undone(&error), "{error}");
                self.failed_reads += 1;
            }
        }
        self
    }
}

#[tokio::test]
async fn a_thousand_breaks_leave_every_call_with_the_right_outcome() {
    let simulator = Simulator::builder().vms(100).build().unwrap();
    let server = simulator.listen("127.0.0.1:0").await.unwrap();
    let proxy = Proxy::before(server.url(), (4000, 6000)).await;
    let client = proxy.client(&simulator).await;
    let vms = client.vms().all().await.unwrap();
    proxy.break_connections(true);
    let workers = vms
        .iter()
        .map(|&vm| Calls::default().until(BREAKS, &proxy, &client, vm));
    let workers = expiring(25, &proxy, &simulator, &client, join_all(workers)).await;
    proxy.break_connections(false);
    let records = client.vms().all_records().await.unwrap();
    let (mut done, mut lost, mut unsent, mut reads, mut failed_reads) = (0, 0, 0, 0, 0);
    for (vm, calls) in vms.iter().zip(workers) {
        let changes = |(key, _): (&String, _)| key.starts_with("OpaqueRef:").then(|| key.clone());
        let mut there: HashSet<_> = records[vm].other_config.iter().filter_map(changes).collect();
        assert!(
            calls.done.iter().all(|key| there.remove(key)),
            "a change that succeeded is there"
        );
        there.retain(|key| !calls.lost.contains(key));
        assert!(there.is_empty(), "of those that did not succeed, only lost ones may be");
        done += calls.done.len();
        lost += calls.lost.len();
        unsent += calls.unsent.len();
        reads += calls.reads;
        failed_reads += calls.failed_reads;
    }
    eprintln!(
        "{} breaks, {} of them of logins: {done} changes done, {lost} of unknown fate, {unsent} not sent; \
         {failed_reads} of {reads} reads failed",
        proxy.breaks(),
        proxy.broken_logins(),
    );
    // How many depends on how busy the machine is; without retries it would be most.
    assert!(failed_reads * 2 < reads, "reads failed in spite of the retries");
    no_session_is_left_but_unheard_ones(&simulator, client, &proxy).await;
}

/// How much of the small archive's end is its disk.
const SMALL: usize = 64 << 10;

/// The whole export of a VM.
async fn exported(client: &Client, vm: Ref<Vm>) -> Result<Vec<u8>, std::io::Error> {
    let mut bytes = Vec::new();
    let mut export = client.vm(vm).export().await.map_err(std::io::Error::other)?;
    export.read_to_end(&mut bytes).await?;
    Ok(bytes)
}

/// How the transfers of one worker ended.
#[derive(Default)]
struct Transfers {
    downloads: u64,
    failed_downloads: u64,
    imported: Vec<Ref<Vm>>,
    lost: u64,
    failed: u64,
}

impl Transfers {
    /// Exports a VM and imports its archive, until enough has been broken.
    async fn until(mut self, breaks: u64, proxy: &Proxy, client: &Client, vm: Ref<Vm>, whole: Bytes) -> Self {
        while proxy.breaks() < breaks {
            self.downloads += 1;
            match exported(client, vm).await {
                // What is before the disk tells of a VM that is being exported.
                Ok(bytes) => assert!(
                    bytes.len() == whole.len() && bytes[bytes.len() - SMALL..] == whole[whole.len() - SMALL..],
                    "{} of {} bytes are no export",
                    bytes.len(),
                    whole.len()
                ),
                Err(_) => self.failed_downloads += 1,
            }
            match client.vms().import_xva(Source::bytes(whole.clone())).await {
                Ok(vms) => self.imported.extend(vms),
                Err(Error::Lost(_) | Error::Vanished { .. }) => self.lost += 1,
                Err(error) if error.is_retryable() || error.api().is_some() => self.failed += 1,
                // The session ended between the task's making and the transfer.
                Err(Error::Http(error)) if error.status() == 401 => self.failed += 1,
                Err(other) => panic!("{other}"),
            }
        }
        self
    }
}

#[tokio::test]
async fn transfers_that_break_anywhere_are_whole_or_fail() {
    let simulator = Simulator::builder().vms(0).build().unwrap();
    let server = simulator.listen("127.0.0.1:0").await.unwrap();
    let small = |number| {
        let mut disk = DiskImage::new(SMALL as u64);
        disk.write(0, &[0x55; SMALL]);
        let spec = VmSpec::new(format!("small {number}")).halted().disk(disk);
        simulator.add_vm(spec).unwrap().parse::<Ref<Vm>>().unwrap()
    };
    let vms: Vec<_> = (0..16).map(small).collect();
    let direct = Client::connect(server.url()).login("root", "xensource").await.unwrap();
    let whole: Bytes = exported(&direct, vms[0]).await.unwrap().into();
    direct.logout().await.unwrap();
    let before = simulator.refs("VM").len();

    let longest = whole.len() as u64 * 3 / 2;
    let proxy = Proxy::before(server.url(), (longest, longest)).await;
    let client = proxy.client(&simulator).await;
    proxy.break_connections(true);
    let workers = vms
        .iter()
        .map(|&vm| Transfers::default().until(BROKEN_TRANSFERS, &proxy, &client, vm, whole.clone()));
    let workers = expiring(10, &proxy, &simulator, &client, join_all(workers)).await;
    proxy.break_connections(false);
    eventually("no transfer is left", || {
        let counters = simulator.counters();
        counters.exports == 0 && counters.imports == 0
    })
    .await;
    let there: HashSet<_> = client.vms().all().await.unwrap().into_iter().collect();
    let made = there.len() - before;
    let imported: HashSet<_> = workers.iter().flat_map(|transfers| &transfers.imported).collect();
    let sum = |count: fn(&Transfers) -> u64| workers.iter().map(count).sum::<u64>();
    let lost = sum(|transfers| transfers.lost);
    let (downloads, cut) = (
        sum(|transfers| transfers.downloads),
        sum(|transfers| transfers.failed_downloads),
    );
    eprintln!(
        "{} breaks, {} of them of logins: {cut} of {downloads} downloads failed; {} imports succeeded, {lost} are of \
         unknown fate, {} failed",
        proxy.breaks(),
        proxy.broken_logins(),
        imported.len(),
        sum(|transfers| transfers.failed),
    );
    assert!(
        imported.iter().all(|vm| there.contains(vm)),
        "what was imported is there"
    );
    assert!(
        imported.len() <= made && made as u64 <= imported.len() as u64 + lost,
        "{made} VMs are there"
    );
    assert!(cut > 0 && cut < downloads && !imported.is_empty());
    no_session_is_left_but_unheard_ones(&simulator, client, &proxy).await;
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
