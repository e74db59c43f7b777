//! Servers that break the protocol: a clear error each, and never the secret.

use std::ops::Range;

use vhd_mbr::nbd::{Error, ExportName, Session};

use crate::fake::{
    ACK, DONE, FIXED_NEWSTYLE, GO, HAS_FLAGS, INFO, NO_ZEROES, STRUCTURED_REPLY, Script, UNSUPPORTED, chunk, data,
    export, greeting, handshake, reply, simple, simple_handshake,
};

fn name() -> ExportName {
    ExportName::new("/disk?session_id=OpaqueRef:secret")
}

fn assert_says(error: &Error, words: &str) {
    let said = format!("{error}\n{error:?}");
    assert!(said.contains(words), "{said}");
    assert!(!said.contains("OpaqueRef"), "{said}");
}

fn opening(script: &[u8]) -> Error {
    Session::open(Script(script), &name()).map(drop).unwrap_err()
}

/// What becomes of a read of 1024 bytes at byte 512, whose cookie is 0.
fn reading(talk: &[u8]) -> Result<[u8; 1024], Error> {
    let script = [&handshake(1 << 20), talk].concat();
    let mut session = Session::open(Script(&script), &name())?;
    let mut bytes = [9; 1024];
    session.read_exact_at(512, &mut bytes).map(|()| bytes)
}

#[test]
fn bad_handshakes() {
    let fixed = greeting(FIXED_NEWSTYLE | NO_ZEROES);
    let plain = [&fixed[..], &reply(STRUCTURED_REPLY, UNSUPPORTED, b"")].concat();
    let blocks = |sizes: [u32; 3]| [&[0, 3][..], &sizes.map(u32::to_be_bytes).concat()].concat();
    let cases: [(Vec<u8>, &str); 15] = [
        (b"HTTP/1.1 400 Bad Request".to_vec(), "no NBD server"),
        (b"NBDMAGIC\0\0\x42\x02\x81\x86\x12\x53".to_vec(), "old style"),
        (b"NBDMAGICNBDMAGIC".to_vec(), "follows NBDMAGIC"),
        (fixed[..17].to_vec(), "broke while waiting for its greeting"),
        (fixed.clone(), "broke while agreeing on the export"),
        ([&fixed[..], &[7; 20]].concat(), "instead of an answer"),
        (
            [&fixed[..], &reply(GO, ACK, b"")].concat(),
            "an answer to option 7 instead of",
        ),
        (
            [&fixed[..], &reply(STRUCTURED_REPLY, ACK, b"")[..16], &[0xff; 4]].concat(),
            "an answer of 4294967295 bytes",
        ),
        (
            [&fixed[..], &reply(STRUCTURED_REPLY, 99, b"x")].concat(),
            "NBD_OPT_STRUCTURED_REPLY is answered by 1 bytes of kind 0x63",
        ),
        ([&plain[..], &reply(GO, ACK, b"")].concat(), "without telling its size"),
        ([&plain[..], &reply(GO, INFO, b"\0\0size")].concat(), "size is cut off"),
        (
            [&plain[..], &reply(GO, INFO, b"\0")].concat(),
            "NBD_OPT_GO is answered by 1 bytes",
        ),
        (
            [&plain[..], &export(u64::MAX, HAS_FLAGS)].concat(),
            "a disk of 18446744073709551615 bytes",
        ),
        (
            [&plain[..], &reply(GO, INFO, &blocks([0, 4096, 4096]))].concat(),
            "blocks of at least 0",
        ),
        (
            [
                &plain[..],
                &reply(
                    GO,
                    1 << 31 | 6,
                    b"export '/disk?session_id=OpaqueRef:secret' not present",
                ),
            ]
            .concat(),
            "does not give the export /disk?…: it has no such export: (not shown",
        ),
    ];
    for (script, words) in cases {
        assert_says(&opening(&script), words);
    }
}

#[test]
fn endless_answers_end() {
    let info = reply(GO, INFO, b"\0\x09");
    let plain = [
        &greeting(FIXED_NEWSTYLE)[..],
        &reply(STRUCTURED_REPLY, UNSUPPORTED, b""),
    ]
    .concat();
    let script = [&plain[..], &info.repeat(100_001)].concat();
    assert_says(&opening(&script), "more than 100000 answers to NBD_OPT_GO");
}

#[test]
fn servers_that_are_not_fixed_get_only_the_name() {
    let script = [
        &greeting(0)[..],
        &4096_u64.to_be_bytes(),
        &HAS_FLAGS.to_be_bytes(),
        &[0; 124],
        &simple(0, 0, &[7; 512]),
    ]
    .concat();
    let mut session = Session::open(Script(&script), &name()).unwrap();
    let mut sector = [0; 512];
    session.read_exact_at(0, &mut sector).unwrap();
    assert_eq!(sector, [7; 512]);
}

#[test]
fn replies_come_in_parts() {
    let hole = [&1024_u64.to_be_bytes()[..], &256_u32.to_be_bytes()].concat();
    let talk = [
        data(0, 0, 1280, &[3; 256]),
        chunk(0, 0, 2, &hole),
        data(0, 0, 512, &[1; 512]),
        chunk(0, DONE, 0, b""),
    ];
    let bytes = reading(&talk.concat()).unwrap();
    assert_eq!(
        (bytes[0], bytes[511], bytes[512], bytes[767], bytes[768]),
        (1, 1, 0, 0, 3)
    );
}

