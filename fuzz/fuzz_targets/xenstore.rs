//! What a xenstore sends, in pieces of any length: no panic, and the same messages as in one piece.
#![no_main]

use dom0::xen::wire::{self, Decoder, Message, WireError};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, &[u8])| {
    let (piece, bytes) = input;
    let messages = decode(bytes, bytes.len().max(1));
    assert_eq!(messages, decode(bytes, usize::from(piece) + 1));
    for message in messages.0 {
        let _ = (wire::names(&message), wire::event(&message), wire::transaction(&message));
        let _ = wire::refusal(&message);
    }
});

fn decode(bytes: &[u8], piece: usize) -> (Vec<Message>, Option<WireError>) {
    let (mut decoder, mut messages) = (Decoder::new(), Vec::new());
    for piece in bytes.chunks(piece) {
        decoder.feed(piece);
        loop {
            match decoder.message() {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(error) => return (messages, Some(error)),
            }
        }
    }
    (messages, None)
}
