//! Names of exports, which can be secrets.

use std::fmt;

/// How much of a secret's text in a row is taken for a repetition of it.
const TELLTALE: usize = 6;

/// The name under which a server offers a disk.
///
/// The names that XenAPI gives, `/<uuid>?session_id=<reference>`, hold a session. So what follows the first `?` is
/// shown neither by `Display` nor by `Debug`; only [`expose`](Self::expose) gives it.
///
/// ```
/// use vhd_mbr::nbd::ExportName;
///
/// let name = ExportName::new("/0f3c?session_id=OpaqueRef:77");
/// assert_eq!(name.to_string(), "/0f3c?…");
/// assert_eq!(format!("{name:?}"), r#""/0f3c?…""#);
/// assert!(name.expose().ends_with("OpaqueRef:77"));
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct ExportName(String);

impl ExportName {
    /// The name as the server knows it. The empty one stands for the server's default.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The whole name, with the secret that it may hold.
    pub fn expose(&self) -> &str {
        &self.0
    }

    fn open_part(&self) -> &str {
        self.0.split('?').next().unwrap_or_default()
    }

    fn secret_part(&self) -> Option<&str> {
        self.0.split_once('?').map(|(_, secret)| secret)
    }

    /// Words of the server that can be shown: servers like to repeat the name they were asked for.
    pub(super) fn censor(&self, words: &[u8]) -> String {
        let repeats = self.secret_part().is_some_and(|secret| {
            let pieces = secret.as_bytes().windows(TELLTALE.min(secret.len()).max(1));
            pieces.into_iter().any(|piece| holds(words, piece))
        });
        if repeats {
            return "(not shown: it repeats the secret part of the export's name)".to_owned();
        }
        let words = String::from_utf8_lossy(words);
        let mut shown: String = words.trim().chars().take(300).collect();
        shown = shown.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        shown
    }
}

fn holds(text: &[u8], piece: &[u8]) -> bool {
    text.windows(piece.len()).any(|window| window == piece)
}

impl fmt::Display for ExportName {
    /// Without what follows the first `?`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hidden = if self.secret_part().is_some() { "?…" } else { "" };
        write!(f, "{}{hidden}", self.open_part().escape_debug())
    }
}

impl fmt::Debug for ExportName {
    /// Without what follows the first `?`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl From<&str> for ExportName {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

impl From<String> for ExportName {
    fn from(name: String) -> Self {
        Self(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_repeats_the_secret_is_not_quoted() {
        let name = ExportName::new("/abc?session_id=OpaqueRef:0123-4567");
        for words in [
            "no export '/abc?session_id=OpaqueRef:0123-4567'",
            "session OpaqueRef:0123 is unknown",
            "…:0123-4…",
        ] {
            let shown = name.censor(words.as_bytes());
            assert!(shown.starts_with("(not shown"), "{shown}");
        }
        assert_eq!(name.censor(b"no export\n'/abc'"), "no export '/abc'");
        assert_eq!(ExportName::new("plain").censor(b"no plain\0 here"), "no plain  here");
    }
}
