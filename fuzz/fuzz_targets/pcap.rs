//! Any capture, in pieces of any length: no panic, the same packets as in one piece, and what is written of them is as
//! long as its blocks say.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pcap_tap::pcap::{Error, LinkType, Parser};
use pcap_tap::pcapng::{Interface, Section, Writer};
use pcap_tap::{Direction, Mac};

fuzz_target!(|input: (u8, &[u8])| {
    let (piece, capture) = input;
    let whole = convert(capture, capture.len().max(1));
    assert_eq!(whole, convert(capture, usize::from(piece) + 1));
    let Ok(bytes) = whole else { return };
    let mut rest = &bytes[..];
    while let Some(length) = rest.get(4..8) {
        let length = u32::from_le_bytes([length[0], length[1], length[2], length[3]]) as usize;
        assert_eq!(rest[length - 4..length], rest[4..8]);
        rest = &rest[length..];
    }
    assert!(rest.is_empty());
});

fn convert(capture: &[u8], piece: usize) -> Result<Vec<u8>, Error> {
    let mut writer = Writer::new(Vec::new(), &Section::new()).expect("memory takes it");
    let interface = Interface::new("vif1.0", LinkType::ETHERNET);
    let vif = writer.interface(&interface).expect("memory takes it");
    let mut parser = Parser::new();
    for mut piece in capture.chunks(piece) {
        while let Some(packet) = parser.feed(&mut piece)? {
            let direction = Direction::of(&Mac([2, 0, 0, 0, 0, 7]), packet.data);
            writer.packet(vif, &packet, direction).expect("memory takes it");
        }
    }
    parser.finish()?;
    Ok(writer.into_inner().expect("memory takes it"))
}
