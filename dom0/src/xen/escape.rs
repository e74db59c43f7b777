/// A value as `xenstore-write` takes it, whatever its bytes.
pub fn escape(value: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(value.len());
    for &byte in value {
        match byte {
            b'\\' => escaped.extend_from_slice(br"\\"),
            b' '..=b'~' => escaped.push(byte),
            _ => escaped.extend_from_slice(format!("\\x{byte:02x}").as_bytes()),
        }
    }
    escaped
}

/// A value as `xenstore-read` and `xenstore-ls` print it. A backslash that begins nothing known stands for itself.
pub fn unescape(printed: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(printed.len());
    let mut rest = printed;
    while let Some((&byte, after)) = rest.split_first() {
        let (byte, length) = match byte {
            b'\\' => escaped_byte(after).map_or((byte, 1), |(byte, length)| (byte, length + 1)),
            _ => (byte, 1),
        };
        value.push(byte);
        rest = &rest[length..];
    }
    value
}

/// The byte that the text after a backslash stands for, and how long that text is.
fn escaped_byte(text: &[u8]) -> Option<(u8, usize)> {
    let number = |digits: &[u8], radix| {
        let digits = std::str::from_utf8(digits)
            .ok()
            .filter(|digits| digits.bytes().all(|digit| digit != b'+'))?;
        u8::from_str_radix(digits, radix).ok()
    };
    match text.first()? {
        b't' => Some((b'\t', 1)),
        b'n' => Some((b'\n', 1)),
        b'r' => Some((b'\r', 1)),
        b'\\' => Some((b'\\', 1)),
        b'x' => Some((number(text.get(1..3)?, 16)?, 3)),
        b'0'..=b'7' => Some((number(text.get(..3)?, 8)?, 3)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_xenstore_read_prints() {
        assert_eq!(
            unescape(br"a\\b\tc\nd\re\001\x7f\xc3\xa4"),
            b"a\\b\tc\nd\re\x01\x7f\xc3\xa4"
        );
        assert_eq!(unescape(br"\q\x\xg1\9\+07\"), br"\q\x\xg1\9\+07\");
    }

    proptest! {
        #[test]
        fn every_value_survives(value: Vec<u8>) {
            let escaped = escape(&value);
            prop_assert!(escaped.iter().all(|byte| (b' '..=b'~').contains(byte)));
            prop_assert_eq!(unescape(&escaped), value);
        }
    }
}
