//! Archives of every flavour of tar read the same.

mod common;

use common::{Builder, FLAVOURS, Flavour, Hash, UNIT, feed, header, ova, read, sparse};
use xva::{Error, LooksLike};

#[test]
fn all_flavours() {
    let raw = sparse(5, 700, &[0, 3, 5]);
    for flavour in FLAVOURS {
        for hash in [Hash::Xxhash, Hash::LowercaseXxhash, Hash::Sha1] {
            let archive = Builder::new(flavour, hash)
                .entry("ova.xml", ova(&[("Ref:12", raw.len())]).as_bytes())
                .disk("Ref:12", &raw)
                .end();
            let expected = vec![("Ref:12".to_owned(), raw.clone())];
            assert_eq!(read(&archive[..]).unwrap(), expected, "{flavour:?} {hash:?}");
            for piece in [1, 7, 512, 1021, 100_003] {
                assert_eq!(
                    feed(&archive, &[piece]).unwrap(),
                    expected,
                    "{flavour:?} {hash:?} by {piece}"
                );
            }
        }
    }
}

#[test]
fn what_the_tar_crate_writes() {
    let raw = sparse(3, 0, &[0, 2]);
    for long in [false, true] {
        // A name that needs an extension of the format.
        let id = if long {
            format!("Ref:{}", "1".repeat(200))
        } else {
            "Ref:1".to_owned()
        };
        let mut oracle = tar::Builder::new(Vec::new());
        let mut append = |name: &str, content: &[u8], kind: tar::EntryType| {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(kind);
            header.set_size(content.len() as u64);
            oracle.append_data(&mut header, name, content).unwrap();
        };
        append("ova.xml", ova(&[(&id, raw.len())]).as_bytes(), tar::EntryType::Regular);
        append(&id, &[], tar::EntryType::Directory);
        for number in [0, 2] {
            let data = &raw[number * UNIT..][..UNIT];
            let hash = format!("{:016X}", twox_hash::XxHash64::oneshot(0, data));
            append(&format!("{id}/{number:08}"), data, tar::EntryType::Regular);
            append(
                &format!("{id}/{number:08}.xxhash"),
                hash.as_bytes(),
                tar::EntryType::Regular,
            );
        }
        let archive = oracle.into_inner().unwrap();
        assert_eq!(read(&archive[..]).unwrap(), [(id, raw.clone())]);
    }
}

#[test]
fn the_tar_crate_reads_what_the_tests_build() {
    for flavour in [Flavour::V7, Flavour::Ustar, Flavour::Pax] {
        let archive = Builder::new(flavour, Hash::Xxhash)
            .entry("ova.xml", b"x")
            .block("Ref:1", 0, b"data")
            .end();
        let mut archive = tar::Archive::new(&archive[..]);
        let names: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|e| e.unwrap().path().unwrap().into_owned())
            .collect();
        let names: Vec<_> = names.iter().map(|path| path.to_str().unwrap()).collect();
        assert_eq!(
            names,
            ["ova.xml", "Ref:1/00000000", "Ref:1/00000000.xxhash"],
            "{flavour:?}"
        );
    }
}

#[test]
fn a_folder_packed_again_with_gnu_tar() {
    let raw = sparse(2, 0, &[0, 1]);
    let mut builder = Builder::xapi();
    builder.bytes.extend(header("./", 0, b'5', b"ustar  \0"));
    builder = builder.entry("./ova.xml", ova(&[("Ref:1", raw.len())]).as_bytes());
    builder.bytes.extend(header("./Ref:1/", 0, b'5', b"ustar  \0"));
    let mut archive = builder.disk("./Ref:1", &raw).end();
    archive.resize(archive.len().next_multiple_of(10240), 0);
    assert_eq!(read(&archive[..]).unwrap(), [("Ref:1".to_owned(), raw)]);
}

