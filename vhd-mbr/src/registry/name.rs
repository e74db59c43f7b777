//! Names: UTF-16, or one byte for each character where none needs more.

use crate::bytes::u16_at;

pub(super) fn name(bytes: &[u8], is_compressed: bool) -> String {
    if is_compressed {
        return bytes.iter().copied().map(char::from).collect();
    }
    let units: Vec<u16> = bytes.chunks_exact(2).map(|unit| u16_at(unit, 0)).collect();
    String::from_utf16_lossy(&units)
}

/// Whether two names are the same for Windows, which compares what single characters become in upper case.
pub(super) fn is_same(one: &str, other: &str) -> bool {
    let upper = |text: &str| -> Vec<char> {
        let one_for_one = |letter: char| {
            let mut upper = letter.to_uppercase();
            match (upper.next(), upper.next()) {
                (Some(upper), None) => upper,
                _ => letter,
            }
        };
        text.chars().map(one_for_one).collect()
    };
    one.eq_ignore_ascii_case(other) || upper(one) == upper(other)
}
