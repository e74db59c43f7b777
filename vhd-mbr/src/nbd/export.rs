//! What a server tells of a disk.

/// The size and the abilities of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Export {
    pub(super) size: u64,
    pub(super) flags: u16,
    pub(super) blocks: BlockSizes,
}

/// Which requests a server takes, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockSizes {
    /// Positions and lengths are multiples of this power of two.
    pub minimum: u32,
    /// Multiples of this are fast.
    pub preferred: u32,
    /// No request is longer.
    pub maximum: u32,
}

impl BlockSizes {
    /// What nearly all servers take that do not tell: whole sectors, 32 MiB at once.
    pub const DEFAULT: Self = Self {
        minimum: 512,
        preferred: 4096,
        maximum: 32 << 20,
    };

    /// The sizes if they make sense.
    pub(super) fn checked(self) -> Option<Self> {
        let powers = self.minimum.is_power_of_two() && self.preferred.is_power_of_two();
        let ordered = self.minimum <= self.preferred && self.minimum <= 64 << 10 && self.preferred <= self.maximum;
        (powers && ordered).then(|| Self {
            maximum: self.maximum - self.maximum % self.minimum,
            ..self
        })
    }
}

impl Export {
    const HAS_FLAGS: u16 = 1;

    fn has(self, bit: u16) -> bool {
        self.flags & Self::HAS_FLAGS != 0 && self.flags & 1 << bit != 0
    }

    /// The disk's size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The requests that the server takes.
    pub fn blocks(&self) -> BlockSizes {
        self.blocks
    }

    /// Whether the server forbids writing, or does not say that it allows it.
    pub fn is_read_only(&self) -> bool {
        self.flags & Self::HAS_FLAGS == 0 || self.has(1)
    }

    /// Whether it can be asked to put what was written where a crash does not lose it.
    pub fn can_flush(&self) -> bool {
        self.has(2)
    }

    /// Whether single writes can be made to last.
    pub fn can_force_unit_access(&self) -> bool {
        self.has(3)
    }

    /// Whether zeros can be written without sending them.
    pub fn can_write_zeroes(&self) -> bool {
        self.has(6)
    }

    /// Whether what is written and flushed over one connection is seen over all.
    pub fn can_multiple_connections(&self) -> bool {
        self.has(8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_that_make_no_sense_are_refused() {
        let sizes = |minimum, preferred, maximum| BlockSizes {
            minimum,
            preferred,
            maximum,
        };
        assert!(BlockSizes::DEFAULT.checked().is_some());
        assert_eq!(
            sizes(4096, 4096, u32::MAX).checked(),
            Some(sizes(4096, 4096, 0xffff_f000))
        );
        for odd in [
            sizes(0, 512, 512),
            sizes(3, 512, 512),
            sizes(1, 512, 0),
            sizes(512, 256, 512),
            sizes(1 << 17, 1 << 17, 1 << 20),
        ] {
            assert_eq!(odd.checked(), None);
        }
    }
}
