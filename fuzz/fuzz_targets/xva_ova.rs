//! Any text: no panic, no deep recursion, and what was read once is read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use xva::ova::Ova;

fuzz_target!(|xml: &str| {
    if let Ok(ova) = Ova::parse(xml) {
        assert!(ova.vdis().iter().all(|vdi| ova.vdi(&vdi.id) == Some(vdi)));
        let _ = ova.objects();
    }
});
