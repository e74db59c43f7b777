//! A dense archive as xapi writes it: every block full of data, each followed by its XXH64.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use twox_hash::XxHash64;

pub(crate) const BLOCK: usize = 1 << 20;

/// The metadata of one VM with one disk, `Ref:3`.
fn ova(blocks: usize) -> String {
    let member = |name: &str, value: &str| format!("<member><name>{name}</name><value>{value}</value></member>");
    let object = |class: &str, id: &str, snapshot: &str| {
        let snapshot = format!("<struct>{snapshot}</struct>");
        let members = member("class", class) + &member("id", id) + &member("snapshot", &snapshot);
        format!("<value><struct>{members}</struct></value>")
    };
    let set = |id: &str| format!("<array><data><value>{id}</value></data></array>");
    let vm = member("name_label", "dense") + &member("VBDs", &set("Ref:2"));
    let vbd = member("VM", "Ref:1") + &member("VDI", "Ref:3") + &member("type", "Disk") + &member("userdevice", "0");
    let vdi = member("name_label", "dense") + &member("virtual_size", &(blocks * BLOCK).to_string());
    let objects = object("VM", "Ref:1", &vm) + &object("VBD", "Ref:2", &vbd) + &object("VDI", "Ref:3", &vdi);
    let version = format!("<struct>{}</struct>", member("export_vsn", "2"));
    let objects = format!("<array><data>{objects}</data></array>");
    format!(
        "<value><struct>{}{}</struct></value>",
        member("version", &version),
        member("objects", &objects)
    )
}

/// Writes the archive, as it is or through gzip; its length before compression is the answer.
pub(crate) fn write(path: &Path, blocks: usize, gzip: bool) -> io::Result<u64> {
    let file = BufWriter::new(std::fs::File::create(path)?);
    if gzip {
        let mut packed = GzEncoder::new(file, Compression::fast());
        let length = write_to(&mut packed, blocks)?;
        packed.finish()?.flush()?;
        Ok(length)
    } else {
        let mut file = file;
        let length = write_to(&mut file, blocks)?;
        file.flush()?;
        Ok(length)
    }
}

fn write_to(file: &mut impl Write, blocks: usize) -> io::Result<u64> {
    let mut length = 1024;
    length += entry(file, "ova.xml", ova(blocks).as_bytes())?;
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut block = vec![0; BLOCK];
    for number in 0..blocks {
        for word in block.chunks_exact_mut(8) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            // Half of each word is noise, so that gzip has something to do and something to gain.
            word.copy_from_slice(&(state & 0x00ff_00ff_00ff_00ff).to_le_bytes());
        }
        length += entry(file, &format!("Ref:3/{number:08}"), &block)?;
        let hash = format!("{:016X}", XxHash64::oneshot(0, &block));
        length += entry(file, &format!("Ref:3/{number:08}.xxhash"), hash.as_bytes())?;
    }
    file.write_all(&[0; 1024])?;
    Ok(length)
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