#[test]
fn bad_replies() {
    let hole = |offset: u64, length: u32| [&offset.to_be_bytes()[..], &length.to_be_bytes()].concat();
    let failed =
        |code: u32, length: u16, words: &[u8]| [&code.to_be_bytes()[..], &length.to_be_bytes(), words].concat();
    let mut absurd = data(0, DONE, 512, &[]);
    absurd[16..20].fill(0xff);
    let cases: [(Vec<u8>, &str); 19] = [
        (vec![], "broke while waiting for a reply"),
        (vec![0; 16], "0x0 instead of a reply"),
        (simple(0, 0, &[1; 1024]), "data in the old form"),
        (simple(7, 0, &[]), "a reply to request 7, which was not made"),
        (
            data(1, DONE, 512, &[1; 1024]),
            "a reply to request 1, which was not made",
        ),
        (data(0, DONE, 511, &[1; 512]), "data for byte 511"),
        (data(0, DONE, 1025, &[1; 512]), "data for byte 1025"),
        (data(0, DONE, u64::MAX, &[1; 512]), "data for byte 18446744073709551615"),
        (data(0, DONE, 512, &[1; 1025]), "data for byte 512"),
        (data(0, DONE, 512, &[]), "data for byte 512"),
        (absurd, "data for byte 512"),
        (data(0, DONE, 512, &[1; 1000]), "only 1000 of 1024 bytes at byte 512"),
        (
            [data(0, 0, 512, &[1; 1024]), data(0, DONE, 512, &[1; 1])].concat(),
            "data for byte 512",
        ),
        (chunk(0, DONE, 2, &hole(512, 1025)), "data for byte 512"),
        (chunk(0, DONE, 2, &hole(512, 0)), "data for byte 512"),
        (chunk(0, DONE, 5, &[0; 12]), "kind 5, to `read`"),
        (chunk(0, 0, 0, b""), "not the last"),
        (
            chunk(0, DONE, 1 << 15 | 1, &failed(5, 9, b"short")),
            "message is cut off",
        ),
        (
            chunk(0, DONE, 1 << 15 | 1, &failed(5, 26, b"session OpaqueRef:secret ?")),
            "could not read 1024 bytes at byte 512: input/output error (EIO): (not shown",
        ),
    ];
    for (talk, words) in cases {
        assert_says(&reading(&talk).unwrap_err(), words);
    }
    let many = chunk(0, 0, 1 << 15 | 1, &failed(5, 0, b"")).repeat(2);
    assert_says(
        &reading(&many).unwrap_err(),
        "a part of 6 bytes, kind 32769, not the last",
    );
}

#[test]
fn bad_lists_of_extents() {
    let list = |context: u32, extents: &[(u32, u32)]| {
        let mut list = context.to_be_bytes().to_vec();
        for &(length, status) in extents {
            list.extend([length, status].map(u32::to_be_bytes).concat());
        }
        list
    };
    let asking = |talk: &[u8]| {
        let script = [&handshake(1 << 20), talk].concat();
        Session::open(Script(&script), &name()).unwrap().data(4096, 8192)
    };
    let good = [(4096, 3), (512, 0), (1 << 30, 2)];
    let (data, end) = asking(&chunk(0, DONE, 5, &list(5, &good))).unwrap();
    assert_eq!((data.as_slice(), end), (&[Range { start: 8192, end: 8704 }][..], 12288));

    let mut absurd = chunk(0, DONE, 5, &list(5, &good));
    absurd[16..20].copy_from_slice(&0xffff_fffc_u32.to_be_bytes());
    for (talk, words) in [
        (chunk(0, DONE, 5, &list(6, &good)), "extents of context 6"),
        (chunk(0, DONE, 5, &list(5, &[])), "a list of extents of 4 bytes"),
        (chunk(0, DONE, 5, &[0; 13]), "a list of extents of 13 bytes"),
        (absurd, "a list of extents of 4294967292 bytes"),
        (chunk(0, DONE, 5, &list(5, &[(0, 0)])), "an extent of no bytes"),
        (
            chunk(0, 0, 5, &list(5, &good)).repeat(2),
            "a list of extents of 28 bytes",
        ),
    ] {
        assert_says(&asking(&talk).unwrap_err(), words);
    }
}

#[test]
fn simple_replies_are_read() {
    let script = [simple_handshake(1 << 20), simple(0, 0, &[5; 512]), simple(1, 5, b"")].concat();
    let mut session = Session::open(Script(&script), &name()).unwrap();
    assert!(!session.knows_holes());
    let mut sector = [0; 512];
    session.read_exact_at(0, &mut sector).unwrap();
    assert_eq!(sector, [5; 512]);
    assert_says(&session.read_exact_at(0, &mut sector).unwrap_err(), "(EIO)");
    assert_says(
        &session.read_exact_at(1 << 20, &mut sector).unwrap_err(),
        "ends at byte 1048576",
    );
}
