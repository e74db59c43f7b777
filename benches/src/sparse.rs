//! Archives of any size that take no room: all their blocks are zeros, and holes of the file.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The length of a block.
pub const BLOCK: u64 = 1 << 20;

/// The length of a block with its header, and its checksum with its header.
pub const STRIDE: u64 = 512 + BLOCK + 1024;

/// Writes an archive of one disk, `Ref:1`, with the blocks of these numbers, which are holes of the file.
///
/// # Errors
/// Where the file cannot be made.
pub fn write(path: &Path, numbers: &[u64]) -> io::Result<()> {
    let file = File::create(path)?;
    let disk_size = numbers.last().map_or(0, |last| (last + 1) * BLOCK);
    let ova = ova(disk_size);
    file.write_all_at(&header("ova.xml", ova.len() as u64), 0)?;
    file.write_all_at(ova.as_bytes(), 512)?;
    let mut at = 512 + (ova.len() as u64).next_multiple_of(512);
    let checksum = format!("{:016X}", twox_hash::XxHash64::oneshot(0, &vec![0; BLOCK as usize]));
    for number in numbers {
        let name = format!("Ref:1/{number:08}");
        file.write_all_at(&header(&name, BLOCK), at)?;
        let mut tail = header(&format!("{name}.xxhash"), 16).to_vec();
        tail.extend(checksum.as_bytes());
        file.write_all_at(&tail, at + 512 + BLOCK)?;
        at += STRIDE;
    }
    file.set_len(at + 1024)?;
    Ok(())
}

/// As xapi writes it: no magic, seven digits of checksum.
fn header(name: &str, size: u64) -> [u8; 512] {
    let mut raw = [0; 512];
    raw[..name.len()].copy_from_slice(name.as_bytes());
    raw[100..108].copy_from_slice(b"0000400\0");
    raw[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
    raw[136..148].copy_from_slice(b"00000000000\0");
    raw[148..156].fill(b' ');
    let sum: u32 = raw.iter().map(|&byte| u32::from(byte)).sum();
    raw[148..156].copy_from_slice(format!("{sum:07o}\0").as_bytes());
    raw
}

fn ova(disk_size: u64) -> String {
    let member = |name: &str, value: &str| format!("<member><name>{name}</name><value>{value}</value></member>");
    let vdi = format!("<struct>{}</struct>", member("virtual_size", &disk_size.to_string()));
    let object = [member("class", "VDI"), member("id", "Ref:1"), member("snapshot", &vdi)].concat();
    let objects = format!("<array><data><value><struct>{object}</struct></value></data></array>");
    let version = format!("<struct>{}</struct>", member("export_vsn", "2"));
    let all = [member("version", &version), member("objects", &objects)].concat();
    format!("<value><struct>{all}</struct></value>")
}
