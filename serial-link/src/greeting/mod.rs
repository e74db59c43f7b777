//! What a program wishes of the bridge of another one, and what they say to each other about that.

#[cfg(unix)]
mod lines;

#[cfg(unix)]
pub(crate) use lines::{Answer, hear, say};

use serde::{Deserialize, Serialize};

/// What a program wants to do with the input of another's bridge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Claim {
    /// Nothing: it reads along.
    Nothing,
    /// To have it, if nobody has.
    #[default]
    Free,
    /// To have it, also if another has who does not insist on it.
    TakeOver,
}

/// What a program wants of another's bridge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    name: String,
    claim: Claim,
    insists: bool,
    lines: usize,
}

impl Wish {
    /// The input, if nobody has it, for a program with this name.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            claim: Claim::default(),
            insists: false,
            lines: 0,
        }
    }

    /// What becomes of the input.
    pub fn claim(mut self, claim: Claim) -> Self {
        self.claim = claim;
        self
    }

    /// Whether nobody may take the input over.
    pub fn insist(mut self, yes: bool) -> Self {
        self.insists = yes;
        self
    }

    /// How many of the last lines it gets when it first connects.
    pub fn lines(mut self, lines: usize) -> Self {
        self.lines = lines;
        self
    }
}

#[cfg(unix)]
impl Wish {
    pub(crate) fn wants(&self) -> Claim {
        self.claim
    }

    pub(crate) fn insists(&self) -> bool {
        self.insists
    }

    pub(crate) fn replayed(&self) -> usize {
        self.lines
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}
