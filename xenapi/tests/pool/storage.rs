//! Looking for storage, and SRs that come and go.

use xenapi::storage::{Discovery, Driver};
use xenapi::{Client, DiskFormat, Host, Map, PbdRecord, Ref};

use crate::pool;
use crate::transfers::whole;

fn map(entries: &[(&str, &str)]) -> Map<String, String> {
    entries
        .iter()
        .map(|&(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

async fn discover(client: &Client, host: Ref<Host>, kind: &str, place: &[(&str, &str)]) -> Result<Discovery, String> {
    let found = client.srs().discover(host, kind, &map(place)).await;
    found.map_err(|error| error.code().expect("a refusal").as_str().to_owned())
}

#[tokio::test]
async fn each_answer_is_the_next_key() {
    let (_, client) = pool(2, 0).await;
    let host = client.hosts().all().await.unwrap()[0];
    let ask = async |kind: &str, place: &[(&str, &str)]| discover(&client, host, kind, place).await;

    let Ok(Discovery::Exports(exports)) = ask("nfs", &[("server", "10.0.255.1")]).await else {
        panic!("no exports")
    };
    assert!(
        exports
            .iter()
            .any(|export| export.path == "/export/isos" && export.clients == "*")
    );
    let archive = [("server", "10.0.255.1"), ("serverpath", "/export/archive")];
    let Ok(Discovery::Srs(srs)) = ask("nfs", &archive).await else {
        panic!("no SRs")
    };
    assert_eq!(srs.len(), 1);

    let iscsi = [("target", "10.0.255.2")];
    let Ok(Discovery::Targets(targets)) = ask("lvmoiscsi", &iscsi).await else {
        panic!("no targets")
    };
    assert_eq!(targets.last().unwrap().iqn, "*");
    let iscsi = [iscsi[0], ("targetIQN", &targets[0].iqn)];
    let Ok(Discovery::Luns(luns)) = ask("lvmoiscsi", &iscsi).await else {
        panic!("no LUNs")
    };
    assert_eq!(
        luns.iter().map(|lun| lun.number).collect::<Vec<_>>(),
        [Some(0), Some(1)]
    );
    let iscsi = [iscsi[0], iscsi[1], ("SCSIid", &luns[0].scsi_id)];
    assert_eq!(ask("lvmoiscsi", &iscsi).await, Ok(Discovery::Srs(Vec::new())));
    Driver::of("lvmoiscsi").unwrap().check(&map(&iscsi)).unwrap();

    for (kind, place, code) in [
        ("nfs", [("server", "10.9.9.9")], "SR_BACKEND_FAILURE_108"),
        ("lvmoiscsi", [("target", "10.9.9.9")], "SR_BACKEND_FAILURE_141"),
        ("ext", [("device", "/dev/none")], "SR_BACKEND_FAILURE_19"),
        ("tape", [("device", "/dev/none")], "SR_UNKNOWN_DRIVER"),
    ] {
        assert_eq!(ask(kind, &place).await, Err(code.to_owned()));
    }
}

#[tokio::test]
async fn a_forgotten_sr_comes_back_with_its_disks() {
    let (_, client) = pool(2, 0).await;
    let hosts = client.hosts().all().await.unwrap();
    let place = map(&[("server", "10.0.255.1"), ("serverpath", "/export/xen")]);
    let sr = client
        .srs()
        .create(hosts[0], &place, 0, "Lab", "", "nfs", "user", true)
        .await
        .unwrap();
    let uuid = client.sr(sr).uuid().await.unwrap();
    let mut disk = xenapi::VdiRecord::default();
    (disk.sr, disk.virtual_size, disk.name_label) = (sr, 8 << 20, "data".to_owned());
    disk.kind = xenapi::vdi::VdiType::User;
    let disk = client.vdis().create(&disk).await.unwrap();
    let disk_uuid = client.vdi(disk).uuid().await.unwrap();
    let image = vec![0x5a; 8 << 20];
    let source = xenapi::Source::bytes(image.clone());
    client.vdi(disk).import_raw(DiskFormat::Raw, source).await.unwrap();

    let refused = client.sr(sr).forget().now().await.unwrap_err();
    assert_eq!(refused.code().unwrap().as_str(), "SR_HAS_PBD");
    for pbd in client.sr(sr).pbds().await.unwrap() {
        client.pbd(pbd).unplug().await.unwrap();
    }
    let refused = client.sr(sr).scan().await.unwrap_err();
    assert_eq!(refused.code().unwrap().as_str(), "SR_HAS_NO_PBDS");
    client.sr(sr).forget().await.unwrap();
    assert!(client.vdis().by_uuid(&disk_uuid).await.is_err());

    let Ok(Discovery::Srs(found)) = client.srs().discover(hosts[1], "nfs", &place).await else {
        panic!("no SRs")
    };
    assert!(found.iter().any(|sr| sr.uuid == uuid), "{found:?}");
    let sr = client
        .srs()
        .introduce(&uuid, "Lab", "", "nfs", "user", true)
        .await
        .unwrap();
    let again = client
        .srs()
        .introduce(&uuid, "Lab", "", "nfs", "user", true)
        .now()
        .await;
    assert_eq!(again.unwrap_err().code().unwrap().as_str(), "SR_UUID_EXISTS");
    let mut pbd = PbdRecord::default();
    (pbd.sr, pbd.host) = (sr, hosts[0]);
    pbd.device_config = map(&[("server", "10.0.255.1"), ("serverpath", "/export/isos")]);
    let elsewhere = client.pbds().create(&pbd).await.unwrap();
    assert!(client.pbd(elsewhere).plug().await.is_err());
    client.pbd(elsewhere).destroy().await.unwrap();
    pbd.device_config = place;
    let pbd = client.pbds().create(&pbd).await.unwrap();
    client.pbd(pbd).plug().await.unwrap();
    client.sr(sr).scan().await.unwrap();
    let disk = client.vdis().by_uuid(&disk_uuid).await.unwrap();
    let record = client.vdi(disk).record().await.unwrap();
    // Files keep no names.
    assert_eq!(
        (record.name_label.as_str(), record.virtual_size, record.sr),
        ("", 8 << 20, sr)
    );
    let kept = whole(client.vdi(disk).export_raw(DiskFormat::Raw).await.unwrap()).await;
    assert!(kept == image, "{} bytes", kept.len());
}

#[tokio::test]
async fn a_device_is_erased_for_a_new_sr_unless_one_of_the_pool_is_on_it() {
    let (_, client) = pool(2, 0).await;
    let hosts = client.hosts().all().await.unwrap();
    let coordinator = client
        .pools()
        .all_records()
        .await
        .unwrap()
        .values()
        .next()
        .unwrap()
        .master;
    assert!(hosts.contains(&coordinator));
    let place = map(&[("device", "/dev/sdc")]);
    let Ok(Discovery::Srs(found)) = client.srs().discover(coordinator, "ext", &place).await else {
        panic!("no SRs")
    };
    assert_eq!(found[0].devices.as_deref(), Some("/dev/sdc"));
    let make = |device: &str| {
        let place = map(&[("device", device)]);
        client
            .srs()
            .create(coordinator, &place, 0, "Local", "", "ext", "user", false)
    };
    make("/dev/sdc").await.unwrap();
    let Ok(Discovery::Srs(now)) = client.srs().discover(coordinator, "ext", &place).await else {
        panic!("no SRs")
    };
    assert!(now.len() == 1 && now[0].uuid != found[0].uuid, "{now:?}");
    for used in ["/dev/sdc", "/dev/sda3"] {
        assert_eq!(
            make(used).await.unwrap_err().code().unwrap().as_str(),
            "SR_DEVICE_IN_USE"
        );
    }
}