#[test]
fn strange_entries_are_passed_over() {
    let raw = sparse(2, 0, &[0, 1]);
    let mut builder = Builder::xapi().entry("ova.xml", ova(&[("Ref:1", raw.len())]).as_bytes());
    builder = builder
        .entry("notes.txt", &[b'n'; 5000])
        .block("Ref:1", 0, &raw[..UNIT]);
    // A symbolic link has no content, whatever its size says.
    builder.bytes.extend(header("Ref:1/link", 4096, b'2', b"ustar  \0"));
    let archive = builder
        .entry("Ref:1/README", b"x")
        .block("Ref:1", 1, &raw[UNIT..])
        .end();
    assert_eq!(read(&archive[..]).unwrap(), [("Ref:1".to_owned(), raw)]);
}

#[test]
fn an_archive_of_one_disk_has_no_metadata() {
    let raw = sparse(4, 100, &[0, 2]);
    let archive = Builder::xapi().disk("vdi", &raw).end();
    let mut reader = xva::Reader::new(&archive[..]);
    assert_eq!(reader.ova().unwrap(), None);
    assert_eq!(reader.next_disk().unwrap().unwrap().id(), "vdi");
    assert_eq!(read(&archive[..]).unwrap(), [("vdi".to_owned(), raw)]);
}

#[test]
fn headers_that_cannot_be() {
    let mut bad_sum = Builder::xapi().entry("ova.xml", b"").bytes;
    bad_sum[0] ^= 1;
    assert!(matches!(
        read(&bad_sum[..]),
        Err(Error::NotTar {
            position: 0,
            looks_like: LooksLike::Unknown
        })
    ));

    let mut raw = header("ova.xml", 0, 0, b"");
    raw[124..136].fill(0xff);
    let negative = common::sign(raw);
    assert!(matches!(
        read(&negative[..]),
        Err(Error::Header {
            position: 0,
            field: "size"
        })
    ));

    raw[124] = 0x80;
    let huge = common::sign(raw);
    assert!(matches!(
        read(&huge[..]),
        Err(Error::Header {
            position: 0,
            field: "size"
        })
    ));

    let sparse = header("Ref:1/00000000", 0, b'S', b"ustar  \0");
    assert!(matches!(read(&sparse[..]), Err(Error::UnsupportedEntry { .. })));

    let mut pax = header("x", 9, b'x', b"ustar\x0000").to_vec();
    pax.extend(b"99 path=a");
    pax.resize(1024, 0);
    assert!(matches!(
        read(&pax[..]),
        Err(Error::Header {
            position: 0,
            field: "pax record"
        })
    ));
}

#[test]
fn a_false_size_costs_no_memory() {
    for (name, size) in [
        ("ova.xml", 60 << 20),
        ("Ref:1/00000000", 60 << 20),
        ("other", (8 << 30) - 1),
    ] {
        let mut parser = xva::Parser::new();
        let raw = header(name, size, 0, b"");
        let mut input = &raw[..];
        while parser.feed(&mut input).unwrap().is_some() {}
        assert!(parser.space().len() <= 1 << 20, "{name}");
    }
    for (name, kind) in [("ova.xml", 0), ("Ref:1/00000000", 0), ("long", b'L'), ("pax", b'x')] {
        let raw = header(name, (8 << 30) - 1, kind, b"");
        assert!(
            matches!(read(&raw[..]), Err(Error::TooLarge { position: 0, .. })),
            "{name}"
        );
    }
}

#[test]
fn other_files_are_named() {
    let reply = b"HTTP/1.1 500 Internal Server Error\r\nConnection: close\r\n\r\n<html>".as_slice();
    for (bytes, expected) in [
        (reply, LooksLike::HttpReply("HTTP/1.1 500 Internal Server Error".into())),
        (b"conectix...", LooksLike::File("a VHD image")),
        (b"QFI\xfb....", LooksLike::File("a qcow2 image")),
        (b" <!DOCTYPE html>", LooksLike::Markup),
        (&[1; 600], LooksLike::Unknown),
    ] {
        match read(bytes) {
            Err(Error::NotTar {
                position: 0,
                looks_like,
            }) => assert_eq!(looks_like, expected),
            other => panic!("{other:?}"),
        }
    }
}
