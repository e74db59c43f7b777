//! QCOW2 images, as `/export_raw_vdi` sends them and `/import_raw_vdi` takes them.

mod reader;
mod writer;

pub(crate) use self::reader::Reader;
pub(crate) use self::writer::Image;

const MAGIC: &[u8; 4] = b"QFI\xfb";
/// The length of a header of version 2, in bytes; what version 3 adds lies behind it.
const HEADER: u64 = 72;
/// The lower bits of a place in a table are flags, and so are the upper ones.
const PLACE: u64 = 0x00ff_ffff_ffff_fe00;
/// Nothing else refers to the cluster or table, so that it may be written in place.
const SOLE: u64 = 1 << 63;
/// The bytes are compressed.
const COMPRESSED: u64 = 1 << 62;
/// A cluster of zeros, whether or not it has a place.
const ZEROS: u64 = 1;

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::sync::Arc;

    use super::reader::Defect;
    use super::*;
    use crate::disk_image::DiskImage;

    const SIZE: u64 = (600 << 20) + 512;

    fn sample() -> DiskImage {
        let mut disk = DiskImage::new(SIZE);
        disk.write(0, b"start");
        disk.write(5 << 20, &[7; 200_000]);
        disk.write((550 << 20) - 3, b"far behind");
        disk.write(SIZE - 3, b"end");
        disk
    }

    fn bytes(image: Image) -> Vec<u8> {
        image.flat_map(|piece| piece.unwrap()).collect()
    }

    fn read(bytes: &[u8], into: &mut DiskImage, pieces: usize) -> Result<bool, Defect> {
        let mut reader = Reader::new(into.size());
        for piece in bytes.chunks(pieces) {
            reader.push(piece, |offset, data| into.write(offset, data))?;
        }
        Ok(reader.is_complete())
    }

    #[test]
    fn what_is_written_reads_back() {
        let disk = Arc::new(sample());
        let image = bytes(Image::whole(Arc::clone(&disk), SIZE).unwrap());
        assert_eq!(image.len() % 65_536, 0);
        for pieces in [1000, 1 << 20] {
            let mut back = DiskImage::new(SIZE);
            assert_eq!(read(&image, &mut back, pieces), Ok(true));
            assert!(back.has_same(&disk, 0, SIZE).unwrap());
        }
        let cut = &image[..image.len() - 100_000];
        assert_eq!(read(cut, &mut DiskImage::new(SIZE), 4096), Ok(false));
    }

    #[test]
    fn a_difference_holds_the_clusters_that_changed() {
        let base = Arc::new(sample());
        let mut disk = sample();
        disk.write(7 << 20, b"new");
        disk.write(5 << 20, &[0; 65_536]);
        let disk = Arc::new(disk);
        let image = bytes(Image::difference(Arc::clone(&disk), Arc::clone(&base), SIZE).unwrap());
        let mut back = sample();
        assert_eq!(read(&image, &mut back, 4096), Ok(true));
        assert!(back.has_same(&disk, 0, SIZE).unwrap());
        let whole = bytes(Image::whole(disk, SIZE).unwrap());
        assert!(image.len() < whole.len());
    }

    #[test]
    fn other_bytes_are_refused() {
        assert!(read(&[0xff; 4096], &mut DiskImage::new(1 << 20), 512).is_err());
        let image = bytes(Image::whole(Arc::new(sample()), SIZE).unwrap());
        assert!(read(&image, &mut DiskImage::new(4 << 20), 4096).is_err(), "too large");
        for (at, value) in [(8, 1), (20, 5), (32, 1), (36, 0xff), (40, 0xff), (4, 9)] {
            let mut wrong = image.clone();
            wrong[at] = value;
            let read = read(&wrong, &mut DiskImage::new(SIZE), 4096);
            assert!(!matches!(read, Ok(true)), "byte {at}");
        }
    }

    #[test]
    fn qemu_reads_what_is_written_and_writes_what_is_read() {
        if Command::new("qemu-img").arg("--version").output().is_err() {
            assert!(std::env::var_os("CI").is_none(), "qemu-img is missing");
            eprintln!("skipped: there is no qemu-img");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let qemu = |arguments: &[&str]| {
            let output = Command::new("qemu-img").args(arguments).output().unwrap();
            assert!(output.status.success(), "{arguments:?}: {output:?}");
        };
        let disk = Arc::new(sample());
        disk.write_raw(&mut std::fs::File::create(path("raw")).unwrap())
            .unwrap();
        std::fs::write(path("ours"), bytes(Image::whole(Arc::clone(&disk), SIZE).unwrap())).unwrap();
        qemu(&["check", "-f", "qcow2", &path("ours")]);
        qemu(&["compare", "-f", "raw", "-F", "qcow2", &path("raw"), &path("ours")]);
        for options in ["compat=1.1", "compat=0.10,cluster_size=4096"] {
            qemu(&[
                "convert",
                "-f",
                "raw",
                "-O",
                "qcow2",
                "-o",
                options,
                &path("raw"),
                &path("theirs"),
            ]);
            let mut back = DiskImage::new(SIZE);
            let theirs = std::fs::read(path("theirs")).unwrap();
            assert_eq!(read(&theirs, &mut back, 10_000), Ok(true), "{options}");
            assert!(back.has_same(&disk, 0, SIZE).unwrap(), "{options}");
        }
    }
}
