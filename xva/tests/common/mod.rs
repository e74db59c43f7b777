//! Builds archives byte by byte, in every flavour of tar and with every mistake.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Read};

use sha1::{Digest as _, Sha1};
use twox_hash::XxHash64;
use xva::{Event, Parser, Result, Run};

/// Tests use blocks of this size, not 1 MiB, to be quick.
pub const UNIT: usize = 2048;

/// Which tar a header is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavour {
    /// As xapi writes it: no magic, type 0, seven digits of checksum.
    V7,
    /// POSIX, the folder in the prefix field.
    Ustar,
    /// GNU, sizes in base 256 and names in `L` entries.
    Gnu,
    /// POSIX with name and size in extended headers only.
    Pax,
    /// POSIX with the size in a global extended header.
    PaxGlobal,
}

pub const FLAVOURS: [Flavour; 5] = [
    Flavour::V7,
    Flavour::Ustar,
    Flavour::Gnu,
    Flavour::Pax,
    Flavour::PaxGlobal,
];

/// Which checksum entries follow the blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hash {
    Xxhash,
    LowercaseXxhash,
    Sha1,
    None,
}

#[derive(Debug, Clone)]
pub struct Builder {
    pub bytes: Vec<u8>,
    flavour: Flavour,
    hash: Hash,
    /// SHA-1 of every block, for the table of old archives.
    pub table: BTreeMap<String, String>,
}

impl Builder {
    pub fn new(flavour: Flavour, hash: Hash) -> Self {
        Self {
            bytes: Vec::new(),
            flavour,
            hash,
            table: BTreeMap::new(),
        }
    }

    pub fn xapi() -> Self {
        Self::new(Flavour::V7, Hash::Xxhash)
    }

    pub fn entry(mut self, name: &str, content: &[u8]) -> Self {
        match self.flavour {
            Flavour::V7 => self.bytes.extend(header(name, content.len() as u64, 0, b"")),
            Flavour::Ustar => {
                let (prefix, file) = name.rsplit_once('/').unwrap_or(("", name));
                let mut raw = header(file, content.len() as u64, b'0', b"ustar\x0000");
                raw[345..345 + prefix.len()].copy_from_slice(prefix.as_bytes());
                self.bytes.extend(sign(raw));
            }
            Flavour::Gnu => {
                let long_name = format!("{name}\0");
                self.raw_entry(b'L', "././@LongLink", long_name.as_bytes());
                self.raw_entry(b'K', "././@LongLink", b"target\0");
                let mut raw = header("cut", 0, b'0', b"ustar  \0");
                raw[124..128].copy_from_slice(b"\x80\0\0\0");
                raw[128..136].copy_from_slice(&(content.len() as u64).to_be_bytes());
                // Old GNU keeps times where ustar keeps the prefix.
                raw[345..357].copy_from_slice(b"15300636256\0");
                self.bytes.extend(sign(raw));
            }
            Flavour::Pax => {
                let records = record("path", name) + &record("size", &content.len().to_string());
                self.raw_entry(b'x', "PaxHeaders/cut", records.as_bytes());
                self.bytes.extend(header("cut", 7, b'0', b"ustar\x0000"));
            }
            Flavour::PaxGlobal => {
                let records = record("comment", "x") + &record("size", &content.len().to_string());
                self.raw_entry(b'g', "pax_global_header", records.as_bytes());
                self.bytes.extend(header(name, 7, b'0', b"ustar\x0000"));
            }
        }
        self.content(content)
    }

    /// A block and its checksum entry.
    pub fn block(self, disk: &str, number: u64, data: &[u8]) -> Self {
        let name = format!("{disk}/{number:08}");
        let sha1: String = Sha1::digest(data).iter().map(|b| format!("{b:02x}")).collect();
        let xxhash = XxHash64::oneshot(0, data);
        let mut this = self.entry(&name, data);
        this.table.insert(name.clone(), sha1.clone());
        match this.hash {
            Hash::Xxhash => this.entry(&format!("{name}.xxhash"), format!("{xxhash:016X}").as_bytes()),
            Hash::LowercaseXxhash => this.entry(&format!("{name}.xxhash"), format!("{xxhash:016x}").as_bytes()),
            Hash::Sha1 => this.entry(&format!("{name}.checksum"), sha1.as_bytes()),
            Hash::None => this,
        }
    }

