/// Takes telnet's commands out of what is received, and answers them (RFC 854, 856 and 2217). No I/O.
///
/// Eight clean bits in both directions (BINARY), no line mode (SUPPRESS-GO-AHEAD) and the other side's echo are agreed to.
/// All else is declined, the control of a terminal server's port (RFC 2217) too: the port is somebody else's to set.
///
/// ```
/// use serial_link::reach::telnet::Decoder;
///
/// let mut decoder = Decoder::new();
/// let (mut data, mut answer) = (Vec::new(), Vec::new());
/// decoder.feed(b"\xff\xfb\x00boot\xff\xff", &mut data, &mut answer);
/// assert_eq!(data, b"boot\xff");
/// assert_eq!(answer, b"\xff\xfd\x00", "it will send binary; do");
/// ```
#[derive(Debug, Clone)]
pub struct Decoder {
    state: State,
    theirs: Agreed,
    ours: Agreed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Data,
    /// A carriage return has been handed out; a zero after it is padding.
    Return,
    Command,
    Option(u8),
    Sub,
    SubCommand,
}

/// What one side does.
#[derive(Debug, Clone, Copy, Default)]
struct Agreed {
    binary: bool,
    echo: bool,
    no_go_ahead: bool,
}

const IAC: u8 = 255;
const DONT: u8 = 254;
const DO: u8 = 253;
const WONT: u8 = 252;
const WILL: u8 = 251;
const SB: u8 = 250;
const SE: u8 = 240;

const BINARY: u8 = 0;
const ECHO: u8 = 1;
const NO_GO_AHEAD: u8 = 3;

impl Agreed {
    fn get(&mut self, option: u8) -> Option<&mut bool> {
        match option {
            BINARY => Some(&mut self.binary),
            ECHO => Some(&mut self.echo),
            NO_GO_AHEAD => Some(&mut self.no_go_ahead),
            _ => None,
        }
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// At the start of a connection.
    pub fn new() -> Self {
        Self {
            state: State::Data,
            theirs: Agreed::default(),
            ours: Agreed::default(),
        }
    }

    /// Takes a piece of any length: adds the port's bytes to `data`, and what is to be sent back to `answer`, which is
    /// never longer than the piece.
    pub fn feed(&mut self, received: &[u8], data: &mut Vec<u8>, answer: &mut Vec<u8>) {
        for &byte in received {
            self.state = match (self.state, byte) {
                (State::Data | State::Return, IAC) => State::Command,
                // Only without BINARY is a return padded.
                (State::Return, 0) => State::Data,
                (State::Data | State::Return, byte) => {
                    data.push(byte);
                    self.after(byte)
                }
                (State::Command, IAC) => {
                    data.push(IAC);
                    State::Data
                }
                (State::Command, DO | DONT | WILL | WONT) => State::Option(byte),
                (State::Command, SB) => State::Sub,
                // A break, a go-ahead, nothing: none of them is a byte of the port.
                (State::Command, _) => State::Data,
                (State::Option(command), option) => {
                    self.negotiate(command, option, answer);
                    State::Data
                }
                (State::Sub, IAC) => State::SubCommand,
                (State::Sub, _) => State::Sub,
                (State::SubCommand, SE) => State::Data,
                (State::SubCommand, _) => State::Sub,
            };
        }
    }

    fn after(&self, byte: u8) -> State {
        match byte == b'\r' && !self.theirs.binary {
            true => State::Return,
            false => State::Data,
        }
    }

    /// A change is answered, its confirmation is not: that is how two sides come to rest.
    fn negotiate(&mut self, command: u8, option: u8, answer: &mut Vec<u8>) {
        let (side, on, yes, no) = match command {
            WILL => (&mut self.theirs, true, DO, DONT),
            WONT => (&mut self.theirs, false, DO, DONT),
            DO => (&mut self.ours, true, WILL, WONT),
            _ => (&mut self.ours, false, WILL, WONT),
        };
        // This side does not echo: the guest does.
        let declined = command == DO && option == ECHO;
        match side.get(option).filter(|_| !declined) {
            Some(state) if *state != on => {
                *state = on;
                answer.extend([IAC, if on { yes } else { no }, option]);
            }
            Some(_) => {}
            None if on => answer.extend([IAC, no, option]),
            None => {}
        }
    }
}

/// Adds bytes for the port to what is sent: a byte of 255 is doubled, and nothing else is touched.
pub fn escape(bytes: &[u8], sent: &mut Vec<u8>) {
    for &byte in bytes {
        sent.push(byte);
        if byte == IAC {
            sent.push(IAC);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode(received: &[u8], piece: usize) -> (Vec<u8>, Vec<u8>) {
        let (mut decoder, mut data, mut answer) = (Decoder::new(), Vec::new(), Vec::new());
        for piece in received.chunks(piece) {
            decoder.feed(piece, &mut data, &mut answer);
        }
        (data, answer)
    }

    /// What QEMU 7.2 sends whoever connects to a telnet port.
    const QEMU: &[u8] = b"\xff\xfb\x01\xff\xfb\x03\xff\xfb\x00\xff\xfd\x00";

    #[test]
    fn qemu_gets_what_it_asks_for_once() {
        let twice = [QEMU, b"\r\0x", QEMU].concat();
        let (data, answer) = decode(&twice, 1);
        assert_eq!(data, b"\r\0x", "binary keeps every byte");
        assert_eq!(answer, b"\xff\xfd\x01\xff\xfd\x03\xff\xfd\x00\xff\xfb\x00");
    }

    #[test]
    fn a_terminal_server_keeps_its_port_settings() {
        let (data, answer) = decode(
            b"\xff\xfd\x2ca\xff\xfb\x2c\xff\xfa\x2c\x65\xff\xff\x00\xff\xf0b\xff\xf3\r\0\r\n",
            3,
        );
        assert_eq!(data, b"ab\r\r\n", "returns are padded without binary");
        assert_eq!(answer, b"\xff\xfc\x2c\xff\xfe\x2c");
    }

    proptest! {
        #[test]
        fn every_byte_passes(bytes: Vec<u8>, piece in 1_usize..9) {
            let mut sent = QEMU.to_vec();
            escape(&bytes, &mut sent);
            prop_assert_eq!(decode(&sent, piece).0, bytes);
        }

        #[test]
        fn pieces_do_not_matter(received: Vec<u8>, piece in 1_usize..9) {
            let (data, answer) = decode(&received, piece);
            prop_assert!(answer.len() <= received.len());
            prop_assert_eq!((data, answer), decode(&received, received.len().max(1)));
        }
    }
}
