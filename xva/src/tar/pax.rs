//! Attributes of POSIX pax headers.

/// The attributes that change how an entry is read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Pax {
    pub(crate) path: Option<String>,
    pub(crate) size: Option<u64>,
    pub(crate) sparse: bool,
}

impl Pax {
    /// Adds the records of one header; `None` where they are malformed. A record is `LENGTH KEY=VALUE\n`, its length
    /// counting itself.
    pub(crate) fn merge(&mut self, mut records: &[u8]) -> Option<()> {
        while !records.is_empty() {
            let space = records.iter().position(|&b| b == b' ')?;
            let length: usize = str::from_utf8(&records[..space]).ok()?.parse().ok()?;
            let (record, rest) = records.split_at_checked(length)?;
            let record = record.get(space + 1..)?.strip_suffix(b"\n")?;
            let equals = record.iter().position(|&b| b == b'=')?;
            self.set(&record[..equals], &record[equals + 1..])?;
            records = rest;
        }
        Some(())
    }

    fn set(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        match key {
            // An empty value takes the attribute back.
            b"path" => self.path = (!value.is_empty()).then(|| String::from_utf8_lossy(value).into_owned()),
            b"size" if value.is_empty() => self.size = None,
            b"size" => self.size = Some(str::from_utf8(value).ok()?.parse().ok()?),
            _ if key.starts_with(b"GNU.sparse.") => self.sparse = true,
            _ => {}
        }
        Some(())
    }

    /// These attributes where they are set, else those of `fallback`.
    pub(crate) fn or(self, fallback: &Self) -> Self {
        Self {
            path: self.path.or_else(|| fallback.path.clone()),
            size: self.size.or(fallback.size),
            sparse: self.sparse || fallback.sparse,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Pax;

    #[test]
    fn records() {
        let mut pax = Pax::default();
        assert_eq!(
            pax.merge(b"19 path=Ref:1/0=\n0\n16 size=1048576\n19 mtime=1.5\0\0\0\0\0\0\n"),
            Some(())
        );
        assert_eq!(
            pax,
            Pax {
                path: Some("Ref:1/0=\n0".into()),
                size: Some(1 << 20),
                sparse: false
            }
        );
        for bad in [
            "x",
            "0 ",
            "5 a=b",
            "6 a=bc",
            "99 a=b\n",
            "8 size=a\n",
            "18446744073709551616 a=b\n",
            "4 a\n",
        ] {
            assert_eq!(Pax::default().merge(bad.as_bytes()), None, "{bad:?}");
        }
    }
}
