//! Any VHD read from front to back: what comes out as a stream comes out at random too.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vhd_mbr::vhd::{FooterAt, Vhd, VhdStream};
use vhd_mbr::xen_disk::ReadAt;

fuzz_target!(|bytes: &[u8]| {
    let Ok(mut stream) = VhdStream::open(bytes) else { return };
    let footer = stream.footer().clone();
    let disk = Vhd::open(bytes).ok();
    // What the map says of whole blocks, and what a footer at the end that says otherwise, is not known to a stream.
    let disk = disk.filter(|disk| disk.batmap().is_none() && *disk.footer() == footer);
    let disk = disk.filter(|disk| matches!(disk.footer_at(), FooterAt::End { .. }));
    for _ in 0..100 {
        let Ok(Some(run)) = stream.next_run() else { break };
        assert!(run.offset + run.data.len() as u64 <= footer.current_size);
        if let Some(disk) = &disk {
            let mut same = vec![0; run.data.len()];
            disk.read_exact_at(run.offset, &mut same).expect("the stream has it");
            assert!(same == run.data);
        }
    }
});
