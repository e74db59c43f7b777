//! What `xva-tool` does with an archive that a pool has exported.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use xenapi_sim::{DiskImage, VmSpec};

use crate::harness::{Folder, Pool, complained, dense_disk, json, said, tool};

/// An archive of a VM with two disks, and the disks.
struct Sample {
    folder: TempDir,
    disks: [Vec<u8>; 2],
}

impl Sample {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

fn sparse_disk() -> DiskImage {
    let mut disk = DiskImage::new(40 << 20);
    disk.write(3 << 20, b"three");
    disk.write((30 << 20) - 2, b"thirty");
    disk
}

fn raw(disk: &DiskImage) -> Vec<u8> {
    let mut raw = vec![0; disk.size() as usize];
    disk.read(0, &mut raw).unwrap();
    raw
}

/// `None` where the tools were not built.
async fn sample() -> Option<Sample> {
    let pool = Pool::new(0).await;
    let disks = [dense_disk(4), sparse_disk()];
    let [one, two] = disks.clone();
    pool.simulator
        .add_vm(VmSpec::new("sample").halted().disk(one).disk(two))
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut export = pool.tool("vm-export")?;
    export.args(["--vm", "sample"]).arg(folder.path().join("sample.xva"));
    assert!(export.output().await.unwrap().status.success());
    Some(Sample {
        folder,
        disks: disks.each_ref().map(raw),
    })
}

async fn run(job: &str, path: &Path, more: &[&str]) -> Output {
    let mut command = tool("xva-tool").unwrap();
    command.arg(job).arg(path).args(more).output().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn disks_and_bytes_come_out_as_they_are() {
    let Some(sample) = sample().await else { return };
    let archive = sample.path("sample.xva");
    let info = json(&run("info", &archive, &["--json"]).await);
    assert_eq!(info["vms"][0]["name"], "sample");
    let folders: Vec<_> = (0..2)
        .map(|disk| info["vms"][0]["disks"][disk]["folder"].as_str().unwrap().to_owned())
        .collect();

    let to = sample.folder.path().to_str().unwrap();
    let output = run("extract", &archive, &["--to", to]).await;
    assert!(output.status.success(), "{}", complained(&output));
    for (folder, disk) in folders.iter().zip(&sample.disks) {
        let image = std::fs::read(sample.path(&format!("{}.raw", folder.replace(':', "-")))).unwrap();
        assert!(image == *disk, "{folder}");
    }
    let again = run("extract", &archive, &["--to", to]).await;
    assert!(complained(&again).contains("--overwrite"), "{again:?}");

    let bytes = run(
        "cat",
        &archive,
        &["--disk", "1", "--offset", "31457278", "--length", "6"],
    )
    .await;
    assert_eq!(said(&bytes), "thirty");
    let unknown = run("cat", &archive, &["--disk", "7"]).await;
    assert!(complained(&unknown).contains("no disk 7"), "{unknown:?}");
    let unclear = run("cat", &archive, &[]).await;
    assert!(complained(&unclear).contains("--disk"), "{unclear:?}");

    let of_sparse = |list: serde_json::Value| {
        let mut disks = list.as_array().unwrap().iter();
        disks.find(|disk| disk["folder"] == *folders[1]).unwrap().clone()
    };
    let list = of_sparse(json(&run("ls", &archive, &["--json"]).await));
    assert_eq!(list["held"], 5 << 20, "first, last, and three with data");
    let list = of_sparse(json(&run("ls", &archive, &["--blocks", "--json"]).await));
    let third = &list["blocks"][1];
    assert_eq!((&third["number"], &third["offset"]), (&3.into(), &(3 << 20).into()));
    let place = third["content"].as_u64().unwrap() as usize;
    assert_eq!(std::fs::read(&archive).unwrap()[place..][..5], *b"three");
    let block = run("cat-block", &archive, &["--disk", "1", "--block", "3"]).await;
    assert!(block.stdout == sample.disks[1][3 << 20..4 << 20]);
    let hole = run("cat", &archive, &["--disk", "1", "--block", "4"]).await;
    assert!(complained(&hole).contains("no block 00000004"), "{hole:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_in_place_is_shown_kept_and_taken_back() {
    let Some(sample) = sample().await else { return };
    let archive = sample.path("sample.xva");
    let before = std::fs::read(&archive).unwrap();
    let undo = sample.path("undo");
    let change = ["--disk", "1", "--offset", "3145728", "--hex", "74 48 72 65 65"];
    let dry = run("patch", &archive, &[&change[..], &["--dry-run"]].concat()).await;
    assert!(said(&dry).contains("68 -> 48"), "only what differs: {dry:?}");
    assert!(std::fs::read(&archive).unwrap() == before);
    let dry = run("patch", &archive, &[&change[..], &["--dry-run", "--json"]].concat()).await;
    assert_eq!(json(&dry)[0]["new"], "48");
    let real = run(
        "patch",
        &archive,
        &[&change[..], &["--undo", undo.to_str().unwrap()]].concat(),
    )
    .await;
    assert!(real.status.success(), "{}", complained(&real));
    let bytes = run(
        "cat",
        &archive,
        &["--disk", "1", "--offset", "3145728", "--length", "5"],
    )
    .await;
    assert_eq!(said(&bytes), "tHree");
    let extracted = run("extract", &archive, &["--to", sample.folder.path().to_str().unwrap()]).await;
    assert!(
        complained(&extracted).contains(" 0 damaged"),
        "its checksum is right: {extracted:?}"
    );
    let back = run("undo", &archive, &[undo.to_str().unwrap()]).await;
    assert!(back.status.success(), "{}", complained(&back));
    assert!(std::fs::read(&archive).unwrap() == before, "bit for bit");
    let hole = ["--disk", "1", "--offset", "10485760", "--hex", "01", "--dry-run"];
    let hole = run("patch", &archive, &hole).await;
    assert!(complained(&hole).contains("left out"), "{hole:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn qemu_reads_what_is_served() {
    let Some(sample) = sample().await else { return };
    if std::process::Command::new("qemu-img")
        .arg("--version")
        .output()
        .is_err()
    {
        assert!(std::env::var_os("CI").is_none(), "qemu-img is missing");
        eprintln!("skipped: there is no qemu-img");
        return;
    }
    let mut serve = tool("xva-tool").unwrap();
    serve
        .arg("serve")
        .arg(sample.path("sample.xva"))
        .args(["--listen", "127.0.0.1:0"]);
    let mut server = serve.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    for _ in &sample.disks {
        let url = lines.next_line().await.unwrap().unwrap();
        let copy = sample.path("copy");
        let mut convert = Command::new("qemu-img");
        convert.args(["convert", "-f", "raw", "-O", "raw", &url]).arg(&copy);
        let output = convert.output().await.unwrap();
        assert!(output.status.success(), "{}", complained(&output));
        let copy = std::fs::read(&copy).unwrap();
        assert!(sample.disks.contains(&copy), "{url}");
        let mut write = Command::new("qemu-img");
        write.args(["bench", "-w", "-c", "1", "-f", "raw", &url]);
        assert!(!write.output().await.unwrap().status.success(), "it is read-only");
    }
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn disks_are_files_while_mounted() {
    let Some(sample) = sample().await else { return };
    if let Err(error) = std::fs::File::options().read(true).write(true).open("/dev/fuse") {
        eprintln!("skipped: this kernel lets nobody mount: /dev/fuse: {error}");
        return;
    }
    let folder = sample.path("mounted");
    std::fs::create_dir(&folder).unwrap();
    let mut mount = tool("xva-tool").unwrap();
    mount.arg("mount").arg(sample.path("sample.xva")).arg(&folder);
    let mut mounted = mount.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(mounted.stdout.take().unwrap()).lines();
    let mut images = Vec::new();
    for _ in &sample.disks {
        let Some(path) = lines.next_line().await.unwrap() else {
            panic!("{:?}", mounted.wait_with_output().await);
        };
        images.push(tokio::fs::read(&path).await.unwrap());
        let copy = sample.path("copy");
        let output = Command::new("cp").arg("--sparse=auto").arg(&path).arg(&copy).output();
        assert!(output.await.unwrap().status.success());
        assert!(tokio::fs::read(&copy).await.unwrap() == images[images.len() - 1]);
        assert!(tokio::fs::File::options().write(true).open(&path).await.is_err());
    }
    images.sort_by_key(Vec::len);
    assert!(images == sample.disks);
    let pid = mounted.id().unwrap().to_string();
    assert!(Command::new("kill").arg(&pid).status().await.unwrap().success());
    assert!(mounted.wait().await.unwrap().success());
    assert_eq!(
        std::fs::read_dir(&folder).unwrap().count(),
        0,
        "it is mounted no longer"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn images_become_an_archive_that_a_pool_imports() {
    let Some(sample) = sample().await else { return };
    let images = ["system.raw", "data.raw"].map(|name| sample.path(name));
    for (path, disk) in images.iter().zip(&sample.disks) {
        std::fs::write(path, disk).unwrap();
    }
    let images = images.each_ref().map(|path| path.to_str().unwrap());
    for compression in [&[][..], &["--compression", "zstd"]] {
        let archive = sample.path(&format!("packed{}.xva", compression.len()));
        let flags = [
            "--name",
            "packed",
            "--disk",
            images[0],
            "--disk",
            images[1],
            "--network",
            "lan",
        ];
        let packed = run("pack", &archive, &[&flags[..], compression].concat()).await;
        assert!(packed.status.success(), "{}", complained(&packed));
        let again = run("pack", &archive, &flags).await;
        assert!(!again.status.success(), "what is there stays");

        let edited = sample.path(&format!("edited{}.xva", compression.len()));
        let change = ["--name", "edited", "--mac", "02:00:00:00:00:07", "--memory", "512"];
        let output = run("edit", &archive, &[&[edited.to_str().unwrap()], &change[..]].concat()).await;
        assert!(output.status.success(), "{}", complained(&output));
        assert_eq!(
            json(&run("info", &edited, &["--json"]).await)["vms"][0]["name"],
            "edited"
        );

        let pool = Pool::new(0).await;
        let mut import = pool.tool("vm-import").unwrap();
        let output = import.arg("--restore").arg(&edited).output().await.unwrap();
        assert!(output.status.success(), "{}", complained(&output));
        let vm = pool.simulator.find("VM", "edited").unwrap();
        let memory = pool.simulator.get("VM", &vm, "memory_static_max").unwrap();
        assert_eq!(memory.as_int(), Some(512 << 20));
        let vif = &pool.simulator.refs("VIF")[0];
        let mac = pool.simulator.get("VIF", vif, "MAC").unwrap();
        assert_eq!(mac.as_str(), Some("02:00:00:00:00:07"));
        let back = sample.path(&format!("back{}.xva", compression.len()));
        let mut export = pool.tool("vm-export").unwrap();
        let output = export.args(["--vm", "edited"]).arg(&back).output().await.unwrap();
        assert!(output.status.success(), "{}", complained(&output));
        for (place, disk) in ["0", "1"].iter().zip(&sample.disks) {
            let bytes = run("cat", &back, &["--disk", place]).await;
            assert!(bytes.stdout == *disk, "disk {place}");
        }
    }
    let wrong = run(
        "edit",
        &sample.path("sample.xva"),
        &[sample.path("no.xva").to_str().unwrap(), "--set", "VM:Ref:1:colour=red"],
    )
    .await;
    assert!(!wrong.status.success() && !sample.path("no.xva").exists(), "{wrong:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_is_found_and_the_rest_is_saved() {
    let Some(sample) = sample().await else { return };
    let archive = sample.path("sample.xva");
    let sound = json(&run("verify", &archive, &["--json"]).await);
    assert_eq!((&sound["sound"], &sound["would_import"]), (&true.into(), &true.into()));
    let mut bytes = std::fs::read(&archive).unwrap();
    let place = bytes.windows(4).position(|four| four == b"irty").unwrap();
    bytes[place] ^= 1;
    let damaged = sample.path("damaged.xva");
    std::fs::write(&damaged, bytes).unwrap();
    let output = run("verify", &damaged, &[]).await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(said(&output).contains("damaged; a pool would refuse it"), "{output:?}");
    let saved = sample.path("saved");
    std::fs::create_dir(&saved).unwrap();
    let output = run("salvage", &damaged, &["--to", saved.to_str().unwrap(), "--json"]).await;
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["whole"], false);
    for image in std::fs::read_dir(&saved).unwrap() {
        std::fs::remove_file(image.unwrap().path()).unwrap();
    }
    let output = run("salvage", &damaged, &["--to", saved.to_str().unwrap()]).await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(said(&output).contains("in doubt: Checksum"), "{output:?}");
    let mut images: Vec<_> = std::fs::read_dir(&saved)
        .unwrap()
        .map(|entry| std::fs::read(entry.unwrap().path()).unwrap())
        .collect();
    images.sort_by_key(Vec::len);
    assert!(images[0] == sample.disks[0], "the other disk is whole");
    let differing = images[1]
        .iter()
        .zip(&sample.disks[1])
        .filter(|(one, two)| one != two)
        .count();
    assert_eq!(differing, 1, "the damaged byte and no other");
}

/// An archive of one disk of 4 MiB, made by the tool itself; `None` where it was not built.
async fn packed() -> Option<Sample> {
    let folder = tempfile::tempdir().unwrap();
    let (raw, archive) = (folder.path().join("raw.img"), folder.path().join("packed.xva"));
    let disk = raw_with(&[(0, 1), (3 << 20, 2)]);
    std::fs::write(&raw, &disk).unwrap();
    let mut pack = tool("xva-tool")?;
    pack.arg("pack")
        .arg(&archive)
        .args(["--name", "packed", "--disk"])
        .arg(&raw);
    assert!(pack.output().await.unwrap().status.success());
    Some(Sample {
        folder,
        disks: [disk, Vec::new()],
    })
}

fn raw_with(bytes: &[(usize, u8)]) -> Vec<u8> {
    let mut raw = vec![0; 4 << 20];
    for &(place, byte) in bytes {
        raw[place] = byte;
    }
    raw
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_cut_off_is_not_read_as_zeros() {
    let Some(sample) = packed().await else { return };
    let whole = std::fs::read(sample.path("packed.xva")).unwrap();
    let cut = sample.path("cut.xva");
    // The last block, with its checksum and the zero blocks at the end.
    std::fs::write(&cut, &whole[..whole.len() - (1 << 20) - 1536 - 1024]).unwrap();
    let image = sample.path("cut.raw");
    let converted = run("convert", &cut, &[image.to_str().unwrap()]).await;
    assert!(
        complained(&converted).contains("ends at 1048576 of 4194304"),
        "{converted:?}"
    );
    assert!(!image.exists());
    let read = run("cat", &cut, &["--offset", "2097152", "--length", "1"]).await;
    assert!(!read.status.success() && read.stdout.is_empty(), "{read:?}");
    let noise = sample.path("noise");
    std::fs::write(&noise, vec![0xa5; 5000]).unwrap();
    let saved = run("salvage", &noise, &["--to", sample.folder.path().to_str().unwrap()]).await;
    assert!(!saved.status.success(), "{saved:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_archive_is_converted_from_standard_input() {
    let Some(sample) = packed().await else { return };
    let mut convert = tool("xva-tool").unwrap();
    let image = sample.path("piped.raw");
    convert.arg("convert").arg("-").arg(&image);
    let archive = std::fs::File::open(sample.path("packed.xva")).unwrap();
    let output = convert.stdin(archive).output().await.unwrap();
    assert!(output.status.success(), "{}", complained(&output));
    assert!(std::fs::read(image).unwrap() == sample.disks[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_is_refused_and_leaves_nothing_behind() {
    let Some(sample) = packed().await else { return };
    let (archive, new) = (sample.path("packed.xva"), sample.path("new"));
    let new_name = new.to_str().unwrap();
    for (job, more) in [
        ("patch", &["--offset", "0", "--hex", "+f", "--undo", new_name][..]),
        ("edit", &[new_name, "--memory", "17592186044417"]),
        ("edit", &[new_name, "--mac", "web"]),
        ("edit", &[new_name, "--vcpus", "0"]),
        ("cat", &["--offset", "4194305"]),
        (
            "extract",
            &["--disk", "1", "--to", sample.folder.path().to_str().unwrap()],
        ),
    ] {
        let output = run(job, &archive, more).await;
        assert!(!output.status.success(), "{job} {more:?}");
        assert!(!new.exists(), "{job} {more:?}");
    }
    let to = sample.folder.path().to_str().unwrap();
    let first = run("extract", &archive, &["--disk", "0", "--to", to]).await;
    assert!(first.status.success(), "{}", complained(&first));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_byte_goes_where_the_archive_has_no_block() {
    let folder = Folder(tempfile::tempdir().unwrap());
    if tool("xva-tool").is_none() {
        return;
    }
    let (image, second) = (folder.path("system.raw"), folder.path("data.raw"));
    let mut bytes = vec![0; 12 << 20];
    bytes[..1000].fill(1);
    bytes[9 << 20] = 2;
    std::fs::write(&image, &bytes).unwrap();
    std::fs::write(&second, vec![3; 2 << 20]).unwrap();
    let (old, new) = (folder.path("old.xva"), folder.path("new.xva"));
    let disks = ["--disk", image.to_str().unwrap(), "--disk", second.to_str().unwrap()];
    let packed = run(
        "pack",
        &old,
        &[&["--name", "web", "--network", "lab"][..], &disks].concat(),
    )
    .await;
    assert!(packed.status.success(), "{}", complained(&packed));
    let change = ["--disk", "0", "--offset", "5000000", "--hex", "ab cd"];
    let refused = run("patch", &old, &[&change[..], &["--dry-run"]].concat()).await;
    assert!(!refused.status.success(), "there is no block");
    let before = std::fs::read(&old).unwrap();
    let repacked = run(
        "patch",
        &old,
        &[&change[..], &["--repack", new.to_str().unwrap()]].concat(),
    )
    .await;
    assert!(repacked.status.success(), "{}", complained(&repacked));
    assert!(std::fs::read(&old).unwrap() == before, "the archive stays as it is");
    bytes[5_000_000..5_000_002].copy_from_slice(&[0xab, 0xcd]);
    for (disk, expected) in [("0", &bytes), ("1", &vec![3; 2 << 20])] {
        let cat = run("cat", &new, &["--disk", disk]).await;
        assert!(cat.stdout == *expected, "{disk}: {}", complained(&cat));
    }
    let verified = run("verify", &new, &[]).await;
    assert!(verified.status.success(), "{}", complained(&verified));
    let info = async |archive: &Path| json(&run("info", archive, &["--json"]).await);
    let known = info(&old).await;
    assert_eq!(known, info(&new).await);
    let interface = &known["vms"][0]["interfaces"][0];
    assert_eq!(interface["network_name"], "lab");
    let edit = format!("VIF:{}:MAC=02:00:00:00:00:07", interface["id"].as_str().unwrap());
    let edited = folder.path("edited.xva");
    let output = run("edit", &new, &["--set", &edit, edited.to_str().unwrap()]).await;
    assert!(output.status.success(), "{}", complained(&output));
    assert_eq!(
        info(&edited).await["vms"][0]["interfaces"][0]["mac"],
        "02:00:00:00:00:07"
    );
}
