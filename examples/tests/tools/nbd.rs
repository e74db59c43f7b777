//! Disks that the pool serves over NBD.

use std::process::Command;
use std::time::Duration;

use xenapi::network::NetworkPurpose;
use xenapi_sim::VmSpec;

use crate::deltas::change;
use crate::files::vm_with_files;
use crate::harness::{Folder, Pool, complained, dense_disk, said};

/// Has one of the pool's networks be for NBD.
async fn serve(pool: &Pool, purpose: NetworkPurpose) {
    let client = pool.client().await;
    for pif in client
        .pifs()
        .all_records()
        .await
        .unwrap()
        .values()
        .filter(|pif| pif.management)
    {
        client.network(pif.network).add_purpose(purpose.clone()).await.unwrap();
    }
    client.logout().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_comes_over_nbd_with_the_bytes_that_it_takes() {
    let folder = Folder(tempfile::tempdir().unwrap());
    let pool = Pool::new(0).await;
    if pool.tool("vm-cat").is_none() {
        return;
    }
    let Some((_, image)) = vm_with_files(&folder) else {
        return;
    };
    pool.simulator.add_vm(VmSpec::new("web").halted().disk(image)).unwrap();
    let devices = pool.simulator.refs("VBD").len();
    let cat = async |args: &[&str]| {
        let mut cat = pool.tool("vm-cat").unwrap();
        cat.args(["--vm", "web", "/etc/app.conf"])
            .args(args)
            .output()
            .await
            .unwrap()
    };
    let refused = cat(&["--via", "nbd"]).await;
    assert!(complained(&refused).contains("`nbd`"), "{refused:?}");

    serve(&pool, NetworkPurpose::Nbd).await;
    for way in [&[][..], &["--via", "nbd"]] {
        let before = pool.simulator.counters();
        let output = cat(way).await;
        assert_eq!(
            said(&output),
            "debug=off\nport=1234\n".repeat(500),
            "{}",
            complained(&output)
        );
        let after = pool.simulator.counters();
        assert!(after.nbd_connections > before.nbd_connections);
        let read = after.nbd_bytes - before.nbd_bytes;
        assert!(read < 2 << 20, "{read} bytes of 100 MiB");
        assert_eq!(after.sent("/export_raw_vdi"), 0);
    }
    let mut list = pool.tool("vm-ls").unwrap();
    let etc = list
        .args(["--vm", "web", "/etc", "--via", "nbd"])
        .output()
        .await
        .unwrap();
    assert!(said(&etc).contains("app.conf"), "{}", complained(&etc));

    let undo = folder.path("undo");
    let mut edit = pool.tool("vm-edit").unwrap();
    edit.args(["--vm", "web", "--via", "nbd", "--undo"]).arg(&undo);
    let edit = edit.args(["put", "/etc/app.conf", "--replace", "port=1234", "--with", "port=22"]);
    let edited = edit.output().await.unwrap();
    assert!(edited.status.success(), "{}", complained(&edited));
    assert!(said(&cat(&["--via", "nbd"]).await).contains("port=22"));
    let detached = async {
        while pool.simulator.refs("VBD").len() > devices {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let detached = tokio::time::timeout(Duration::from_secs(10), detached).await;
    assert!(detached.is_ok(), "something stays attached to the control domain");
    pool.assert_tidy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_tls_it_comes_as_an_export() {
    let folder = Folder(tempfile::tempdir().unwrap());
    let pool = Pool::new(0).await;
    if pool.tool("vm-cat").is_none() {
        return;
    }
    let Some((_, image)) = vm_with_files(&folder) else {
        return;
    };
    pool.simulator.add_vm(VmSpec::new("web").halted().disk(image)).unwrap();
    serve(&pool, NetworkPurpose::InsecureNbd).await;
    let client = pool.client().await;
    let network = client.networks().all().await.unwrap()[0];
    let both = client
        .network(network)
        .add_purpose(NetworkPurpose::Nbd)
        .await
        .unwrap_err();
    assert!(both.to_string().contains("NETWORK_INCOMPATIBLE_PURPOSES"), "{both}");
    client.logout().await.unwrap();
    let cat = async |args: &[&str]| {
        let mut cat = pool.tool("vm-cat").unwrap();
        cat.args(["--vm", "web", "/etc/app.conf"])
            .args(args)
            .output()
            .await
            .unwrap()
    };
    let refused = cat(&["--via", "nbd"]).await;
    assert!(complained(&refused).contains("TLS"), "{refused:?}");
    let output = cat(&[]).await;
    assert!(said(&output).starts_with("debug=off"), "{}", complained(&output));
    assert!(complained(&output).contains("as an export"), "{}", complained(&output));
    assert_eq!(pool.simulator.counters().nbd_bytes, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn tracked_blocks_come_over_nbd_and_no_others() {
    let folder = Folder(tempfile::tempdir().unwrap());
    let pool = Pool::new(0).await;
    if pool.tool("vdi-delta").is_none() {
        return;
    }
    serve(&pool, NetworkPurpose::Nbd).await;
    let disk = dense_disk(24);
    let vm = pool
        .simulator
        .add_vm(VmSpec::new("db").halted().disk(disk.clone()))
        .unwrap();
    let vdi = change(&pool, &vm, &[]).await;
    let client = pool.client().await;
    client.vdi(vdi).enable_cbt().await.unwrap();
    client.logout().await.unwrap();
    let copy = folder.path("copy");
    let delta = async |way: &[&str]| {
        let mut delta = pool.tool("vdi-delta").unwrap();
        let output = delta
            .arg(&copy)
            .args(["--vm", "db", "--verify"])
            .args(way)
            .output()
            .await
            .unwrap();
        let said = complained(&output);
        assert!(output.status.success() && said.contains("byte for byte"), "{said}");
    };
    let mut expected = vec![0; 24 << 20];
    disk.read(0, &mut expected).unwrap();
    delta(&[]).await;
    for (way, places) in [
        (&[][..], &[5 << 20, 20 << 20][..]),
        (&["--way", "cbt"], &[4096]),
        (&["--way", "cbt"], &[]),
    ] {
        change(&pool, &vm, places).await;
        for &place in places {
            expected[place as usize..place as usize + 4096].fill(0xee);
        }
        let before = pool.simulator.counters().nbd_bytes;
        delta(way).await;
        let read = pool.simulator.counters().nbd_bytes - before;
        // CBT tells of 64 KiB at a time.
        assert!(read <= places.len() as u64 * (64 << 10), "{read} bytes for {places:?}");
        assert!(std::fs::read(copy.join("disk.raw")).unwrap() == expected, "{places:?}");
    }
    pool.assert_tidy().await;
}

/// What another client makes of the server.
#[tokio::test(flavor = "multi_thread")]
async fn libnbd_reads_the_same_disk() {
    let pool = Pool::new(0).await;
    let vm = pool
        .simulator
        .add_vm(VmSpec::new("db").halted().disk(dense_disk(8)))
        .unwrap();
    serve(&pool, NetworkPurpose::InsecureNbd).await;
    let vdi = change(&pool, &vm, &[]).await;
    let client = pool.client().await;
    let offers = client.vdi(vdi).nbd_info().await.unwrap();
    let [offer] = &offers[..] else { panic!("{offers:?}") };
    let name = offer.exportname.replace('?', "%3F").replace('=', "%3D");
    let url = format!(
        "nbd://{}:{}/{}",
        offer.address,
        offer.port,
        name.replacen('/', "%2F", 1)
    );
    let told = tokio::task::spawn_blocking(move || Command::new("nbdinfo").args(["--json", &url]).output());
    match told.await.unwrap() {
        Ok(output) => {
            let told = said(&output);
            assert!(
                told.contains("\"export-size\": 8388608"),
                "{told}{}",
                complained(&output)
            );
            assert!(told.contains("\"is_read_only\": true"), "{told}");
        }
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "nbdinfo: {error}");
            eprintln!("skipped: nbdinfo: {error}");
        }
    }
    client.logout().await.unwrap();
}
