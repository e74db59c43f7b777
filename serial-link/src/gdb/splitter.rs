/// The longest packet that is waited for. The kernel's have up to 1 KiB, QEMU's up to 4.
const LONGEST: usize = 16 << 10;

/// What came from the guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// For gdb.
    Packet(Vec<u8>),
    /// For who reads the console.
    Console(Vec<u8>),
}

/// Takes a guest's bytes apart: packets of gdb's remote protocol, and the rest.
///
/// A packet is `$…#` or `%…#` with the checksum that belongs to it, so a prompt such as `$ ` is none. Acknowledgements
/// (`+`, `-`) are known as such where gdb waits for one, so it has to be told what gdb [`sent`](Self::sent).
///
/// ```
/// use serial_link::gdb::{Piece, Splitter};
///
/// let mut splitter = Splitter::new();
/// splitter.sent(b"$g#67");
/// let mut pieces = Vec::new();
/// splitter.feed(b"eth0: up\n+$S05#b8 more", &mut pieces);
/// assert_eq!(pieces, [
///     Piece::Console(b"eth0: up\n".to_vec()),
///     Piece::Packet(b"+$S05#b8".to_vec()),
///     Piece::Console(b" more".to_vec()),
/// ]);
/// ```
#[derive(Debug, Default)]
pub struct Splitter {
    /// What may become a packet.
    held: Vec<u8>,
    /// Acknowledgements that gdb waits for.
    expected: u32,
    gdb: Outgoing,
}

/// Where gdb is in a packet of its own.
#[derive(Debug, Default)]
enum Outgoing {
    #[default]
    Outside,
    Inside,
    Checksum(u8),
}

impl Splitter {
    /// Nothing has come yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes what gdb sends to the guest.
    pub fn sent(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.gdb = match (&self.gdb, byte) {
                (_, b'$') => Outgoing::Inside,
                (Outgoing::Inside, b'#') => Outgoing::Checksum(0),
                (Outgoing::Checksum(0), _) => Outgoing::Checksum(1),
                (Outgoing::Checksum(_), _) => {
                    self.expected = self.expected.saturating_add(1);
                    Outgoing::Outside
                }
                (Outgoing::Inside, _) => Outgoing::Inside,
                (Outgoing::Outside, _) => Outgoing::Outside,
            };
        }
    }

    /// Takes bytes of the guest, and appends what they are. What may still become a packet is kept.
    pub fn feed(&mut self, bytes: &[u8], pieces: &mut Vec<Piece>) {
        for &byte in bytes {
            if self.held.is_empty() {
                self.begin(byte, pieces);
                continue;
            }
            // Neither is in a packet but as its start: in the data it would be escaped.
            if byte == b'$' || self.held.len() > LONGEST {
                push(pieces, Piece::Console(std::mem::take(&mut self.held)));
                self.begin(byte, pieces);
                continue;
            }
            self.held.push(byte);
            if self.held.len() >= 4 && self.held[self.held.len() - 3] == b'#' {
                let held = std::mem::take(&mut self.held);
                push(
                    pieces,
                    if is_packet(&held) {
                        Piece::Packet(held)
                    } else {
                        Piece::Console(held)
                    },
                );
            }
        }
    }

    /// Lets go of what is kept, as console text. Call it when nothing has come for a tenth of a second: a prompt is
    /// nothing to wait behind.
    pub fn quiet(&mut self, pieces: &mut Vec<Piece>) {
        if !self.held.is_empty() {
            push(pieces, Piece::Console(std::mem::take(&mut self.held)));
        }
    }

    /// Whether something is kept.
    pub fn is_holding(&self) -> bool {
        !self.held.is_empty()
    }

    fn begin(&mut self, byte: u8, pieces: &mut Vec<Piece>) {
        match byte {
            b'$' | b'%' => self.held.push(byte),
            b'+' | b'-' if self.expected > 0 => {
                self.expected -= 1;
                push(pieces, Piece::Packet(vec![byte]));
            }
            byte => push(pieces, Piece::Console(vec![byte])),
        }
    }
}

/// Pieces of a kind that follow each other are one.
fn push(pieces: &mut Vec<Piece>, piece: Piece) {
    match (pieces.last_mut(), piece) {
        (Some(Piece::Packet(last)), Piece::Packet(more)) | (Some(Piece::Console(last)), Piece::Console(more)) => {
            last.extend(more);
        }
        (_, piece) => pieces.push(piece),
    }
}

/// `$data#xx`, where xx is the sum of the data.
fn is_packet(bytes: &[u8]) -> bool {
    let [_, data @ .., b'#', high, low] = bytes else {
        return false;
    };
    let sum = data.iter().fold(0_u8, |sum, &byte| sum.wrapping_add(byte));
    let digit = |byte: u8| char::from(byte).to_digit(16);
    digit(*high).zip(digit(*low)) == Some((u32::from(sum >> 4), u32::from(sum & 15)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packet(data: &str) -> String {
        let sum = data.bytes().fold(0_u8, u8::wrapping_add);
        format!("${data}#{sum:02x}")
    }

    #[test]
    fn prompts_and_prices_are_no_packets() {
        let mut splitter = Splitter::new();
        let mut pieces = Vec::new();
        splitter.feed(b"user@guest:~$ echo +1 costs $5#00 or 10%\n", &mut pieces);
        splitter.quiet(&mut pieces);
        assert_eq!(
            pieces,
            [Piece::Console(b"user@guest:~$ echo +1 costs $5#00 or 10%\n".to_vec())]
        );
        assert!(!splitter.is_holding());
    }

    #[test]
    fn a_packet_after_a_dollar_is_found() {
        let mut splitter = Splitter::new();
        let mut pieces = Vec::new();
        splitter.feed(b"a $ b $OK#9a", &mut pieces);
        assert_eq!(
            pieces,
            [Piece::Console(b"a $ b ".to_vec()), Piece::Packet(b"$OK#9a".to_vec())]
        );
    }

    proptest! {
        /// Whatever comes, in whatever pieces, nothing is lost or invented.
        #[test]
        fn all_bytes_pass(bytes: Vec<u8>, sent: Vec<u8>, size in 1_usize..64) {
            let mut splitter = Splitter::new();
            splitter.sent(&sent);
            let mut pieces = Vec::new();
            for piece in bytes.chunks(size) {
                splitter.feed(piece, &mut pieces);
            }
            splitter.quiet(&mut pieces);
            let all: Vec<u8> = pieces.into_iter().flat_map(|piece| match piece {
                Piece::Packet(bytes) | Piece::Console(bytes) => bytes,
            }).collect();
            prop_assert_eq!(all, bytes);
        }

        /// Packets among text come out as they went in, however they are cut.
        #[test]
        fn packets_are_found(data in proptest::collection::vec("[0-9a-z;:,*]{0,40}", 1..8), text in "[ -#&-*,./-z\n]{0,30}", size in 1_usize..20) {
            let mut splitter = Splitter::new();
            let all: String = data.iter().map(|data| format!("{text}{}", packet(data))).collect();
            let mut pieces = Vec::new();
            for piece in all.as_bytes().chunks(size) {
                splitter.feed(piece, &mut pieces);
            }
            let packets: Vec<u8> = pieces.into_iter().flat_map(|piece| match piece {
                Piece::Packet(bytes) => bytes,
                Piece::Console(_) => Vec::new(),
            }).collect();
            prop_assert_eq!(packets, data.iter().map(|data| packet(data)).collect::<String>().into_bytes());
        }
    }
}
