use std::fmt;
use std::str::FromStr;

/// A globally unique identifier as GPT keeps it: 16 bytes, the first three fields little-endian and the rest in order
/// (UEFI specification 2.10, appendix A).
///
/// Prints in the usual form with capital letters; parses that form in either case, with or without braces.
///
/// ```
/// use vhd_mbr::Guid;
///
/// let guid: Guid = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b".parse()?;
/// assert_eq!(guid.as_bytes()[..4], [0x28, 0x73, 0x2a, 0xc1]);
/// assert_eq!(guid.to_string(), "C12A7328-F81F-11D2-BA4B-00A0C93EC93B");
/// # Ok::<(), vhd_mbr::ParseGuidError>(())
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Guid([u8; 16]);

impl Guid {
    /// The GUID of zeros, which marks an unused GPT entry.
    pub const NIL: Self = Self([0; 16]);

    /// The GUID stored on disk as `bytes`.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The GUID whose printed digits, read as one hexadecimal number, are `digits`.
    pub const fn from_u128(digits: u128) -> Self {
        Self(swap_fields(digits.to_be_bytes()))
    }

    /// The bytes as they stand on disk.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The printed digits read as one hexadecimal number.
    pub const fn to_u128(self) -> u128 {
        u128::from_be_bytes(swap_fields(self.0))
    }

    /// Whether every byte is zero.
    pub fn is_nil(&self) -> bool {
        *self == Self::NIL
    }
}

/// Turns the order of the printed digits into the order on disk, and back.
const fn swap_fields(b: [u8; 16]) -> [u8; 16] {
    [
        b[3], b[2], b[1], b[0], b[5], b[4], b[7], b[6], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15],
    ]
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = format!("{:032X}", self.to_u128());
        let (a, rest) = digits.split_at(8);
        let (b, rest) = rest.split_at(4);
        let (c, rest) = rest.split_at(4);
        let (d, e) = rest.split_at(4);
        f.pad(&format!("{a}-{b}-{c}-{d}-{e}"))
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Guid({self})")
    }
}

impl FromStr for Guid {
    type Err = ParseGuidError;

    fn from_str(text: &str) -> Result<Self, ParseGuidError> {
        let error = || ParseGuidError(text.chars().take(64).collect());
        let bare = text.strip_prefix('{').and_then(|t| t.strip_suffix('}')).unwrap_or(text);
        let mut fields = bare.split('-');
        let mut digits = 0u128;
        for width in [8, 4, 4, 4, 12] {
            let field = fields.next().ok_or_else(error)?;
            if field.len() != width || !field.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(error());
            }
            let value = u128::from_str_radix(field, 16).map_err(|_| error())?;
            digits = digits << (4 * width) | value;
        }
        match fields.next() {
            None => Ok(Self::from_u128(digits)),
            Some(_) => Err(error()),
        }
    }
}

/// Text that is not a GUID.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a GUID; the form is C12A7328-F81F-11D2-BA4B-00A0C93EC93B")]
pub struct ParseGuidError(String);

#[cfg(test)]
mod tests {
    use super::Guid;

    #[test]
    fn text_that_is_not_quite_a_guid_is_refused() {
        let good = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B";
        assert_eq!(good.parse::<Guid>().unwrap().to_string(), good);
        assert_eq!(format!("{{{good}}}").parse::<Guid>().unwrap().to_string(), good);
        for bad in [
            "",
            "{}",
            "C12A7328F81F11D2BA4B00A0C93EC93B",
            "C12A7328-F81F-11D2-BA4B-00A0C93EC93",
            "C12A7328-F81F-11D2-BA4B-00A0C93EC93B-",
            "C12A7328-F81F-11D2-BA4B-00A0C93EC93G",
            "+12A7328-F81F-11D2-BA4B-00A0C93EC93B",
            "{C12A7328-F81F-11D2-BA4B-00A0C93EC93B",
            "Ç12A728-F81F-11D2-BA4B-00A0C93EC93B",
        ] {
            let error = bad.parse::<Guid>().unwrap_err().to_string();
            assert!(error.contains("is not a GUID"), "{error}");
        }
    }
}
