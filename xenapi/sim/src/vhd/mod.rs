//! VHD images, as `/export_raw_vdi` sends them and `/import_raw_vdi` takes them.

mod reader;
mod writer;

pub(crate) use self::reader::Reader;
pub(crate) use self::writer::Image;

const SECTOR: u64 = 512;
/// How much of the disk one block holds.
const BLOCK: u64 = 2 << 20;
/// A block that the image does not hold.
const UNUSED: u32 = u32::MAX;
/// The largest disk that xapi sends as VHD, in bytes.
pub(crate) const MAX_SIZE: u64 = 2040 << 30;

/// The complement of the sum of all bytes.
fn checksum(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(0_u32, |sum, &byte| sum.wrapping_add(u32::from(byte)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::reader::Defect;
    use super::*;
    use crate::disk_image::DiskImage;

    fn sample() -> DiskImage {
        let mut disk = DiskImage::new(10 << 20);
        disk.write(0, b"start");
        disk.write(5 << 20, &[7; 4096]);
        disk.write((10 << 20) - 3, b"end");
        disk
    }

    fn bytes(image: Image) -> Vec<u8> {
        image.flat_map(|piece| piece.unwrap()).collect()
    }

    fn read(bytes: &[u8], into: &mut DiskImage, pieces: usize) -> Result<bool, Defect> {
        let mut reader = Reader::new(bytes.len() as u64, into.size());
        for piece in bytes.chunks(pieces) {
            reader.push(piece, |offset, data| into.write(offset, data))?;
        }
        Ok(reader.is_complete())
    }

    #[test]
    fn what_is_written_reads_back() {
        let disk = Arc::new(sample());
        let vhd = bytes(Image::whole(Arc::clone(&disk), 10 << 20, 1).unwrap());
        assert_eq!(vhd.len(), 2048 + 512 + 3 * (512 + (2 << 20)) + 512);
        for pieces in [1000, 1 << 20] {
            let mut back = DiskImage::new(12 << 20);
            assert_eq!(read(&vhd, &mut back, pieces), Ok(true));
            assert!(back.has_same(&disk, 0, 10 << 20).unwrap());
        }
        assert_eq!(
            read(&vhd[..vhd.len() - 600], &mut DiskImage::new(10 << 20), 4096),
            Ok(false)
        );
    }

    #[test]
    fn a_difference_holds_the_blocks_that_changed() {
        let base = Arc::new(sample());
        let mut disk = sample();
        disk.write(7 << 20, b"new");
        let disk = Arc::new(disk);
        let vhd = bytes(Image::difference(Arc::clone(&disk), Arc::clone(&base), 10 << 20, [1, 2], "/base").unwrap());
        assert_eq!(vhd.len(), 2048 + 512 + 512 + (2 << 20) + 512);
        assert_eq!(vhd[60..64], 4_u32.to_be_bytes());
        let mut back = sample();
        assert_eq!(read(&vhd, &mut back, 4096), Ok(true));
        assert!(back.has_same(&disk, 0, 10 << 20).unwrap());
    }

    #[test]
    fn other_bytes_are_refused() {
        let mut fixed = vec![0; 4096];
        fixed[3584..3592].copy_from_slice(b"conectix");
        for bytes in [fixed, vec![0xff; 4096]] {
            assert!(read(&bytes, &mut DiskImage::new(1 << 20), 512).is_err());
        }
        let disk = Arc::new(sample());
        let vhd = bytes(Image::whole(disk, 10 << 20, 1).unwrap());
        assert!(read(&vhd, &mut DiskImage::new(4 << 20), 4096).is_err(), "too large");
    }
}
