//! What must hold for the arguments of a call before they are written.

use super::MAX_DEPTH;
use crate::Value;

/// Arguments that cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// A text holds a character that XML cannot carry. The server keeps its database as XML and answers requests with
    /// such a character with HTTP status 500, whatever the encoding.
    #[error("the character U+{:04X} in {place} cannot be sent: XenAPI takes no control characters but tab and line ends; leave it out or encode the text", u32::from(*.character))]
    ForbiddenCharacter {
        /// Where, for example `params[1].name_label`.
        place: String,
        /// Which.
        character: char,
    },
    /// Sets and maps stand in each other deeper than a request may have them.
    #[error("{place} nests deeper than {limit} levels")]
    TooDeep {
        /// Where, for example `params[1].other_config`.
        place: String,
        /// The most levels of a parameter.
        limit: usize,
    },
}

/// The most levels of a parameter; the rest is for the wrapping of a request.
const DEEPEST: usize = MAX_DEPTH - 8;

/// How many steps of the way an error names.
const STEPS_NAMED: usize = 8;

/// Checks a method's name and its arguments.
pub(super) fn check(method: &str, params: &[Value]) -> Result<(), RequestError> {
    check_text(method, || "the method's name".to_owned())?;
    params
        .iter()
        .enumerate()
        .try_for_each(|(index, value)| check_value(value, &Step::Param(index), 0))
}

/// The way to a value, kept on the stack and only put into words for an error.
enum Step<'a> {
    Param(usize),
    Item(&'a Self, usize),
    Member(&'a Self, &'a str),
}

impl Step<'_> {
    fn place(&self, steps: usize) -> String {
        match self {
            Self::Param(index) => format!("params[{index}]"),
            _ if steps == 0 => "…".to_owned(),
            Self::Item(outer, index) => format!("{}[{index}]", outer.place(steps - 1)),
            Self::Member(outer, name) => format!("{}.{}", outer.place(steps - 1), name.escape_debug()),
        }
    }
}

fn check_value(value: &Value, step: &Step<'_>, depth: usize) -> Result<(), RequestError> {
    match value {
        Value::String(text) => check_text(text, || step.place(STEPS_NAMED)),
        Value::Array(_) | Value::Struct(_) if depth >= DEEPEST => Err(RequestError::TooDeep {
            place: step.place(STEPS_NAMED),
            limit: DEEPEST,
        }),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .try_for_each(|(index, item)| check_value(item, &Step::Item(step, index), depth + 1)),
        Value::Struct(members) => members.iter().try_for_each(|(name, member)| {
            let step = Step::Member(step, name);
            check_text(name, || step.place(STEPS_NAMED))?;
            check_value(member, &step, depth + 1)
        }),
        _ => Ok(()),
    }
}

fn check_text(text: &str, place: impl FnOnce() -> String) -> Result<(), RequestError> {
    match text.chars().find(|&character| is_forbidden(character)) {
        Some(character) => Err(RequestError::ForbiddenCharacter {
            place: place(),
            character,
        }),
        None => Ok(()),
    }
}

/// What the `Char` of XML 1.0 leaves out.
fn is_forbidden(character: char) -> bool {
    matches!(character, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}')
}
