//! Two ends of a line of values, with any values of others in between: no panic, and nothing that was written comes in
//! another order while nobody forges.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use serial_link_protocol::{Agent, Board, Host};

fuzz_target!(|input: &[u8]| {
    let (mut host, mut guest) = (Board::<Host>::new(1), Board::<Agent>::new(2));
    let mut values: Vec<(String, String)> = Vec::new();
    let (mut sent, mut came, mut forged) = (0_u8, 0_u8, false);
    let mut rest = input;
    let mut now = Duration::ZERO;
    while let Some((&step, after)) = rest.split_first() {
        rest = after;
        now += Duration::from_millis(100);
        match step % 6 {
            0 => sent = sent.wrapping_add(host.write(&[sent]) as u8),
            1 => values.extend(host.post(now)),
            2 => values.extend(guest.post(now)),
            3 => {
                // Seen late, and in any order.
                let at = usize::from(step) % values.len().max(1);
                if let Some((name, value)) = values.get(at) {
                    host.see(name, value);
                    guest.see(name, value);
                }
            }
            4 => {
                for byte in guest.read(usize::from(step)) {
                    assert!(forged || byte == came, "{byte} came where {came} was next");
                    came = byte.wrapping_add(1);
                }
            }
            _ => {
                let length = usize::from(step).min(rest.len());
                let (text, after) = rest.split_at(length);
                rest = after;
                forged = true;
                let text = String::from_utf8_lossy(text);
                let (name, value) = text.split_once(':').unwrap_or(("h0", &text));
                guest.see(name, value);
                host.see(name, value);
            }
        }
        assert!(values.len() < 1 << 20);
    }
});
