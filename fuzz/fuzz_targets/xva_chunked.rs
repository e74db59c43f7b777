//! Any bytes as an archive of version 0.1: no panic, no hang, and no more comes out than the disks are said to hold.
#![no_main]

use libfuzzer_sys::fuzz_target;
use xva::chunked::Reader;

fuzz_target!(|archive: &[u8]| {
    let Ok(mut reader) = Reader::new(archive) else {
        return;
    };
    while let Ok(Some(mut disk)) = reader.next_disk() {
        let size = disk.image().size;
        let mut out = Limited(1 << 20);
        if let Ok(copied) = disk.copy_to(&mut out) {
            assert!(size.is_none_or(|size| copied <= size));
        }
    }
});

/// Takes so much and then fails.
struct Limited(usize);

impl std::io::Write for Limited {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        let taken = buf.len().min(self.0);
        self.0 -= taken;
        Ok(taken)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
