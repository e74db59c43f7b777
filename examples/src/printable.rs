//! Text of others on a terminal.

use std::fmt::{self, Write as _};

/// Text from a server or a disk: what would move a terminal's cursor, change its colours or turn the direction of the
/// writing is written out. Width and alignment work as for text.
///
/// ```
/// use xenapi_examples::Printable;
///
/// assert_eq!(Printable("web\u{1b}[2J").to_string(), r"web\u{1b}[2J");
/// assert_eq!(format!("{:6}|", Printable("Büro")), "Büro  |");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Printable<'a>(
    /// The text.
    pub &'a str,
);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::with_capacity(self.0.len());
        for c in self.0.chars() {
            if steers(c) {
                write!(text, "{}", c.escape_default())?;
            } else {
                text.push(c);
            }
        }
        f.pad(&text)
    }
}

fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
