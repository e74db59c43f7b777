use std::fmt;

const UNITS: [&str; 7] = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/// A number of bytes that prints for people.
///
/// `{}` takes the largest unit that leaves at least 1, and one decimal only where the number is not whole; `{:#}` adds
/// the exact number of bytes. Width and alignment work as for text.
///
/// ```
/// use vhd_mbr::Size;
///
/// assert_eq!(Size(16 << 20).to_string(), "16 MiB");
/// assert_eq!(Size(3 << 29).to_string(), "1.5 GiB");
/// assert_eq!(format!("{:#}", Size(5_767_680)), "5.5 MiB (5767680 bytes)");
/// assert_eq!(format!("{:>8}", Size(512)), "512 bytes".to_string());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(
    /// The number of bytes.
    pub u64,
);

impl Size {
    fn human(self) -> String {
        let bytes = self.0;
        let mut unit = bytes.checked_ilog2().unwrap_or(0) as usize / 10;
        let scale = 1u64 << (unit * 10);
        if bytes.is_multiple_of(scale) {
            return match bytes {
                1 => "1 byte".to_owned(),
                _ => format!("{} {}", bytes / scale, UNITS[unit]),
            };
        }
        let mut tenths = (u128::from(bytes) * 10 + u128::from(scale) / 2) / u128::from(scale);
        // 1023.96 MiB rounds to 1 GiB, not to 1024 MiB.
        if tenths >= 10_240 && unit + 1 < UNITS.len() {
            unit += 1;
            tenths = 10;
        }
        format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() && self.0 >= 1024 {
            f.pad(&format!("{} ({} bytes)", self.human(), self.0))
        } else {
            f.pad(&self.human())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Size;

    #[test]
    fn sizes_read_as_a_person_would_write_them() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (1, "1 byte"),
            (1023, "1023 bytes"),
            (1024, "1 KiB"),
            (1025, "1.0 KiB"),
            (1536, "1.5 KiB"),
            ((1 << 20) - 1, "1.0 MiB"),
            (96 << 20, "96 MiB"),
            (u64::MAX, "16.0 EiB"),
            (1 << 63, "8 EiB"),
        ] {
            assert_eq!(Size(bytes).to_string(), text, "{bytes}");
        }
    }
}
