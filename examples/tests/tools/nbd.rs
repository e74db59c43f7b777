//! Disks read over NBD: with TLS and without, cut off, refused, and only where they have changed.

use std::net::SocketAddr;
use std::process::Output;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use xenapi::{Ref, Vdi};
use xenapi_sim::{DiskImage, Fault, NbdPurpose, Simulator, VmSpec};

use crate::deltas::change;
use crate::files::{bytes_of, vm_with_files};
use crate::harness::{Folder, PASSWORD, Pool, complained, dense_disk, said, tool};

const CONTENT: &str = "debug=off\nport=1234\n";

async fn pool(purpose: NbdPurpose) -> Pool {
    let builder = Simulator::builder().vms(0).password(PASSWORD).nbd(purpose);
    let simulator = builder.build().unwrap();
    let server = simulator.listen_tls("127.0.0.1:0").await.unwrap();
    Pool { simulator, server }
}

/// A pool with one VM that has files.
async fn pool_with_files(folder: &Folder, purpose: NbdPurpose, is_running: bool) -> Option<(Pool, String)> {
    let pool = pool(purpose).await;
    pool.tool("vm-cat")?;
    let (_, image) = vm_with_files(folder)?;
    let spec = VmSpec::new("web").disk(image);
    let spec = if is_running { spec } else { spec.halted() };
    let vm = pool.simulator.add_vm(spec).unwrap();
    Some((pool, vm))
}

/// Runs a tool with the VM, and holds it to telling nobody its session.
async fn run(pool: &Pool, name: &str, args: &[&str]) -> Output {
    let mut tool = pool.tool(name).unwrap();
    let output = tool.args(["--vm", "web"]).args(args).output().await.unwrap();
    let all = said(&output) + &complained(&output);
    assert!(!all.contains("session_id=O"), "{all}");
    output
}

async fn cat(pool: &Pool, args: &[&str]) -> Output {
    run(pool, "vm-cat", &[&["/etc/app.conf"], args].concat()).await
}

fn assert_content(output: &Output) {
    assert!(output.status.success(), "{}", complained(output));
    assert_eq!(said(output), CONTENT.repeat(500));
}

/// How much of disks went over NBD, and how much as exports.
fn sent(pool: &Pool) -> (u64, u64) {
    let counters = pool.simulator.counters();
    (counters.sent("/nbd"), counters.sent("/export_raw_vdi"))
}

