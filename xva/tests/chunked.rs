//! Archives of version 0.1.

mod common;

use std::io::{Read, Write};

use common::noise;
use proptest::prelude::*;
use xva::chunked::{ChunkedError, Reader};

/// The real ones have 10⁹ bytes.
const CHUNK: usize = 10_000;

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(data).unwrap();
    gzip.finish().unwrap()
}

fn metadata(sizes: [usize; 2]) -> String {
    let [sda, sdb] = sizes;
    format!(
        r#"<?xml version="1.0"?><appliance version="0.1">
  <vm name="vm"><label>Mail &amp; news</label><shortdesc>old</shortdesc>
    <config mem_set="268435456" vcpus="2"/><hacks is_hvm="false" kernel_boot_cmdline="root=/dev/sda1 ro"/>
    <vbd device="sda" function="root" mode="w" vdi="vdi_sda"/><vbd device="sdb" function="swap" mode="ro" vdi="vdi_sdb"/>
  </vm>
  <vdi name="vdi_sda" size="{sda}" source="file://sda" type="dir-gzipped-chunks"/>
  <vdi name="vdi_sdb" size="{sdb}" source="file://sdb" type="dir-gzipped-chunks"/>
</appliance>"#
    )
}

fn pack(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, content) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        tar.append_data(&mut header, name, &content[..]).unwrap();
    }
    tar.into_inner().unwrap()
}

fn disks() -> [Vec<u8>; 2] {
    [noise(25_000, 1), [vec![0; 12_000], noise(3_000, 2)].concat()]
}

/// `dash` is how Zurich writes the names; the documents leave it out.
fn archive(dash: &str) -> Vec<u8> {
    let disks = disks();
    let mut entries = vec![(
        "ova.xml".to_owned(),
        metadata(disks.each_ref().map(Vec::len)).into_bytes(),
    )];
    for (folder, raw) in ["sda", "sdb"].iter().zip(&disks) {
        for (number, data) in raw.chunks(CHUNK).enumerate() {
            entries.push((format!("{folder}/chunk{dash}{number:09}.gz"), gzip(data)));
        }
    }
    let entries: Vec<(&str, Vec<u8>)> = entries
        .iter()
        .map(|(name, data)| (name.as_str(), data.clone()))
        .collect();
    pack(&entries)
}

fn read(bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>, ChunkedError> {
    let mut reader = Reader::new(bytes)?;
    let mut disks = Vec::new();
    while let Some(mut disk) = reader.next_disk()? {
        let mut raw = Vec::new();
        let len = disk.copy_to(&mut raw)?;
        assert_eq!(len, raw.len() as u64);
        disks.push((disk.image().name.clone(), raw));
    }
    Ok(disks)
}

#[test]
fn metadata_and_disks() {
    let [sda, sdb] = disks();
    for dash in ["-", ""] {
        let bytes = archive(dash);
        let expected = [("vdi_sda".to_owned(), sda.clone()), ("vdi_sdb".to_owned(), sdb.clone())];
        assert_eq!(read(&bytes).unwrap(), expected);
        assert_eq!(read(&gzip(&bytes)).unwrap(), expected);
    }
    let bytes = archive("-");
    let reader = Reader::new(&bytes[..]).unwrap();
    let appliance = reader.appliance();
    let vm = &appliance.vms[0];
    assert_eq!(
        (appliance.version.as_str(), vm.label.as_str(), vm.description.as_str()),
        ("0.1", "Mail & news", "old")
    );
    assert_eq!((vm.memory, vm.vcpus, vm.is_hvm), (Some(256 << 20), Some(2), false));
    assert_eq!(vm.kernel_boot_cmdline, "root=/dev/sda1 ro");
    assert_eq!(
        (
            vm.vbds[1].device.as_str(),
            vm.vbds[1].read_only,
            vm.vbds[1].vdi.as_str()
        ),
        ("sdb", true, "vdi_sdb")
    );
    assert!(!vm.vbds[0].read_only);
    assert_eq!(
        (appliance.vdis[1].size, appliance.vdis[1].folder.as_str()),
        (Some(15_000), "sdb")
    );
}

#[test]
fn disks_can_be_passed_over_and_read_in_parts() {
    let [_, sdb] = disks();
    let bytes = archive("-");
    for start in [0, 10, 9_999, 10_001, 25_000] {
        let mut reader = Reader::new(&bytes[..]).unwrap();
        let mut part = vec![0; start];
        reader.next_disk().unwrap().unwrap().read_exact(&mut part).unwrap();
        let mut second = reader.next_disk().unwrap().unwrap();
        let mut raw = Vec::new();
        second.read_to_end(&mut raw).unwrap();
        assert_eq!(raw, sdb, "{start}");
        assert!(reader.next_disk().unwrap().is_none());
    }
}

#[test]
fn what_can_be_wrong() {
    let xml = |sda| metadata([sda, 0]).into_bytes();
    let chunk = || gzip(&noise(500, 1));
    let one =
        |size, chunks: &[(&str, Vec<u8>)]| read(&pack(&[&[("ova.xml", xml(size))], chunks].concat())).unwrap_err();
    assert!(matches!(
        one(501, &[("sda/chunk-0.gz", chunk())]),
        ChunkedError::Size {
            expected: 501,
            found: 500,
            ..
        }
    ));
    assert!(matches!(
        one(499, &[("sda/chunk-0.gz", chunk())]),
        ChunkedError::Size {
            expected: 499,
            found: 500,
            ..
        }
    ));
    let swapped = [("sda/chunk-1.gz", chunk()), ("sda/chunk-0.gz", chunk())];
    assert!(matches!(one(1000, &swapped), ChunkedError::Order { .. }));
    let mut damaged = chunk();
    damaged[200] ^= 1;
    assert!(matches!(
        one(500, &[("sda/chunk-0.gz", damaged)]),
        ChunkedError::Chunk { .. }
    ));
    let cut = chunk()[..100].to_vec();
    assert!(matches!(
        one(500, &[("sda/chunk-0.gz", cut)]),
        ChunkedError::Chunk { .. }
    ));
    let longer = [chunk(), b"more".to_vec()].concat();
    assert!(matches!(
        one(500, &[("sda/chunk-0.gz", longer)]),
        ChunkedError::Chunk { .. }
    ));
    let newer = common::Builder::xapi()
        .entry("ova.xml", common::ova(&[]).as_bytes())
        .end();
    assert!(matches!(Reader::new(&newer[..]), Err(ChunkedError::Metadata(_))));
    assert!(matches!(Reader::new(&b""[..]), Err(ChunkedError::NotChunked)));
    let error = xva::Reader::new(&archive("-")[..]).ova().unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("xva::chunked"), "{source}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changed_bytes(at in any::<prop::sample::Index>(), by in 1..=255u8, len in any::<prop::sample::Index>()) {
        let mut bytes = archive("-");
        let at = at.index(bytes.len());
        bytes[at] ^= by;
        let _ = read(&bytes);
        let _ = read(&bytes[..len.index(bytes.len())]);
    }
}
