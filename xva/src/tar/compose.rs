//! Makes the headers of entries.

use super::BLOCK;

/// The largest number that eleven octal digits hold.
const NUMBER_LIMIT: u64 = (1 << 33) - 1;

/// A header as xapi writes it: V7 Unix, mode 0400, owned by root. `None` where the name or a number does not fit.
pub(crate) fn compose(name: &str, size: u64, mtime: u64) -> Option<[u8; BLOCK]> {
    if name.len() > 100 || size > NUMBER_LIMIT || mtime > NUMBER_LIMIT {
        return None;
    }
    let mut raw = [0; BLOCK];
    raw[..name.len()].copy_from_slice(name.as_bytes());
    raw[100..108].copy_from_slice(b"0000400\0");
    raw[108..116].copy_from_slice(b"0000000\0");
    raw[116..124].copy_from_slice(b"0000000\0");
    raw[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
    raw[136..147].copy_from_slice(format!("{mtime:011o}").as_bytes());
    raw[148..156].fill(b' ');
    let sum: u32 = raw.iter().copied().map(u32::from).sum();
    raw[148..156].copy_from_slice(format!("{sum:07o}\0").as_bytes());
    Some(raw)
}

#[cfg(test)]
mod tests {
    use super::super::header::{Header, Kind};
    use super::*;

    #[test]
    fn reads_back() {
        let raw = compose("Ref:12/00000003", 1 << 20, 0).unwrap();
        let header = Header::parse(&raw).unwrap();
        assert_eq!(
            (&header.name[..], header.size, header.kind),
            ("Ref:12/00000003", Some(1 << 20), Kind::Regular)
        );
        assert!(raw[156..].iter().all(|&byte| byte == 0), "no type, no magic");
    }

    #[test]
    fn what_does_not_fit() {
        assert!(compose(&"x".repeat(101), 0, 0).is_none());
        assert!(compose("ova.xml", 8 << 30, 0).is_none());
        assert!(compose("ova.xml", NUMBER_LIMIT, NUMBER_LIMIT).is_some());
    }
}