async fn disk_of(pool: &Pool, vm: &str) -> Ref<Vdi> {
    change(pool, vm, &[]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn little_of_a_disk_is_read_over_tls() {
    let folder = Folder(tempfile::tempdir().unwrap());
    let Some((pool, _)) = pool_with_files(&folder, NbdPurpose::Nbd, false).await else {
        return;
    };
    for args in [&["--via", "nbd"][..], &[]] {
        let before = sent(&pool).0;
        assert_content(&cat(&pool, args).await);
        let (nbd, export) = sent(&pool);
        let nbd = nbd - before;
        assert!(
            nbd > 10_000 && nbd < 2 << 20 && export == 0,
            "{nbd} {export} of 100 MiB"
        );
        pool.assert_tidy().await;
    }
    let listed = run(&pool, "vm-ls", &["/etc", "--via", "nbd"]).await;
    assert_eq!(said(&listed).trim_end(), "-           10000  app.conf", "{listed:?}");
    let missing = run(&pool, "vm-cat", &["/etc/none"]).await;
    assert!(complained(&missing).contains("none"), "{missing:?}");
    let volumes = run(&pool, "vm-ls", &[]).await;
    assert!(said(&volumes).starts_with("  1      48 MiB  ext4"), "{volumes:?}");
    assert_eq!(sent(&pool).1, 0);
    pool.assert_tidy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_tls_it_takes_a_word() {
    let folder = Folder(tempfile::tempdir().unwrap());
    let Some((pool, _)) = pool_with_files(&folder, NbdPurpose::InsecureNbd, false).await else {
        return;
    };
    let refused = cat(&pool, &["--via", "nbd"]).await;
    let complaint = complained(&refused);
    assert_eq!(refused.status.code(), Some(1));
    for part in ["has no TLS", "--via insecure-nbd"] {
        assert!(complaint.contains(part), "{complaint}");
    }
    assert_eq!(sent(&pool), (0, 0));
    assert_content(&cat(&pool, &["--via", "insecure-nbd"]).await);
    assert!(sent(&pool).0 > 10_000);
    // Nobody asked for NBD, so there is another way.
    let before = sent(&pool);
    let by_itself = cat(&pool, &[]).await;
    assert_content(&by_itself);
    assert!(complained(&by_itself).contains("as a raw export"), "{by_itself:?}");
    assert!(sent(&pool).0 == before.0 && sent(&pool).1 > 1 << 20);
    pool.assert_tidy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_vm_is_read_by_its_snapshot() {
    let folder = Folder(tempfile::tempdir().unwrap());
    let Some((pool, _)) = pool_with_files(&folder, NbdPurpose::Nbd, true).await else {
        return;
    };
    let count = || (pool.simulator.refs("VM").len(), pool.simulator.refs("VDI").len());
    let before = count();
    let refused = cat(&pool, &["--via", "nbd"]).await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(complained(&refused).contains("--snapshot"), "{refused:?}");
    // The server needs its time to let go of a disk, as in life.
    pool.simulator.set_pace(0, Duration::from_millis(100));
    assert_content(&cat(&pool, &["--snapshot", "--via", "nbd"]).await);
    assert_eq!(count(), before);
    assert_content(&cat(&pool, &["--snapshot"]).await);
    assert_eq!(count(), before);
    assert_eq!(sent(&pool).1, 0);
    pool.assert_tidy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_planned_and_compared_over_nbd() {
    let folder = Folder(tempfile::tempdir().unwrap());
    let Some((pool, vm)) = pool_with_files(&folder, NbdPurpose::Nbd, false).await else {
        return;
    };
    let before = bytes_of(&pool, &vm).await;
    let exported = sent(&pool).1;
    let undo = folder.path("undo");
    let undo = undo.to_str().unwrap();
    let change = [
        "put",
        "/etc/app.conf",
        "--replace",
        "off",
        "--with",
        "on ",
        "--undo",
        undo,
    ];
    pool.simulator.set_pace(0, Duration::from_millis(50));
    let edited = run(&pool, "vm-edit", &change).await;
    assert!(edited.status.success(), "{}", complained(&edited));
    let back = run(&pool, "vm-edit", &["undo", undo, "--via", "nbd"]).await;
    assert!(back.status.success(), "{}", complained(&back));
    let (nbd, export) = sent(&pool);
    assert!(nbd > 0 && nbd < 8 << 20 && export == exported, "{nbd} {export}");
    assert!(bytes_of(&pool, &vm).await == before, "bit for bit");
    pool.assert_tidy().await;
}

/// Passes connections at one address on to another.
fn pass_on(listener: TcpListener, to: SocketAddr) {
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            tokio::spawn(async move {
                if let Ok(mut far) = TcpStream::connect(to).await {
                    let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                }
            });
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn another_server_hears_nothing() {
    let folder = Folder(tempfile::tempdir().unwrap());
    let Some((pool, _)) = pool_with_files(&folder, NbdPurpose::Nbd, false).await else {
        return;
    };
    // The pool tells of a second server, in whose place somebody else sits afterwards.
    let gone = pool.simulator.listen_tls("127.0.0.1:0").await.unwrap();
    let address = gone.nbd_addresses()[0];
    drop(gone);
    let impostor = Simulator::builder().vms(0).nbd(NbdPurpose::Nbd).start().await.unwrap();
    let taken = async {
        loop {
            if let Ok(listener) = TcpListener::bind(address).await {
                break listener;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let taken = tokio::time::timeout(Duration::from_secs(10), taken).await.unwrap();
    pass_on(taken, impostor.nbd_addresses()[0]);
    for via in ["nbd", "insecure-nbd"] {
        let refused = cat(&pool, &["--via", via]).await;
        assert_eq!(refused.status.code(), Some(1));
        assert!(complained(&refused).contains("not the pinned one"), "{refused:?}");
    }
    assert_eq!(impostor.pool().counters().requests.get("/nbd"), None);
    assert_eq!(sent(&pool), (0, 0));
    assert_content(&cat(&pool, &[]).await);
    pool.assert_tidy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_host_is_passed_over() {
    let folder = Folder(tempfile::tempdir().unwrap());
    let Some((_, image)) = vm_with_files(&folder) else {
        return;
    };
    let builder = Simulator::builder().vms(0).hosts(2).password(PASSWORD);
    let simulator = builder.nbd(NbdPurpose::Nbd).build().unwrap();
    let server = simulator.listen_tls("127.0.0.1:0").await.unwrap();
    let spec = VmSpec::new("web").halted().disk(image);
    simulator.add_vm(spec).unwrap();
    simulator.promote(1);
    simulator.kill(0);
    let Some(mut tool) = tool("vm-cat") else { return };
    let pin = simulator.fingerprint_sha256(1).unwrap();
    tool.args(["--url", &server.urls()[1], "--pin", pin]);
    tool.args(["--vm", "web", "/etc/app.conf", "--via", "nbd"]);
    assert_content(&tool.output().await.unwrap());
    assert!(simulator.counters().sent("/nbd") > 10_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_break_are_made_again() {
    let folder = Folder(tempfile::tempdir().unwrap());
    let Some((pool, _)) = pool_with_files(&folder, NbdPurpose::Nbd, false).await else {
        return;
    };
    for fault in ["/nbd:reset;times=1", "/nbd:truncate=7000;times=1"] {
        pool.simulator.fault(fault.parse().unwrap());
        assert_content(&cat(&pool, &["--via", "nbd"]).await);
        pool.assert_tidy().await;
    }
    pool.simulator.fault(Fault::on("/nbd").truncate(100));
    let broken = cat(&pool, &["--via", "nbd"]).await;
    assert_eq!(broken.status.code(), Some(1));
    let complaint = complained(&broken);
    assert!(
        complaint.contains("broke") && complaint.lines().count() < 4,
        "{complaint}"
    );
    pool.assert_tidy().await;
}

/// Ctrl-c while the server says nothing: before there is a disk, and then.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_does_not_wait_for_a_server_that_is_silent() {
    use std::process::Stdio;
    use std::time::Instant;

    let folder = Folder(tempfile::tempdir().unwrap());
    let Some((pool, _)) = pool_with_files(&folder, NbdPurpose::Nbd, false).await else {
        return;
    };
    for (fault, bytes) in [("/nbd:delay=60000;times=1", 0), ("/nbd:stall=5000", 5000)] {
        pool.simulator.fault(fault.parse().unwrap());
        let requests = || pool.simulator.counters().requests.get("/nbd").copied();
        let before = requests();
        let mut tool = pool.tool("vm-cat").unwrap();
        tool.args(["--vm", "web", "/etc/app.conf", "--via", "nbd"]);
        let child = tool.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        while requests() == before || sent(&pool).0 < bytes {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let interrupt = format!("kill -INT {}", child.id().unwrap());
        let begin = Instant::now();
        let kill = std::process::Command::new("sh").args(["-c", &interrupt]).status();
        assert!(kill.unwrap().success());
        let output = child.wait_with_output().await.unwrap();
        assert_eq!(output.status.code(), Some(130), "{fault}: {output:?}");
        let took = begin.elapsed();
        assert!(took < Duration::from_secs(10), "{fault}: {took:?}");
        pool.assert_tidy().await;
    }
}

/// A tracked disk, and a copy of it that is kept up to date.
struct Tracked {
    pool: Pool,
    vm: String,
    vdi: Ref<Vdi>,
    folder: Folder,
    expected: Vec<u8>,
}

impl Tracked {
    async fn new(purpose: NbdPurpose) -> Option<Self> {
        let pool = pool(purpose).await;
        pool.tool("vdi-delta")?;
        let disk = dense_disk(24);
        let mut expected = vec![0; 24 << 20];
        disk.read(0, &mut expected).unwrap();
        let spec = VmSpec::new("web").halted().disk(disk);
        let vm = pool.simulator.add_vm(spec).unwrap();
        let vdi = disk_of(&pool, &vm).await;
        let client = pool.client().await;
        client.vdi(vdi).enable_cbt().await.unwrap();
        client.logout().await.unwrap();
        let folder = Folder(tempfile::tempdir().unwrap());
        Some(Self {
            pool,
            vm,
            vdi,
            folder,
            expected,
        })
    }

    async fn change(&mut self, places: &[u64]) {
        change(&self.pool, &self.vm, places).await;
        for &place in places {
            self.expected[place as usize..place as usize + 4096].fill(0xee);
        }
    }

    async fn delta(&self, args: &[&str]) -> Output {
        let copy = self.folder.path("copy");
        run(&self.pool, "vdi-delta", &[args, &[copy.to_str().unwrap()]].concat()).await
    }

    /// The copy is the disk, and one snapshot of that is left.
    async fn assert_copied(&self, output: &Output) {
        assert!(output.status.success(), "{}", complained(output));
        assert!(std::fs::read(self.folder.path("copy/disk.raw")).unwrap() == self.expected);
        assert_eq!(self.snapshots().await.len(), 1);
    }

    async fn snapshots(&self) -> Vec<Ref<Vdi>> {
        let client = self.pool.client().await;
        let snapshots = client.vdi(self.vdi).snapshots().await.unwrap();
        client.logout().await.unwrap();
        snapshots
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_blocks_alone_come_over_nbd() {
    const BLOCK: u64 = 64 << 10;
    let Some(mut disk) = Tracked::new(NbdPurpose::Nbd).await else {
        return;
    };
    disk.assert_copied(&disk.delta(&[]).await).await;
    assert_eq!(sent(&disk.pool).0, 0, "the first time it is a VHD");
    let mut before = sent(&disk.pool);

    // Two in one block, one over the edge of two, and the last one.
    for (places, blocks, args) in [
        (&[5 << 20, (5 << 20) + 8192][..], 1, &["--way", "cbt"][..]),
        (&[3 * BLOCK - 2048], 2, &[]),
        (&[], 0, &["--way", "cbt"]),
        (&[0, (24 << 20) - 4096], 2, &["--way", "cbt"]),
    ] {
        disk.change(places).await;
        disk.assert_copied(&disk.delta(args).await).await;
        let now = sent(&disk.pool);
        assert_eq!((now.0 - before.0, now.1), (blocks * BLOCK, before.1), "{places:?}");
        before = now;
    }

    let client = disk.pool.client().await;
    client.vdi(disk.vdi).resize(30 << 20).await.unwrap();
    disk.expected.resize(30 << 20, 0);
    disk.change(&[(29 << 20) - 4096, 1 << 20]).await;
    let verified = disk.delta(&["--way", "cbt", "--verify"]).await;
    disk.assert_copied(&verified).await;
    assert!(complained(&verified).contains("byte for byte"), "{verified:?}");
    assert_eq!(sent(&disk.pool).0 - before.0, 2 * BLOCK, "what was added is all zero");
    client.logout().await.unwrap();
    disk.pool.assert_tidy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delta_that_breaks_off_leaves_nothing_and_is_made_good() {
    let Some(mut disk) = Tracked::new(NbdPurpose::Nbd).await else {
        return;
    };
    disk.assert_copied(&disk.delta(&[]).await).await;
    disk.change(&[5 << 20, 7 << 20]).await;
    disk.pool.simulator.fault(Fault::on("/nbd").truncate(100));
    disk.pool.simulator.set_pace(0, Duration::from_millis(50));
    let broken = disk.delta(&["--way", "cbt"]).await;
    assert_eq!(broken.status.code(), Some(1));
    assert!(complained(&broken).contains("broke"), "{broken:?}");
    assert!(!complained(&broken).contains("is left"), "{broken:?}");
    assert_eq!(disk.snapshots().await.len(), 1, "the old one alone");
    disk.pool.simulator.clear_faults();
    let whole = disk.delta(&["--way", "cbt"]).await;
    disk.assert_copied(&whole).await;
    disk.pool.assert_tidy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_not_tracked_is_named() {
    let Some(mut disk) = Tracked::new(NbdPurpose::Nbd).await else {
        return;
    };
    let client = disk.pool.client().await;
    client.vdi(disk.vdi).disable_cbt().await.unwrap();
    client.logout().await.unwrap();
    disk.assert_copied(&disk.delta(&[]).await).await;
    disk.change(&[5 << 20]).await;
    let refused = disk.delta(&["--way", "cbt"]).await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(complained(&refused).contains("enable_cbt"), "{refused:?}");
    assert_eq!(disk.snapshots().await.len(), 1, "the old one alone");
    // By itself it finds the other way, and the copy is still what it was.
    let by_itself = disk.delta(&[]).await;
    disk.assert_copied(&by_itself).await;
    assert!(sent(&disk.pool).1 < 32 << 20, "{by_itself:?}");
    assert_eq!(sent(&disk.pool).0, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delta_goes_another_way_where_nbd_has_no_tls() {
    let Some(mut disk) = Tracked::new(NbdPurpose::InsecureNbd).await else {
        return;
    };
    disk.assert_copied(&disk.delta(&[]).await).await;
    disk.change(&[5 << 20]).await;
    let refused = disk.delta(&["--way", "cbt"]).await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(complained(&refused).contains("has no TLS"), "{refused:?}");
    let by_itself = disk.delta(&[]).await;
    disk.assert_copied(&by_itself).await;
    let told = complained(&by_itself);
    assert!(
        told.contains("comes as a VHD") && !told.contains(" 24 MiB of 24"),
        "{told}"
    );
    assert_eq!(sent(&disk.pool).0, 0);
    disk.pool.assert_tidy().await;
}

/// Nothing here needs a file system.
#[tokio::test(flavor = "multi_thread")]
async fn the_last_sector_of_a_disk_is_read() {
    let pool = pool(NbdPurpose::Nbd).await;
    if pool.tool("vm-mbr").is_none() {
        return;
    }
    let mut disk = DiskImage::new(3 << 20);
    disk.write((3 << 20) - 512, &[1; 512]);
    pool.simulator.add_vm(VmSpec::new("web").halted().disk(disk)).unwrap();
    let volumes = run(&pool, "vm-ls", &["--via", "nbd"]).await;
    assert!(volumes.status.success(), "{volumes:?}");
    pool.assert_tidy().await;
}
