//! How a client of RFB wants its pixels.

/// A format of true colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PixelFormat {
    bytes: usize,
    depth: u8,
    big_endian: bool,
    max: [u16; 3],
    shift: [u8; 3],
}

impl PixelFormat {
    /// 32 bits with eight for each colour, the least significant byte first.
    pub(super) const NATIVE: Self = Self {
        bytes: 4,
        depth: 24,
        big_endian: false,
        max: [255; 3],
        shift: [16, 8, 0],
    };

    /// Reads a format; none where it has a palette or makes no sense.
    pub(super) fn parse(wire: &[u8; 16]) -> Option<Self> {
        let bytes = match wire[0] {
            8 => 1,
            16 => 2,
            32 => 4,
            _ => return None,
        };
        let format = Self {
            bytes,
            depth: wire[1],
            big_endian: wire[2] != 0,
            max: [4, 6, 8].map(|at| u16::from_be_bytes([wire[at], wire[at + 1]])),
            shift: [wire[10], wire[11], wire[12]],
        };
        let sound = wire[3] != 0 && format.shift.iter().all(|&shift| shift < wire[0]);
        sound.then_some(format)
    }

    pub(super) fn to_wire(self) -> [u8; 16] {
        let mut wire = [0; 16];
        wire[..4].copy_from_slice(&[self.bytes as u8 * 8, self.depth, u8::from(self.big_endian), 1]);
        for (place, max) in wire[4..10].chunks_exact_mut(2).zip(self.max) {
            place.copy_from_slice(&max.to_be_bytes());
        }
        wire[10..13].copy_from_slice(&self.shift);
        wire
    }

    /// Appends a pixel of a colour.
    pub(super) fn put(self, colour: [u8; 3], out: &mut Vec<u8>) {
        let parts = colour.into_iter().zip(self.max).zip(self.shift);
        let pixel = parts.fold(0_u32, |pixel, ((part, max), shift)| {
            pixel | (u32::from(part) * u32::from(max) / 255) << shift
        });
        if self.big_endian {
            out.extend_from_slice(&pixel.to_be_bytes()[4 - self.bytes..]);
        } else {
            out.extend_from_slice(&pixel.to_le_bytes()[..self.bytes]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_packed_as_the_client_wants_them() {
        let mut out = Vec::new();
        PixelFormat::NATIVE.put([0x11, 0x22, 0x33], &mut out);
        let rgb565 = PixelFormat {
            bytes: 2,
            depth: 16,
            big_endian: true,
            max: [31, 63, 31],
            shift: [11, 5, 0],
        };
        rgb565.put([255, 0, 255], &mut out);
        assert_eq!(out, [0x33, 0x22, 0x11, 0, 0xf8, 0x1f]);
        assert_eq!(PixelFormat::parse(&rgb565.to_wire()), Some(rgb565));
    }

    #[test]
    fn palettes_and_nonsense_are_refused() {
        let good = PixelFormat::NATIVE.to_wire();
        for (at, value) in [(0, 24), (3, 0), (10, 200)] {
            let mut bad = good;
            bad[at] = value;
            assert_eq!(PixelFormat::parse(&bad), None);
        }
    }
}