    /// A disk of whole units as xapi writes it: all-zero blocks left out, except for the first and the last.
    pub fn disk(mut self, id: &str, raw: &[u8]) -> Self {
        let last = raw.chunks(UNIT).count() - 1;
        for (number, data) in raw.chunks(UNIT).enumerate() {
            if number == 0 || number == last || data.iter().any(|&b| b != 0) {
                self = self.block(id, number as u64, data);
            }
        }
        self
    }

    pub fn end(mut self) -> Vec<u8> {
        self.bytes.extend([0; 1024]);
        self.bytes
    }

    fn raw_entry(&mut self, kind: u8, name: &str, content: &[u8]) {
        let magic = if kind.is_ascii_uppercase() {
            b"ustar  \0"
        } else {
            b"ustar\x0000"
        };
        self.bytes.extend(header(name, content.len() as u64, kind, magic));
        *self = std::mem::replace(self, Self::xapi()).content(content);
    }

    fn content(mut self, content: &[u8]) -> Self {
        self.bytes.extend(content);
        self.bytes.resize(self.bytes.len().next_multiple_of(512), 0);
        self
    }
}

pub fn header(name: &str, size: u64, kind: u8, magic: &[u8]) -> [u8; 512] {
    let mut raw = [0; 512];
    raw[..name.len()].copy_from_slice(name.as_bytes());
    raw[100..108].copy_from_slice(b"0000400\0");
    raw[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
    raw[136..148].copy_from_slice(b"00000000000\0");
    raw[156] = kind;
    raw[257..257 + magic.len()].copy_from_slice(magic);
    sign(raw)
}

pub fn sign(mut raw: [u8; 512]) -> [u8; 512] {
    raw[148..156].fill(b' ');
    let sum: u32 = raw.iter().map(|&b| u32::from(b)).sum();
    raw[148..156].copy_from_slice(format!("{sum:07o}\0").as_bytes());
    raw
}

fn record(key: &str, value: &str) -> String {
    let rest = key.len() + value.len() + 3;
    let length = (rest + 1..)
        .find(|length| length.to_string().len() + rest == *length)
        .unwrap();
    format!("{length} {key}={value}\n")
}

/// Metadata of one machine with these disks, in the order of its drives.
pub fn ova(disks: &[(&str, usize)]) -> String {
    ova_of_version(Some(2), disks)
}

pub fn ova_of_version(export_vsn: Option<u32>, disks: &[(&str, usize)]) -> String {
    let mut objects = object("VM", "Ref:900", &[("uuid", "vm-uuid"), ("name_label", "a &amp; b")]);
    objects += &object(
        "SR",
        "Ref:901",
        &[("name_label", "Local storage"), ("content_type", "user")],
    );
    for (i, (id, size)) in disks.iter().enumerate() {
        let (i, size) = (i.to_string(), size.to_string());
        let boolean = if i == "0" {
            "<boolean>1</boolean>"
        } else {
            "<boolean>0</boolean>"
        };
        objects += &object(
            "VBD",
            &format!("Ref:91{i}"),
            &[
                ("VM", "Ref:900"),
                ("VDI", id),
                ("userdevice", &i),
                ("bootable", boolean),
                ("type", "Disk"),
                ("mode", "RW"),
            ],
        );
        objects += &object(
            "VDI",
            id,
            &[
                ("name_label", "disk"),
                ("SR", "Ref:901"),
                ("virtual_size", &size),
                ("type", "user"),
            ],
        );
    }
    let mut version = member("hostname", "h") + &member("product_version", "8.3.0") + &member("xapi_major", "1");
    if let Some(export_vsn) = export_vsn {
        version += &member("export_vsn", &export_vsn.to_string());
    }
    format!(
        "<value><struct><member><name>version</name><value><struct>{version}</struct></value></member>\
         <member><name>objects</name><value><array><data>{objects}</data></array></value></member></struct></value>"
    )
}

pub fn object(class: &str, id: &str, fields: &[(&str, &str)]) -> String {
    let mut record = String::new();
    for (name, value) in fields {
        record += &member(name, value);
    }
    let mut text = String::new();
    let _ = write!(text, "<value><struct>{}{}", member("class", class), member("id", id));
    let _ = write!(
        text,
        "<member><name>snapshot</name><value><struct>{record}</struct></value></member></struct></value>"
    );
    text
}

fn member(name: &str, value: &str) -> String {
    format!("<member><name>{name}</name><value>{value}</value></member>")
}

/// Bytes that are not zero and differ from each other.
pub fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8 | 1
    };
    (0..len).map(|_| next()).collect()
}

