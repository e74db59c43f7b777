//! Wherever an archive breaks off, the error says so and what is missing.

mod common;

use common::{Builder, UNIT, feed, ova, read, sparse};
use xva::{Error, LooksLike, Place, Reader};

struct Sample {
    archive: Vec<u8>,
    ova_end: usize,
    first_disk_end: usize,
    data_end: usize,
}

fn sample() -> Sample {
    let (one, two) = (sparse(3, 0, &[0, 1, 2]), sparse(4, 100, &[0, 4]));
    let builder = Builder::xapi().entry("ova.xml", ova(&[("Ref:5", one.len()), ("Ref:6", two.len())]).as_bytes());
    let ova_end = builder.bytes.len();
    let builder = builder.disk("Ref:5", &one);
    let first_disk_end = builder.bytes.len();
    let builder = builder.disk("Ref:6", &two);
    let data_end = builder.bytes.len();
    Sample {
        archive: builder.end(),
        ova_end,
        first_disk_end,
        data_end,
    }
}

#[test]
fn at_every_place() {
    let Sample {
        archive,
        ova_end,
        first_disk_end,
        data_end,
    } = sample();
    for cut in (0..archive.len()).filter(|cut| cut % 512 < 2 || cut % 512 == 511 || cut % 37 == 0) {
        let result = read(&archive[..cut]);
        // Nothing but zero blocks is missing.
        if cut == data_end || cut == data_end + 512 {
            assert!(result.is_ok(), "{cut}");
            continue;
        }
        let Err(Error::Truncated { position, truncation }) = result else {
            panic!("{cut} {result:?}")
        };
        assert_eq!(position, cut as u64);
        let missing: &[&str] = match cut {
            _ if cut < ova_end => &[],
            _ if cut < ova_end + 512 => &["Ref:5", "Ref:6"],
            _ if cut < first_disk_end + 512 => &["Ref:6"],
            _ => &[],
        };
        assert_eq!(truncation.missing, missing, "{cut}");
        let fed = feed(&archive[..cut], &[13]).unwrap_err();
        assert_eq!(fed.to_string(), Error::Truncated { position, truncation }.to_string());
    }
}

#[test]
fn messages() {
    let Sample {
        archive,
        ova_end,
        first_disk_end,
        data_end,
    } = sample();
    let message = |cut: usize| read(&archive[..cut]).unwrap_err().to_string();
    assert!(message(0).contains("it is empty"), "{}", message(0));
    assert!(
        message(100).contains("only 100 of 512 bytes of a tar header"),
        "{}",
        message(100)
    );
    assert!(message(512 + 10).contains("only 10 of "), "{}", message(522));
    let text = message(ova_end + 512 + 1000);
    assert!(
        text.contains(&format!("only 1000 of {UNIT} bytes of `Ref:5/00000000` are there")),
        "{text}"
    );
    assert!(
        text.contains("disk Ref:5 ended at 0 of 6144 bytes; never arrived: Ref:6"),
        "{text}"
    );
    let text = message(first_disk_end);
    assert!(
        text.contains("ends without its two zero blocks after `Ref:5/00000002.xxhash`"),
        "{text}"
    );
    assert!(text.contains("never arrived: Ref:6"), "{text}");
    let text = message(data_end - 1536 - 512);
    assert!(text.contains("disk Ref:6 ended at 2048 of 8292 bytes"), "{text}");
}

#[test]
fn only_the_zero_blocks_are_missing() {
    let Sample { archive, data_end, .. } = sample();
    for (end, end_blocks) in [(data_end, false), (data_end + 512, false), (data_end + 1024, true)] {
        let mut reader = Reader::new(&archive[..end]);
        let summary = reader.finish().unwrap();
        assert_eq!(summary.end_blocks, end_blocks);
        assert_eq!(summary.is_complete(), end_blocks);
        assert!(summary.has_all_disks());
    }
}

#[test]
fn without_metadata_the_zero_blocks_are_the_only_sign() {
    let archive = Builder::xapi().disk("vdi", &sparse(2, 0, &[0])).bytes;
    match read(&archive[..]) {
        Err(Error::Truncated { truncation, .. }) => assert!(matches!(truncation.place, Place::AfterEntry { .. })),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_archive_that_leaves_a_disk_out() {
    let one = sparse(2, 0, &[0]);
    let archive = Builder::xapi()
        .entry("ova.xml", ova(&[("Ref:1", one.len()), ("Ref:2", UNIT)]).as_bytes())
        .disk("Ref:1", &one)
        .end();
    let mut reader = Reader::new(&archive[..]);
    let summary = reader.finish().unwrap();
    assert_eq!(summary.missing, ["Ref:2"]);
    assert!(!summary.is_complete());
}

#[test]
fn a_reply_in_the_middle() {
    let Sample {
        archive,
        first_disk_end,
        ..
    } = sample();
    for body in [&b"\r\n"[..], &[b'-'; 3000]] {
        let mut broken = archive[..first_disk_end].to_vec();
        broken.extend(b"HTTP/1.1 500 Internal Server Error\r\n");
        broken.extend(body);
        let error = read(&broken[..]).unwrap_err();
        assert!(
            error.to_string().contains("HTTP/1.1 500 Internal Server Error"),
            "{error}"
        );
        match error {
            Error::NotTar {
                position,
                looks_like: LooksLike::HttpReply(_),
            } => {
                assert_eq!(position, first_disk_end as u64);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_source_that_fails() {
    use std::io::{self, Read};

    struct Failing;
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::ConnectionReset.into())
        }
    }
    let Sample { archive, data_end, .. } = sample();
    match read(archive[..5000].chain(Failing)) {
        Err(Error::Io { read: 5000, source }) => assert_eq!(source.kind(), io::ErrorKind::ConnectionReset),
        other => panic!("{other:?}"),
    }
    // After the end it does not matter how the connection closes.
    read(archive[..data_end + 1024].chain(Failing)).unwrap();
}
