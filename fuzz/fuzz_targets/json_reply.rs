//! Any JSON reply: no panic, no hang, a short error, and what was read and written again reads the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use xenapi::wire::{self, Encoding, json};
use xenapi::{DateTime, Map, Value};

fuzz_target!(|body: &[u8]| {
    match wire::decode_reply::<Value>(Encoding::Json, body) {
        Ok(value) => {
            let _ = wire::from_value::<Map<String, Map<String, DateTime>>>(&value);
            let again = json::success(json::Version::V2, &json::Id::Int(1), &value);
            let again: Value = wire::decode_reply(Encoding::Json, &again).expect("what was written can be read");
            // Through text, since NaN is not equal to itself.
            assert_eq!(format!("{again:?}"), format!("{value:?}"));
        }
        Err(wire::ReplyError::Decode(error)) => assert!(error.to_string().len() < 16 * 1024),
        Err(_) => {}
    }
    let _ = wire::decode_reply::<Map<String, Map<String, Vec<i64>>>>(Encoding::Json, body);
    let _ = wire::decode_reply::<(bool, Option<String>, f64)>(Encoding::Json, body);
});
