//! The archive that an export sends, one entry at a time.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use twox_hash::XxHash64;

use crate::disk_image::DiskImage;

const TAR_BLOCK: usize = 512;
/// How much of a disk one entry holds.
const BLOCK: u64 = 1 << 20;

/// One disk of an archive.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    pub(crate) folder: String,
    /// The virtual size in bytes; behind the image's end it is zero.
    pub(crate) size: u64,
    /// All zero where there is none.
    pub(crate) image: Option<Arc<DiskImage>>,
}

impl Disk {
    fn blocks(&self) -> u64 {
        self.size.div_ceil(BLOCK)
    }

    /// All its bytes, zeros included.
    pub(crate) fn into_raw(self) -> impl Iterator<Item = io::Result<Bytes>> {
        (0..self.blocks()).map(move |number| {
            let offset = number * BLOCK;
            let mut block = vec![0; BLOCK.min(self.size - offset) as usize];
            if let Some(image) = &self.image {
                image.read(offset, &mut block)?;
            }
            Ok(block.into())
        })
    }

    /// The entries of a block and its hash; none where it is all zero and may be left out.
    fn entries(&self, number: u64) -> io::Result<Option<Vec<u8>>> {
        let offset = number * BLOCK;
        let length = BLOCK.min(self.size - offset);
        let required = number == 0 || number + 1 == self.blocks();
        let hole = self.image.as_ref().is_none_or(|image| image.is_hole(offset, length));
        if hole && !required {
            return Ok(None);
        }
        let name = format!("{}/{number:08}", self.folder);
        let mut entries = Vec::with_capacity(length as usize + 4 * TAR_BLOCK);
        push_header(&mut entries, &name, length as usize, 0);
        entries.resize(TAR_BLOCK + length as usize, 0);
        let block = &mut entries[TAR_BLOCK..];
        if let Some(image) = &self.image {
            image.read(offset, block)?;
        }
        if !required && block.iter().all(|&byte| byte == 0) {
            return Ok(None);
        }
        let hash = format!("{:016X}", XxHash64::oneshot(0, block));
        pad(&mut entries);
        push_entry(&mut entries, &format!("{name}.xxhash"), hash.as_bytes(), 0);
        Ok(Some(entries))
    }
}

/// The pieces of an archive, made when they are asked for.
#[derive(Debug)]
pub(crate) struct Archive {
    description: Option<(String, u64)>,
    disks: std::vec::IntoIter<Disk>,
    current: Option<(Disk, u64)>,
    ended: bool,
}

impl Archive {
    /// The blocks of one disk alone, in a folder of that name.
    pub(crate) fn of_disk(disk: Disk) -> Self {
        Self {
            description: None,
            disks: vec![disk].into_iter(),
            current: None,
            ended: false,
        }
    }

    /// An archive with this `ova.xml`, dated in seconds since 1970, and these disks in this order.
    pub(crate) fn new(xml: String, date: u64, disks: Vec<Disk>) -> Self {
        Self {
            description: Some((xml, date)),
            disks: disks.into_iter(),
            current: None,
            ended: false,
        }
    }

    fn next_piece(&mut self) -> io::Result<Option<Bytes>> {
        if let Some((xml, date)) = self.description.take() {
            let mut piece = Vec::new();
            push_entry(&mut piece, "ova.xml", xml.as_bytes(), date);
            return Ok(Some(piece.into()));
        }
        loop {
            let Some((disk, number)) = &mut self.current else {
                match self.disks.next() {
                    Some(disk) => self.current = Some((disk, 0)),
                    None if self.ended => return Ok(None),
                    None => {
                        self.ended = true;
                        return Ok(Some(Bytes::from_static(&[0; 2 * TAR_BLOCK])));
                    }
                }
                continue;
            };
            if *number >= disk.blocks() {
                self.current = None;
                continue;
            }
            let entries = disk.entries(*number)?;
            *number += 1;
            if let Some(entries) = entries {
                return Ok(Some(entries.into()));
            }
        }
    }
}

impl Iterator for Archive {
    type Item = io::Result<Bytes>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_piece().transpose()
    }
}

/// A tar archive with one file.
pub(crate) fn tar_of(name: &str, content: &[u8], date: u64) -> Vec<u8> {
    let mut archive = Vec::new();
    push_entry(&mut archive, name, content, date);
    archive.resize(archive.len() + 2 * TAR_BLOCK, 0);
    archive
}

fn push_entry(out: &mut Vec<u8>, name: &str, content: &[u8], date: u64) {
    push_header(out, name, content.len(), date);
    out.extend_from_slice(content);
    pad(out);
}

/// Fills up to where the next header may stand.
fn pad(out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(TAR_BLOCK), 0);
}

/// Writes a header as old as xapi's: V7, without magic, seven digits of checksum.
fn push_header(out: &mut Vec<u8>, name: &str, length: usize, date: u64) {
    let mut header = [0; TAR_BLOCK];
    let mut put = |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, "0000400");
    put(108, "0000000");
    put(116, "0000000");
    put(124, &format!("{length:011o}"));
    put(136, &format!("{date:011o}"));
    // The checksum counts its own place as spaces.
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum::<u32>() + 8 * u32::from(b' ');
    header[148..155].copy_from_slice(format!("{sum:07o}").as_bytes());
    out.extend_from_slice(&header);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(archive: Archive) -> Vec<String> {
        let bytes: Vec<u8> = archive.flat_map(|piece| piece.unwrap()).collect();
        let mut names = Vec::new();
        let mut rest = &bytes[..];
        while rest[0] != 0 {
            let text =
                |range: std::ops::Range<usize>| String::from_utf8_lossy(&rest[range]).trim_end_matches('\0').to_owned();
            names.push(text(0..100));
            let size = usize::from_str_radix(&text(124..136), 8).unwrap();
            rest = &rest[TAR_BLOCK + size.next_multiple_of(TAR_BLOCK)..];
        }
        assert_eq!(rest.len(), 2 * TAR_BLOCK);
        names
    }

    #[test]
    fn holes_are_left_out_but_not_at_the_ends() {
        let mut image = DiskImage::new(5 << 20);
        image.write(2 << 20, b"data");
        let disk = Disk {
            folder: "Ref:7".to_owned(),
            size: 5 << 20,
            image: Some(Arc::new(image)),
        };
        let expected = [
            "ova.xml",
            "Ref:7/00000000",
            "Ref:7/00000000.xxhash",
            "Ref:7/00000002",
            "Ref:7/00000002.xxhash",
            "Ref:7/00000004",
            "Ref:7/00000004.xxhash",
        ];
        assert_eq!(names(Archive::new("<value/>".to_owned(), 0, vec![disk])), expected);
    }
}
