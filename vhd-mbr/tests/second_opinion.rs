//! Tables made by `sfdisk`, `sgdisk` and `parted`, read by us and by them.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::NamedTempFile;
use vhd_mbr::partition::{BootCode, GptType, MbrType, Partition};
use vhd_mbr::{Guid, PartitionTable};

const MIB: u64 = 1 << 20;

/// The program, found even where only the superuser's search path leads to it.
fn tool(program: &str) -> Command {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new(program);
    command.env("PATH", format!("{path}:/usr/sbin:/sbin"));
    command
}

/// Whether the program can be run; where it cannot, the test is skipped, but not in CI.
fn have(program: &str) -> bool {
    let found = tool(program).arg("--version").output().is_ok();
    if !found {
        assert!(
            std::env::var("CI").as_deref() != Ok("true"),
            "{program} must be installed in CI"
        );
        eprintln!("skipped: {program} is not installed");
    }
    found
}

fn image(size: u64) -> NamedTempFile {
    let image = NamedTempFile::new().unwrap();
    image.as_file().set_len(size).unwrap();
    image
}

fn run(program: &str, args: &[&str], path: &Path, input: &str) -> String {
    let mut command = tool(program);
    command.args(args).arg(path);
    finish(command, input)
}

fn finish(mut command: Command, input: &str) -> String {
    command
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    assert!(status.success(), "{command:?}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

fn read(path: &Path) -> PartitionTable {
    PartitionTable::read_disk(&File::open(path).unwrap()).unwrap()
}

/// Holds every field that `sfdisk --json` prints against ours.
fn compare_with_sfdisk(path: &Path) -> PartitionTable {
    let ours = read(path);
    let json: Value = serde_json::from_str(&run("sfdisk", &["--json"], path, "")).unwrap();
    let theirs = &json["partitiontable"];
    match ours.gpt() {
        Some(gpt) => {
            assert_eq!(theirs["label"], "gpt");
            assert_eq!(theirs["id"], gpt.disk_guid.to_string());
            assert_eq!(theirs["firstlba"], gpt.first_usable_sector);
            assert_eq!(theirs["lastlba"], gpt.last_usable_sector);
        }
        None => {
            assert_eq!(theirs["label"], "dos");
            assert_eq!(theirs["id"], format!("{:#010x}", ours.mbr().disk_signature));
        }
    }
    let rows = theirs["partitions"].as_array().map_or(&[][..], Vec::as_slice);
    assert_eq!(rows.len(), ours.partitions().len(), "{ours}");
    for row in rows {
        let node = row["node"].as_str().unwrap();
        let number = node
            .strip_prefix(path.to_str().unwrap())
            .unwrap()
            .trim_start_matches('p')
            .parse()
            .unwrap();
        compare_row(row, ours.partition(number).unwrap());
    }
    ours
}

fn compare_row(row: &Value, partition: &Partition) {
    assert_eq!(row["start"], partition.first_sector);
    assert_eq!(row["size"], partition.sectors);
    if let Some(entry) = partition.mbr_entry() {
        assert_eq!(row["type"], format!("{:x}", entry.partition_type.0));
        assert_eq!(row["bootable"].as_bool().unwrap_or(false), partition.is_bootable());
    }
    if let Some(entry) = partition.gpt_entry() {
        assert_eq!(row["type"], entry.partition_type.0.to_string());
        assert_eq!(row["uuid"], entry.guid.to_string());
        assert_eq!(row["name"].as_str().unwrap_or_default(), entry.name);
        assert_eq!(
            attribute_bits(row["attrs"].as_str().unwrap_or_default()),
            entry.attributes.0
        );
    }
}

/// `RequiredPartition LegacyBIOSBootable GUID:60,63` as a number.
fn attribute_bits(text: &str) -> u64 {
    text.split([' ', ','])
        .filter(|word| !word.is_empty())
        .fold(0, |bits, word| {
            let bit = match word {
                "RequiredPartition" => 0,
                "NoBlockIOProtocol" => 1,
                "LegacyBIOSBootable" => 2,
                number => number.trim_start_matches("GUID:").parse().unwrap(),
            };
            bits | 1 << bit
        })
}

#[test]
fn an_mbr_of_sfdisk() {
    if !have("sfdisk") {
        return;
    }
    let image = image(96 * MIB);
    let script = "label: dos\nlabel-id: 0x1234abcd\n\
        start=2048, size=32768, type=e, bootable\n\
        start=34816, size=49152, type=83\n\
        start=83968, type=5\n\
        start=186368, size=4096, type=da\n\
        start=86016, size=49152, type=7\n\
        start=137216, size=20480, type=82\n\
        start=159744, size=2048, type=8e\n";
    run(
        "sfdisk",
        &["--quiet"],
        image.path(),
        &script.replace("start=83968,", "start=83968, size=100352,"),
    );
    let table = compare_with_sfdisk(image.path());
    assert_eq!(
        table.partitions().iter().map(|p| p.number).collect::<Vec<_>>(),
        [1, 2, 3, 4, 5, 6, 7]
    );
    assert_eq!(table.boot_code(), BootCode::None);
    assert_eq!(table.warnings(), []);
}

#[test]
fn an_mbr_after_deletions() {
    if !have("sfdisk") {
        return;
    }
    let image = image(64 * MIB);
    let script = "label: dos\n,8M\n,,5\n,4M\n,4M\n,4M\n,4M\n";
    run("sfdisk", &["--quiet"], image.path(), script);
    let mut delete = tool("sfdisk");
    delete.args(["--quiet", "--delete"]).arg(image.path()).args(["1", "5"]);
    finish(delete, "");
    let table = compare_with_sfdisk(image.path());
    assert_eq!(table.partitions().len(), 4);
}

#[test]
fn a_gpt_of_sfdisk() {
    if !have("sfdisk") {
        return;
    }
    // Larger than an MBR can count.
    let image = image(5 << 40);
    let script = "label: gpt\n\
        size=512MiB, type=uefi, name=\"EFI System\"\n\
        size=16MiB, type=E3C9E316-0B5C-4DB8-817D-F92DF00215AE, attrs=\"GUID:63\"\n\
        size=3TiB, type=EBD0A0A2-B9E5-4433-87C0-68B6B72699C7, name=\"Größe 数据\", attrs=\"RequiredPartition GUID:60,62\"\n\
        size=1TiB, type=linux, name=\"root fs\", attrs=\"LegacyBIOSBootable\"\n";
    run("sfdisk", &["--quiet"], image.path(), script);
    let table = compare_with_sfdisk(image.path());
    assert_eq!(table.partition(3).unwrap().len, 3 << 40);
    assert_eq!(table.warnings(), []);
}

#[test]
fn a_gpt_of_sgdisk() {
    if !have("sgdisk") {
        return;
    }
    let image = image(64 * MIB);
    let args = [
        "--new=1:2048:+8M",
        "--typecode=1:ef00",
        "--change-name=1:EFI",
        "--attributes=1:set:2",
        "--attributes=1:set:60",
        "--new=3:40960:+8M",
        "--typecode=3:8300",
        "--change-name=3:root",
        "--new=2:90000:0",
        "--typecode=2:8e00",
    ];
    run("sgdisk", &args, image.path(), "");
    let table = read(image.path());
    assert_eq!(table.partitions().len(), 3);
    for partition in table.partitions() {
        let number = format!("--info={}", partition.number);
        let text = run("sgdisk", &[&number], image.path(), "");
        let field = |name: &str| {
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .unwrap_or_else(|| panic!("{name}: {text}"));
            line.trim_start_matches(':')
                .split_whitespace()
                .next()
                .unwrap_or_default()
                .to_owned()
        };
        let entry = partition.gpt_entry().unwrap();
        assert_eq!(field("Partition GUID code"), entry.partition_type.0.to_string());
        assert_eq!(field("Partition unique GUID"), entry.guid.to_string());
        assert_eq!(field("First sector"), entry.first_sector.to_string());
        assert_eq!(field("Last sector"), entry.last_sector.to_string());
        assert_eq!(field("Partition size"), partition.sectors.to_string());
        assert_eq!(field("Attribute flags"), format!("{:016X}", entry.attributes.0));
        assert_eq!(
            text.lines().last().unwrap(),
            format!("Partition name: '{}'", entry.name)
        );
    }
    if have("sfdisk") {
        compare_with_sfdisk(image.path());
    }
}

#[test]
fn a_hybrid_mbr_of_sgdisk() {
    if !have("sgdisk") {
        return;
    }
    let image = image(64 * MIB);
    run(
        "sgdisk",
        &["--new=1:2048:+8M", "--new=2:0:+8M", "--hybrid=1:2"],
        image.path(),
        "",
    );
    let table = read(image.path());
    assert_eq!(table.partitions().len(), 2);
    assert_eq!(table.mbr().own_partitions().len(), 2);
    assert!(
        table
            .warnings()
            .iter()
            .any(|warning| warning.to_string().contains("partitions of its own")),
        "{table}"
    );
}

#[test]
fn a_damaged_gpt_reads_as_sgdisk_repairs_it() {
    if !have("sgdisk") {
        return;
    }
    let image = image(64 * MIB);
    run(
        "sgdisk",
        &["--new=1:2048:+8M", "--change-name=1:kept", "--new=2:0:+8M"],
        image.path(),
        "",
    );
    let whole = read(image.path());
    std::os::unix::fs::FileExt::write_all_at(image.as_file(), &[0; 512], 512).unwrap();
    let damaged = read(image.path());
    let content = |table: &PartitionTable| -> Vec<_> {
        table
            .partitions()
            .iter()
            .map(|p| (p.number, p.start, p.len, p.entry.clone()))
            .collect()
    };
    assert_eq!(content(&damaged), content(&whole));
    assert_ne!(damaged.warnings(), []);
}

#[test]
fn tables_of_parted() {
    if !have("parted") || !have("sfdisk") {
        return;
    }
    let mbr = image(128 * MIB);
    let script = "unit MiB mklabel msdos mkpart primary ext4 1 17 mkpart primary linux-swap 17 33 \
        mkpart extended 33 127 mkpart logical ntfs 34 50 mkpart logical fat32 51 90 set 1 boot on";
    parted(mbr.path(), script);
    let table = compare_with_sfdisk(mbr.path());
    assert_eq!(table.partitions().len(), 5);
    assert_eq!(table.boot_code(), BootCode::Parted);

    let gpt = image(128 * MIB);
    parted(
        gpt.path(),
        "unit MiB mklabel gpt mkpart first ext4 1 17 mkpart second fat32 17 33 set 2 esp on",
    );
    let table = compare_with_sfdisk(gpt.path());
    assert_eq!(
        table.partition(2).unwrap().gpt_entry().unwrap().partition_type,
        GptType::EFI_SYSTEM
    );
}

fn parted(path: &Path, script: &str) {
    let mut command = tool("parted");
    command
        .args(["--script", "--align", "none"])
        .arg(path)
        .args(script.split_whitespace());
    finish(command, "");
}

#[test]
fn sectors_of_4096_bytes_of_fdisk() {
    if !have("fdisk") {
        return;
    }
    let image = image(64 * MIB);
    let mut fdisk = tool("fdisk");
    fdisk.args(["--sector-size", "4096"]).arg(image.path());
    finish(fdisk, "g\nn\n1\n\n+16M\nn\n2\n\n\nw\n");
    let table = read(image.path());
    assert_eq!(table.sector_size(), 4096);
    assert_eq!(table.partition(1).unwrap().len, 16 * MIB);
    assert_eq!(table.warnings(), []);
}

#[test]
fn every_type_that_sfdisk_knows_has_a_name() {
    if !have("sfdisk") {
        return;
    }
    let list = |label: &str| {
        let mut command = tool("sfdisk");
        command.args(["--list-types", "--label", label]);
        let text = finish(command, "");
        text.lines()
            .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
            .collect::<Vec<_>>()
    };
    let bytes: Vec<_> = list("dos")
        .iter()
        .filter_map(|word| u8::from_str_radix(word, 16).ok())
        .collect();
    assert!(bytes.len() > 80);
    for byte in bytes {
        assert!(MbrType(byte).name().is_some(), "{byte:02x}");
    }
    let guids: Vec<_> = list("gpt")
        .iter()
        .filter_map(|word| word.parse::<Guid>().ok())
        .collect();
    assert!(guids.len() > 100);
    for guid in guids {
        assert!(GptType(guid).name().is_some(), "{guid}");
    }
}
