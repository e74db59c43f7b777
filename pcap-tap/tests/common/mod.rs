//! Captures made by hand.
#![allow(dead_code, reason = "every test uses a part of it")]

/// How a capture is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form {
    pub(crate) big_endian: bool,
    pub(crate) nanoseconds: bool,
}

pub(crate) const FORMS: [Form; 4] = [
    Form {
        big_endian: false,
        nanoseconds: false,
    },
    Form {
        big_endian: false,
        nanoseconds: true,
    },
    Form {
        big_endian: true,
        nanoseconds: false,
    },
    Form {
        big_endian: true,
        nanoseconds: true,
    },
];

impl Form {
    fn word(self, value: u32) -> [u8; 4] {
        if self.big_endian {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        }
    }

    pub(crate) fn header(self) -> Vec<u8> {
        let magic = if self.nanoseconds { 0xa1b2_3c4d } else { 0xa1b2_c3d4 };
        let version = if self.big_endian { 0x0002_0004 } else { 0x0004_0002 };
        [magic, version, 0, 0, 262_144, 1]
            .into_iter()
            .flat_map(|value| self.word(value))
            .collect()
    }

    /// A packet whose time has whole microseconds.
    pub(crate) fn packet(self, nanoseconds: u64, length: u32, data: &[u8]) -> Vec<u8> {
        let (seconds, rest) = (nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000);
        let fraction = if self.nanoseconds { rest } else { rest / 1000 };
        let front = [seconds as u32, fraction as u32, data.len() as u32, length];
        let mut bytes: Vec<u8> = front.into_iter().flat_map(|value| self.word(value)).collect();
        bytes.extend(data);
        bytes
    }
}

/// An ARP question from one address to everybody or to another, with a number in it.
pub(crate) fn frame(to: [u8; 6], from: [u8; 6], number: u32) -> Vec<u8> {
    let mut frame = [&to[..], &from, &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1], &from].concat();
    frame.extend([192, 0, 2, 7]);
    frame.extend([0; 6]);
    frame.extend(number.to_be_bytes());
    frame
}
