//! Any call in both encodings, as a server reads it: no panic, no hang, and what can be sent arrives as it was.
#![no_main]

use libfuzzer_sys::fuzz_target;
use xenapi::wire::{json, xml};

fuzz_target!(|body: &[u8]| {
    if let Ok(call) = json::parse_request(body)
        && let Ok(again) = json::request(&call.method, &call.params, 1)
    {
        let again = json::parse_request(&again).expect("what was written can be read");
        assert_eq!(again.params, call.params);
    }
    if let Ok(call) = xml::parse_request(body)
        && let Ok(again) = xml::request(&call.method, &call.params)
    {
        let again = xml::parse_request(&again).expect("what was written can be read");
        // Through text, since NaN is not equal to itself.
        assert_eq!(format!("{:?}", again.params), format!("{:?}", call.params));
    }
});