/// A disk of this many units with data in some of them and a last unit of `tail` bytes.
pub fn sparse(units: usize, tail: usize, filled: &[usize]) -> Vec<u8> {
    let mut raw = vec![0; units * UNIT + tail];
    for &unit in filled {
        let end = raw.len().min((unit + 1) * UNIT);
        let data = noise(end - unit * UNIT, unit as u64 + 1);
        raw[unit * UNIT..end].copy_from_slice(&data);
    }
    raw
}

/// What a read gave: the disks in the order of the archive.
pub type Disks = Vec<(String, Vec<u8>)>;

/// Reads an archive through [`xva::Reader`].
pub fn read(source: impl Read) -> Result<Disks> {
    let mut archive = xva::Reader::new(source);
    let mut disks = Disks::new();
    while let Some(mut disk) = archive.next_disk()? {
        let mut raw = Vec::new();
        let id = disk.id().to_owned();
        while let Some(run) = disk.next_run()? {
            match run {
                Run::Data(block) => {
                    assert_eq!(block.offset, raw.len() as u64);
                    raw.extend(block.data);
                }
                Run::Hole { offset, len } => {
                    assert_eq!(offset, raw.len() as u64);
                    raw.resize(raw.len() + len as usize, 0);
                }
            }
        }
        disks.push((id, raw));
    }
    Ok(disks)
}

/// Reads an archive through [`Parser::feed`] in pieces of these sizes, over and over.
pub fn feed(mut archive: &[u8], pieces: &[usize]) -> Result<Disks> {
    let mut parser = Parser::new();
    let mut disks = Disks::new();
    let mut pieces = pieces.iter().cycle();
    loop {
        let (mut piece, rest) = archive.split_at((*pieces.next().unwrap()).min(archive.len()));
        while let Some(event) = parser.feed(&mut piece)? {
            store(&mut disks, event);
        }
        archive = rest;
        if archive.is_empty() {
            break;
        }
    }
    parser.end_of_input();
    while let Some(event) = parser.next_event()? {
        store(&mut disks, event);
    }
    Ok(disks)
}

fn store(disks: &mut Disks, event: Event<'_>) {
    match event {
        Event::DiskStart(disk) => disks.push((disk.id.clone(), Vec::new())),
        Event::Block(block) => {
            let (id, raw) = disks.last_mut().unwrap();
            assert_eq!(id, block.disk);
            raw.resize(block.offset as usize, 0);
            raw.extend(block.data);
        }
        Event::DiskEnd(disk) => disks.last_mut().unwrap().1.resize(disk.end as usize, 0),
        _ => {}
    }
}

/// Gives at most `limit` bytes at a time and tells how many it gave.
#[derive(Debug)]
pub struct Trickle<'a> {
    pub rest: &'a [u8],
    pub limit: usize,
}

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.limit.min(buffer.len());
        self.rest.read(&mut buffer[..n])
    }
}
