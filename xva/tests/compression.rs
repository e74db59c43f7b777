//! gzip and zstd are told apart and undone, whatever their layout.
#![cfg(all(feature = "gzip", feature = "zstd"))]

mod common;

use std::io::Write;

use common::{Builder, Trickle, ova, read, sparse};
use xva::{Compression, Error, LooksLike, Reader};

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn zstd(data: &[u8]) -> Vec<u8> {
    zstd::encode_all(data, 1).unwrap()
}

fn archive() -> (Vec<u8>, Vec<u8>) {
    let raw = sparse(80, 30, &[0, 1, 2, 3, 50, 80]);
    let archive = Builder::xapi()
        .entry("ova.xml", ova(&[("Ref:1", raw.len())]).as_bytes())
        .disk("Ref:1", &raw)
        .end();
    (raw, archive)
}

type Codec = (fn(&[u8]) -> Vec<u8>, Compression);

const CODECS: [Codec; 2] = [(gzip, Compression::Gzip), (zstd, Compression::Zstd)];

#[test]
fn one_member_or_many() {
    let (raw, archive) = archive();
    for (compress, compression) in CODECS {
        for pieces in [archive.len(), 700] {
            let packed: Vec<u8> = archive.chunks(pieces).flat_map(compress).collect();
            for limit in [1, 3, 4099, usize::MAX] {
                let disks = read(Trickle { rest: &packed, limit }).unwrap();
                assert_eq!(disks, [("Ref:1".to_owned(), raw.clone())], "{compression} by {limit}");
            }
            let mut reader = Reader::new(&packed[..]);
            assert!(reader.finish().unwrap().is_complete());
            assert_eq!(reader.compression(), Some(compression));
            assert_eq!(reader.bytes_read(), packed.len() as u64);
            assert_eq!(reader.position(), archive.len() as u64);
        }
    }
}

#[test]
fn skippable_frames() {
    let (raw, archive) = archive();
    let mut packed = b"\x52\x2a\x4d\x18\x04\0\0\0data".to_vec();
    packed.extend(zstd(&archive));
    packed.extend(b"\x50\x2a\x4d\x18\0\0\0\0");
    assert_eq!(read(&packed[..]).unwrap(), [("Ref:1".to_owned(), raw)]);
}

#[test]
fn what_follows_the_archive_does_not_matter() {
    let (raw, archive) = archive();
    for (compress, _) in CODECS {
        for tail in [&b"\0"[..], b"garbage", &[0; 5000]] {
            let mut packed = compress(&archive);
            packed.extend(tail);
            assert_eq!(read(&packed[..]).unwrap(), [("Ref:1".to_owned(), raw.clone())]);
        }
    }
}

#[test]
fn a_reply_behind_a_broken_off_archive() {
    let (_, archive) = archive();
    let reply = b"HTTP/1.1 500 Internal Error\r\n\r\n";
    let broken = &archive[..archive.len() - 1024];
    for (compress, compression) in CODECS {
        let mut packed = compress(broken);
        packed.extend(reply);
        match read(&packed[..]) {
            Err(Error::NotTar {
                position,
                looks_like: LooksLike::HttpReply(line),
            }) => {
                assert_eq!(
                    (position, &line[..]),
                    (broken.len() as u64, "HTTP/1.1 500 Internal Error")
                );
            }
            other => panic!("{compression} {other:?}"),
        }
    }
}

#[test]
fn damage_and_truncation() {
    let (_, archive) = archive();
    for (compress, compression) in CODECS {
        let packed = compress(&archive);
        for cut in [5, packed.len() / 3, packed.len() / 2] {
            assert!(
                matches!(read(&packed[..cut]), Err(Error::Truncated { .. })),
                "{compression} at {cut}"
            );
        }
        let mut damaged = packed.clone();
        damaged[packed.len() / 2..][..64].fill(0xff);
        assert!(read(&damaged[..]).is_err(), "{compression}");
    }
    // The checksum of a gzip member is looked at too.
    let mut packed = gzip(&archive);
    let trailer = packed.len() - 8;
    packed[trailer] ^= 1;
    assert!(matches!(
        read(&packed[..]),
        Err(Error::Decompress {
            compression: Compression::Gzip,
            ..
        })
    ));
}

#[test]
fn a_compressed_source_is_read_in_small_pieces() {
    let (raw, archive) = archive();
    for (compress, compression) in CODECS {
        let mut packed = compress(&archive);
        // Much more than is needed, so that reading ahead would show.
        packed.extend(vec![b'x'; 1 << 20]);
        let mut reader = Reader::new(&packed[..]);
        assert_eq!(
            reader.next_disk().unwrap().unwrap().first_block().unwrap(),
            raw[..common::UNIT]
        );
        assert!(
            reader.bytes_read() <= (64 << 10) + 4,
            "{compression} {}",
            reader.bytes_read()
        );
    }
}
