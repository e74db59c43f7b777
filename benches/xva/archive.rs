//! An archive as xapi writes it: blocks of zeros left out, every other block followed by its checksum.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

use flate2::write::GzEncoder;
use sha1::{Digest, Sha1};
use twox_hash::XxHash64;
use zstd::stream::write::Encoder;

pub(crate) const BLOCK: usize = 1 << 20;

/// The levels that xapi's `gzip` and `zstd` compress with.
const GZIP_LEVEL: u32 = 6;
const ZSTD_LEVEL: i32 = 3;

#[derive(Clone, Copy)]
pub(crate) enum Checksum {
    Xxhash,
    Sha1,
}

#[derive(Clone, Copy)]
pub(crate) enum Packing {
    Plain,
    Gzip,
    Zstd,
}

/// How much an archive holds.
pub(crate) struct Content {
    /// Its length before compression.
    pub(crate) bytes: u64,
    pub(crate) blocks: u64,
}

/// Writes the archive of the disk in `image`.
pub(crate) fn write(path: &Path, image: &Path, checksum: Checksum, packing: Packing) -> io::Result<Content> {
    let mut file = BufWriter::new(File::create(path)?);
    let content = match packing {
        Packing::Plain => write_to(&mut file, image, checksum)?,
        Packing::Gzip => {
            let mut packed = GzEncoder::new(&mut file, flate2::Compression::new(GZIP_LEVEL));
            let content = write_to(&mut packed, image, checksum)?;
            packed.finish()?;
            content
        }
        Packing::Zstd => {
            let mut packed = Encoder::new(&mut file, ZSTD_LEVEL)?;
            let content = write_to(&mut packed, image, checksum)?;
            packed.finish()?;
            content
        }
    };
    file.flush()?;
    Ok(content)
}

fn write_to(file: &mut impl Write, image: &Path, checksum: Checksum) -> io::Result<Content> {
    let mut disk = File::open(image)?;
    let length = disk.metadata()?.len();
    let last = length / BLOCK as u64 - 1;
    let (mut bytes, mut blocks) = (1024, 0);
    bytes += entry(file, "ova.xml", ova(length).as_bytes())?;
    let mut block = vec![0; BLOCK];
    for number in 0..=last {
        disk.read_exact(&mut block)?;
        if number != 0 && number != last && block.iter().all(|&byte| byte == 0) {
            continue;
        }
        let (suffix, hash) = match checksum {
            Checksum::Xxhash => ("xxhash", format!("{:016X}", XxHash64::oneshot(0, &block))),
            Checksum::Sha1 => (
                "checksum",
                Sha1::digest(&block).iter().map(|byte| format!("{byte:02x}")).collect(),
            ),
        };
        bytes += entry(file, &format!("Ref:3/{number:08}"), &block)?;
        bytes += entry(file, &format!("Ref:3/{number:08}.{suffix}"), hash.as_bytes())?;
        blocks += 1;
    }
    file.write_all(&[0; 1024])?;
    Ok(Content { bytes, blocks })
}

/// The metadata of one VM with one disk, `Ref:3`.
fn ova(length: u64) -> String {
    let member = |name: &str, value: &str| format!("<member><name>{name}</name><value>{value}</value></member>");
    let object = |class: &str, id: &str, snapshot: &str| {
        let snapshot = format!("<struct>{snapshot}</struct>");
        let members = member("class", class) + &member("id", id) + &member("snapshot", &snapshot);
        format!("<value><struct>{members}</struct></value>")
    };
    let set = |id: &str| format!("<array><data><value>{id}</value></data></array>");
    let vm = member("name_label", "machine") + &member("VBDs", &set("Ref:2"));
    let vbd = member("VM", "Ref:1") + &member("VDI", "Ref:3") + &member("type", "Disk") + &member("userdevice", "0");
    let vdi = member("name_label", "system") + &member("virtual_size", &length.to_string());
    let objects = object("VM", "Ref:1", &vm) + &object("VBD", "Ref:2", &vbd) + &object("VDI", "Ref:3", &vdi);
    let version = format!("<struct>{}</struct>", member("export_vsn", "2"));
    let objects = format!("<array><data>{objects}</data></array>");
    format!(
        "<value><struct>{}{}</struct></value>",
        member("version", &version),
        member("objects", &objects)
    )
}

/// A V7 header, the content and its padding; how many bytes these are.
fn entry(file: &mut impl Write, name: &str, content: &[u8]) -> io::Result<u64> {
    let mut header = [0u8; 512];
    let mut put = |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, "0000400\0");
    put(108, "0000000\0");
    put(116, "0000000\0");
    put(124, &format!("{:011o}\0", content.len()));
    put(136, "00000000000\0");
    put(148, "        ");
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:07o}\0").as_bytes());
    file.write_all(&header)?;
    file.write_all(content)?;
    let padded = content.len().next_multiple_of(512);
    file.write_all(&[0; 511][..padded - content.len()])?;
    Ok((512 + padded) as u64)
}
