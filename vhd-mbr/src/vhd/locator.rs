use super::fields::{put, u32_at, u64_at};
use crate::bytes::array;

/// A place in the file where a path to the parent stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Locator {
    /// How the path is written.
    pub platform: Platform,
    /// How much room it has: in sectors by the specification, in bytes as nearly all programs write it.
    pub space: u32,
    /// The path's length in bytes.
    pub len: u32,
    /// Where in the file it is.
    pub offset: u64,
}

/// How a [`Locator`]'s path is written, as four letters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Platform(
    /// The letters.
    pub [u8; 4],
);

impl Platform {
    /// No path.
    pub const NONE: Self = Self([0; 4]);
    /// A Windows path relative to the child, in UTF-16.
    pub const WINDOWS_RELATIVE: Self = Self(*b"W2ru");
    /// A whole Windows path, in UTF-16.
    pub const WINDOWS_ABSOLUTE: Self = Self(*b"W2ku");
    /// A `file:` URL, in UTF-8; what XenServer writes.
    pub const FILE_URL: Self = Self(*b"MacX");
}

impl Locator {
    pub(super) const LEN: usize = 24;

    pub(super) fn parse(bytes: &[u8]) -> Self {
        Self {
            platform: Platform(array(bytes, 0)),
            space: u32_at(bytes, 4),
            len: u32_at(bytes, 8),
            offset: u64_at(bytes, 16),
        }
    }

    pub(super) fn to_bytes(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        put(&mut bytes, 0, self.platform.0);
        put(&mut bytes, 4, self.space.to_be_bytes());
        put(&mut bytes, 8, self.len.to_be_bytes());
        put(&mut bytes, 16, self.offset.to_be_bytes());
        bytes
    }
}

impl Platform {
    /// The path that `bytes` are, with `/` between its parts; `None` where they are none or the platform is unknown.
    pub(super) fn decode(self, bytes: &[u8]) -> Option<String> {
        let text = match self {
            Self::WINDOWS_RELATIVE | Self::WINDOWS_ABSOLUTE => {
                let units: Vec<u16> = bytes
                    .chunks_exact(2)
                    .map(|unit| u16::from_le_bytes(array(unit, 0)))
                    .take_while(|&unit| unit != 0)
                    .collect();
                String::from_utf16(&units).ok()?.replace('\\', "/")
            }
            Self::FILE_URL => {
                let text = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
                let text = std::str::from_utf8(text).ok()?;
                let path = text.strip_prefix("file://").unwrap_or(text);
                path.strip_prefix("localhost").unwrap_or(path).to_owned()
            }
            _ => return None,
        };
        (!text.is_empty()).then_some(text)
    }

    /// The bytes that say `path`, as this platform writes it.
    pub(super) fn encode(self, path: &str) -> Vec<u8> {
        match self {
            Self::FILE_URL => format!("file://{path}").into_bytes(),
            _ => {
                let path = path.replace('/', "\\");
                path.encode_utf16().flat_map(u16::to_le_bytes).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Platform;

    #[test]
    fn paths_survive_each_way_of_writing() {
        for platform in [
            Platform::FILE_URL,
            Platform::WINDOWS_RELATIVE,
            Platform::WINDOWS_ABSOLUTE,
        ] {
            let bytes = platform.encode("./böse/a b.vhd");
            assert_eq!(platform.decode(&bytes).as_deref(), Some("./böse/a b.vhd"));
            assert_eq!(platform.decode(&[0; 512]), None);
        }
        assert_eq!(Platform(*b"Mac ").decode(b"alias"), None);
        assert_eq!(Platform::FILE_URL.decode(&[0xff, 0xfe]), None);
    }
}
