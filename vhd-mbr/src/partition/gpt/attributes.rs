use std::fmt;

/// The attribute bits of a GPT partition.
///
/// Bits 0 to 2 mean the same for every type (UEFI specification 2.10, table 5-7); bits 48 to 63 belong to the type. The
/// names given to bits 60 to 63 here are those of Microsoft's basic data partitions; bits 60 and 63 mean as good as the
/// same on Linux's types.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct GptAttributes(
    /// The 64 bits as they stand in the table.
    pub u64,
);

impl GptAttributes {
    const NAMES: [(u32, &'static str); 7] = [
        (0, "required"),
        (1, "no block I/O"),
        (2, "legacy bootable"),
        (60, "read-only"),
        (61, "shadow copy"),
        (62, "hidden"),
        (63, "no drive letter"),
    ];

    const fn bit(self, bit: u32) -> bool {
        self.0 >> bit & 1 == 1
    }

    /// Bit 0: the machine needs the partition to work.
    pub const fn is_required(self) -> bool {
        self.bit(0)
    }

    /// Bit 1: firmware shall not offer the partition for reading.
    pub const fn no_block_io(self) -> bool {
        self.bit(1)
    }

    /// Bit 2: a BIOS boot loader such as SYSLINUX's `gptmbr.bin` starts this partition.
    pub const fn is_legacy_bootable(self) -> bool {
        self.bit(2)
    }

    /// Bit 60: read-only.
    pub const fn is_read_only(self) -> bool {
        self.bit(60)
    }

    /// Bit 61: a shadow copy of another partition.
    pub const fn is_shadow_copy(self) -> bool {
        self.bit(61)
    }

    /// Bit 62: hidden.
    pub const fn is_hidden(self) -> bool {
        self.bit(62)
    }

    /// Bit 63: Windows gives it no drive letter; Linux does not mount it by itself.
    pub const fn no_drive_letter(self) -> bool {
        self.bit(63)
    }
}

impl fmt::Display for GptAttributes {
    /// The names of the set bits, separated by commas; a bit without a name is `bit 48`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set = (0..64).filter(|&bit| self.bit(bit));
        let names = set.map(|bit| match Self::NAMES.iter().find(|row| row.0 == bit) {
            Some((_, name)) => (*name).to_owned(),
            None => format!("bit {bit}"),
        });
        f.pad(&names.collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::GptAttributes;

    #[test]
    fn bits_have_names_or_numbers() {
        assert_eq!(GptAttributes(0).to_string(), "");
        assert_eq!(
            GptAttributes(1 << 2 | 1 << 55 | 1 << 63).to_string(),
            "legacy bootable, bit 55, no drive letter"
        );
    }
}
