//! Sizes as people write them.

use serde::{Deserialize, Deserializer};

/// `4 GiB`, `512MiB`, or a number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bytes(pub(crate) i64);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(i64),
            Text(String),
        }
        let bytes = match Written::deserialize(deserializer)? {
            Written::Number(number) => Some(number),
            Written::Text(text) => parse(&text),
        };
        let bytes = bytes.filter(|bytes| *bytes > 0);
        bytes
            .map(Self)
            .ok_or_else(|| serde::de::Error::custom("a size is a number with KiB, MiB, GiB or TiB, such as \"4 GiB\""))
    }
}

fn parse(text: &str) -> Option<i64> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let shift = match unit.trim() {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        "TiB" => 40,
        _ => return None,
    };
    number.parse::<i64>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(parse("4 GiB"), Some(4 << 30));
        assert_eq!(parse("512MiB"), Some(512 << 20));
        assert_eq!(parse("7"), Some(7));
        for wrong in ["", "GiB", "4 GB", "-1", "9999999999 TiB", "4 GiB more"] {
            assert_eq!(parse(wrong).filter(|_| !wrong.is_empty()), None, "{wrong}");
        }
    }
}
