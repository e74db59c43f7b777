//! What Wireshark may ask a capture program: any arguments.
#![no_main]

use std::ffi::OsString;

use libfuzzer_sys::fuzz_target;
use pcap_tap::extcap::Request;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let _ = Request::parse(text.split('\n').map(OsString::from));
});
