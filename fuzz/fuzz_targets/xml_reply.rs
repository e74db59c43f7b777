//! Any XML reply: no panic, no hang, a short error, and every value that was read can be read as other types or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use xenapi::wire::{self, Encoding, xml};
use xenapi::{DateTime, Map, Value};

fuzz_target!(|body: &[u8]| {
    match wire::decode_reply::<Value>(Encoding::Xml, body) {
        Ok(value) => {
            let _ = wire::from_value::<Map<String, Map<String, DateTime>>>(&value);
            let text = xml::value_text(&value);
            let _ = xml::from_value_text::<Value>(&text);
        }
        Err(wire::ReplyError::Decode(error)) => assert!(error.to_string().len() < 16 * 1024),
        Err(_) => {}
    }
    let _ = wire::decode_reply::<Map<String, Map<String, Vec<i64>>>>(Encoding::Xml, body);
    let _ = wire::decode_reply::<(bool, Option<String>, f64)>(Encoding::Xml, body);
});
