//! The 512 bytes in front of every tar entry.

use super::BLOCK;

/// What an entry is, as far as reading an archive needs to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A file.
    Regular,
    /// GNU: the next entry's name.
    LongName,
    /// GNU: the next entry's link target.
    LongLink,
    /// POSIX: attributes of the next entry.
    Pax,
    /// POSIX: attributes of all further entries.
    PaxGlobal,
    /// GNU: a file whose holes were left out.
    Sparse,
    /// A link, a device or a directory: no content, whatever the size field says.
    Empty,
    /// Anything else, with content.
    Other,
}

/// The fields of a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) name: String,
    pub(crate) size: Option<u64>,
    pub(crate) kind: Kind,
}

impl Header {
    /// Takes a header apart; `None` where its checksum does not hold.
    ///
    /// xapi writes the form of V7 Unix: no magic, a type of 0, seven digits of checksum. So nothing but the checksum
    /// tells a header from other bytes.
    pub(crate) fn parse(raw: &[u8; BLOCK]) -> Option<Self> {
        let recorded = number(&raw[148..156])?;
        let (unsigned, signed) = checksums(raw);
        if recorded != unsigned && i64::try_from(recorded) != Ok(signed) {
            return None;
        }
        let mut name = text(&raw[..100]);
        // GNU's magic has spaces after "ustar" and uses the prefix field for times.
        if &raw[257..263] == b"ustar\0" {
            let prefix = text(&raw[345..500]);
            if !prefix.is_empty() {
                name = format!("{prefix}/{name}");
            }
        }
        let kind = match raw[156] {
            0 | b'0' | b'7' if name.ends_with('/') => Kind::Other,
            0 | b'0' | b'7' => Kind::Regular,
            b'L' => Kind::LongName,
            b'K' => Kind::LongLink,
            b'x' | b'X' => Kind::Pax,
            b'g' => Kind::PaxGlobal,
            b'S' => Kind::Sparse,
            b'1'..=b'6' => Kind::Empty,
            _ => Kind::Other,
        };
        Some(Self {
            name,
            size: number(&raw[124..136]),
            kind,
        })
    }
}

/// The sum of a header's bytes with the checksum field read as spaces, of unsigned and of signed bytes: old writers
/// disagreed.
fn checksums(raw: &[u8; BLOCK]) -> (u64, i64) {
    let mut unsigned = 8 * u64::from(b' ');
    let mut signed = 8 * i64::from(b' ');
    for &byte in raw[..148].iter().chain(&raw[156..]) {
        unsigned += u64::from(byte);
        signed += i64::from(byte.cast_signed());
    }
    (unsigned, signed)
}

/// The text of a field up to its first NUL.
pub(crate) fn text(field: &[u8]) -> String {
    let end = field.iter().position(|&b| b == 0).unwrap_or(field.len());
    String::from_utf8_lossy(&field[..end]).into_owned()
}

/// A number in octal digits or, with the top bit set, in base 256.
fn number(field: &[u8]) -> Option<u64> {
    let (&first, rest) = field.split_first()?;
    if first & 0x80 != 0 {
        let high = u64::from(first & 0x7f);
        return rest.iter().try_fold(high, |value, &byte| {
            value.checked_mul(256)?.checked_add(u64::from(byte))
        });
    }
    let digits = field
        .iter()
        .skip_while(|&&b| b == b' ')
        .take_while(|&&b| b != 0 && b != b' ');
    digits.copied().try_fold(0u64, |value, byte| match byte {
        b'0'..=b'7' => value.checked_mul(8)?.checked_add(u64::from(byte - b'0')),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn numbers_in_octal_and_base_256() {
        assert_eq!(number(b"00004000000\0"), Some(1 << 20));
        assert_eq!(number(b"   4000000 \0"), Some(1 << 20));
        assert_eq!(number(b"006024\0\0"), Some(0o6024));
        assert_eq!(number(&[0; 12]), Some(0));
        assert_eq!(number(b"\x80\0\0\0\0\0\0\x02\0\0\0\0"), Some(8 << 30));
        assert_eq!(number(&[0xff; 12]), None);
        assert_eq!(number(b"12a\0"), None);
        assert_eq!(number(b"777777777777777777777777"), None);
    }
}
