//! Any bytes in place of a server's: an error or a disk, never a panic or a hang.

use proptest::collection::vec;
use proptest::prelude::*;
use vhd_mbr::nbd::{ExportName, Session};

use crate::fake::{DONE, Script, chunk, data, handshake, simple, simple_handshake};

fn converse(script: &[u8]) {
    let Ok(mut session) = Session::open(Script(script), &ExportName::new("disk")) else {
        return;
    };
    let size = session.export().size();
    let mut bytes = vec![0; size.min(4096) as usize];
    let _ = session.data(0, size.min(4096) as u32);
    let _ = session.read_exact_at(0, &mut bytes);
    let _ = session.read_exact_at(size - bytes.len() as u64, &mut bytes);
}

fn good() -> Vec<u8> {
    let status = [5_u32, 2048, 0, 2048, 3].map(u32::to_be_bytes).concat();
    let hole = [&2048_u64.to_be_bytes()[..], &2048_u32.to_be_bytes()].concat();
    [
        handshake(4096),
        chunk(0, DONE, 5, &status),
        data(1, 0, 0, &[1; 2048]),
        chunk(1, DONE, 2, &hole),
        data(2, DONE, 0, &[1; 4096]),
    ]
    .concat()
}

proptest! {
    #[test]
    fn damaged_conversations(damage in vec((any::<u16>(), any::<u8>()), 1..6), cut in any::<u16>()) {
        let simple = [simple_handshake(4096), simple(0, 0, &[1; 4096]), simple(1, 0, &[1; 4096])].concat();
        for mut script in [good(), simple] {
            for &(place, byte) in &damage {
                // Most of the conversation is data, which can be anything.
                let place = usize::from(place) % script.len().min(400);
                script[place] = byte;
            }
            converse(&script);
            script.truncate(usize::from(cut) % script.len());
            converse(&script);
        }
    }

    #[test]
    fn any_bytes_after_the_handshake(talk in vec(any::<u8>(), 0..200)) {
        converse(&[handshake(4096), talk.clone()].concat());
        converse(&talk);
    }
}
