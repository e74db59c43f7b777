//! Classic pcap, in pieces of any length.

mod common;

use common::{FORMS, frame};
use pcap_tap::pcap::{Error, LinkType, Parser};
use proptest::prelude::*;

/// A packet as it was read: its time, its length and its bytes.
type Seen = (u64, u32, Vec<u8>);

fn read(bytes: &[u8], piece: usize) -> Result<Vec<Seen>, Error> {
    let mut parser = Parser::new();
    let mut seen = Vec::new();
    for mut piece in bytes.chunks(piece) {
        while let Some(packet) = parser.feed(&mut piece)? {
            seen.push((packet.time.0, packet.length, packet.data.to_vec()));
        }
        assert!(piece.is_empty());
    }
    parser.finish()?;
    Ok(seen)
}

#[test]
fn every_form_in_every_piece() {
    let packets: Vec<Seen> = (0..40)
        .map(|number| {
            let data = frame([0xff; 6], [2, 0, 0, 0, 0, 7], number);
            let data = data[..number as usize].to_vec();
            (1_700_000_000_000_001_000 + u64::from(number) * 1_000_000, 60, data)
        })
        .collect();
    for form in FORMS {
        let mut bytes = form.header();
        for (time, length, data) in &packets {
            bytes.extend(form.packet(*time, *length, data));
        }
        for piece in 1..bytes.len() {
            assert_eq!(read(&bytes, piece).unwrap(), packets, "{form:?} {piece}");
        }
    }
}

#[test]
fn a_header_tells_what_follows() {
    let mut parser = Parser::new();
    assert!(parser.header().is_none());
    let mut input = &FORMS[3].header()[..];
    assert_eq!(parser.feed(&mut input), Ok(None));
    let header = parser.header().unwrap();
    assert_eq!(
        (header.link_type, header.snapshot_length),
        (LinkType::ETHERNET, 262_144)
    );
    assert!(header.has_nanoseconds);
    assert_eq!(parser.finish(), Ok(()));
}

#[test]
fn what_is_no_capture_is_told() {
    assert_eq!(read(b"", 1), Err(Error::Truncated { position: 0 }));
    let words = b"tcpdump: vif7.0: No such device exists";
    assert_eq!(read(words, 7), Err(Error::Unknown { magic: *b"tcpd" }));
    let pcapng = [&[0x0a, 0x0d, 0x0d, 0x0a][..], &[0; 40]].concat();
    assert!(matches!(
        read(&pcapng, 99),
        Err(Error::OtherFormat { format: "pcapng" })
    ));
    let form = FORMS[0];
    let mut old = form.header();
    old[6] = 3;
    assert_eq!(read(&old, 99), Err(Error::Version { major: 2, minor: 3 }));
    let mut cut = [form.header(), form.packet(0, 9, b"ninebytes")].concat();
    assert_eq!(read(&cut[..cut.len() - 1], 5), Err(Error::Truncated { position: 24 }));
    cut[24 + 8..24 + 12].fill(0xff);
    let wrong = Error::TooLong {
        position: 24,
        captured: u32::MAX,
        limit: 262_144,
    };
    assert_eq!(read(&cut, 99), Err(wrong));
}

proptest! {
    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200), form in 0..4_usize, piece in 1..50_usize) {
        let bytes = [FORMS[form].header(), bytes].concat();
        let whole = read(&bytes, bytes.len());
        prop_assert_eq!(whole, read(&bytes, piece));
    }
}
