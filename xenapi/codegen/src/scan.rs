//! Words and signs of a datamodel file.

use std::fmt;

use crate::parse::ParseError;

/// The smallest part of a file that means something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// Letters, digits and `_ - . + * /`.
    Word(String),
    /// Text in double quotes.
    Text(String),
    /// `( ) [ ] { } , : = |` or `->`.
    Sign(&'static str),
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(word) => write!(f, "`{word}`"),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Sign(sign) => write!(f, "`{sign}`"),
        }
    }
}

const SIGNS: [&str; 11] = ["->", "(", ")", "[", "]", "{", "}", ",", ":", "=", "|"];

/// Whether text can stand without quotes.
pub(crate) fn is_word(text: &str) -> bool {
    !text.is_empty() && !text.starts_with("->") && text.chars().all(is_word_char)
}

fn is_word_char(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "_-.+*/".contains(letter)
}

/// The tokens of a file, each with the line it stands on.
pub(crate) fn scan(text: &str) -> Result<Vec<(usize, Token)>, ParseError> {
    let mut tokens = Vec::new();
    for (line, text) in text.lines().enumerate().map(|(index, text)| (index + 1, text)) {
        let mut rest = text.trim_start();
        while let Some(first) = rest.chars().next() {
            let (token, after) = if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
                (Token::Sign(sign), &rest[sign.len()..])
            } else if first == '"' {
                quoted(&rest[1..]).ok_or_else(|| ParseError::new(line, "the closing quote", rest))?
            } else {
                let end = rest.find(|letter| !is_word_char(letter)).unwrap_or(rest.len());
                if end == 0 {
                    return Err(ParseError::new(line, "a word, a sign or a quoted text", rest));
                }
                (Token::Word(rest[..end].to_owned()), &rest[end..])
            };
            tokens.push((line, token));
            rest = after.trim_start();
        }
    }
    Ok(tokens)
}

/// The text up to the closing quote, and what stands behind it.
fn quoted(rest: &str) -> Option<(Token, &str)> {
    let mut text = String::new();
    let mut letters = rest.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((Token::Text(text), &rest[at + 1..])),
            '\\' => text.push(match letters.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            _ => text.push(letter),
        }
    }
    None
}
