//! Who sent a frame.

use std::fmt;
use std::str::FromStr;

/// An Ethernet address.
///
/// ```
/// use pcap_tap::Mac;
///
/// let mac: Mac = "3A:00:5e:00:00:07".parse()?;
/// assert_eq!(mac.to_string(), "3a:00:5e:00:00:07");
/// # Ok::<(), pcap_tap::ParseMacError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(
    /// Its bytes, in the order in which they are sent.
    pub [u8; 6],
);

/// A text that is no Ethernet address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no Ethernet address; six bytes such as 3a:00:5e:00:00:07 are")]
pub struct ParseMacError {
    /// The text.
    pub text: String,
}

/// Which way a frame went, as the VM sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// The VM received it, or could have: frames for everybody, or for a group.
    In,
    /// The VM sent it.
    Out,
    /// Neither its source nor its destination is the VM: a bridge floods what it has not learned.
    Unknown,
}

impl Mac {
    /// Whether frames for this address are for a group or for everybody.
    pub fn is_multicast(&self) -> bool {
        self.0[0] & 1 == 1
    }
}

impl Direction {
    /// Which way a frame went, seen from the interface with this address. [`Direction::Unknown`] where the frame is
    /// shorter than both addresses.
    pub fn of(mac: &Mac, frame: &[u8]) -> Self {
        let Some((destination, rest)) = frame.split_first_chunk::<6>() else {
            return Self::Unknown;
        };
        let Some(source) = rest.first_chunk::<6>() else {
            return Self::Unknown;
        };
        let destination = Mac(*destination);
        if *source == mac.0 {
            Self::Out
        } else if destination == *mac || destination.is_multicast() {
            Self::In
        } else {
            Self::Unknown
        }
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mac({self})")
    }
}

/// Six bytes in hexadecimal with colons or hyphens between them.
impl FromStr for Mac {
    type Err = ParseMacError;

    fn from_str(text: &str) -> Result<Self, ParseMacError> {
        let parse = || {
            let mut bytes = [0; 6];
            let mut parts = text.split([':', '-']);
            for byte in &mut bytes {
                let part = parts.next().filter(|part| (1..=2).contains(&part.len()))?;
                *byte = part
                    .chars()
                    .try_fold(0, |byte, digit| Some(byte << 4 | digit.to_digit(16)? as u8))?;
            }
            parts.next().is_none().then_some(Self(bytes))
        };
        parse().ok_or_else(|| ParseMacError { text: text.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        assert_eq!("3A-0-5e-00-00-07".parse(), Ok(Mac([0x3a, 0, 0x5e, 0, 0, 7])));
        for wrong in [
            "",
            "1:2:3:4:5",
            "1:2:3:4:5:6:7",
            "1:2:3:4:5:+6",
            "1:2:3:4:5:666",
            "é:2:3:4:5:6",
        ] {
            assert!(wrong.parse::<Mac>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn frames_have_a_direction() {
        let vm = Mac([2, 0, 0, 0, 0, 7]);
        let frame = |to: [u8; 6], from: [u8; 6]| [to, from].concat();
        let other = [2, 0, 0, 0, 0, 9];
        assert_eq!(Direction::of(&vm, &frame([0xff; 6], vm.0)), Direction::Out);
        assert_eq!(Direction::of(&vm, &frame(vm.0, other)), Direction::In);
        assert_eq!(
            Direction::of(&vm, &frame([0x33, 0x33, 0, 0, 0, 1], other)),
            Direction::In
        );
        assert_eq!(
            Direction::of(&vm, &frame(other, [2, 0, 0, 0, 0, 8])),
            Direction::Unknown
        );
        assert_eq!(Direction::of(&vm, &[2, 0, 0]), Direction::Unknown);
    }
}
