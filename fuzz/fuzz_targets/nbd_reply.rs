//! Any bytes in place of an NBD server's: an error or a disk, no panic, no hang.
#![no_main]

use std::io::{self, Read, Write};

use libfuzzer_sys::fuzz_target;
use vhd_mbr::nbd::{ExportName, Session};

/// Says what it was given and hears nothing.
struct Server<'a>(&'a [u8]);

impl Read for Server<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

impl Write for Server<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fuzz_target!(|talk: &[u8]| {
    let name = ExportName::new("/disk?session_id=secret");
    let Ok(mut session) = Session::open(Server(talk), &name) else {
        return;
    };
    let size = session.export().size();
    let mut bytes = vec![0; size.min(4096) as usize];
    if let Ok((data, end)) = session.data(0, size.min(1 << 30) as u32) {
        assert!(data.iter().all(|range| range.end <= end) && end <= size);
    }
    let _ = session.read_exact_at(0, &mut bytes);
    let _ = session.read_exact_at(size - bytes.len() as u64, &mut bytes);
});
