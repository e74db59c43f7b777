use std::fmt;

use bytes::Bytes;

use crate::quote::quote;

/// A command line for the control domain's shell, in which every word is quoted by construction.
///
/// No name, filter or path can become more than the one word it was given as:
///
/// ```
/// use dom0::Command;
///
/// let command = Command::new("tcpdump").arg("-i").arg("vif7.0").arg("host 10.0.0.1; rm -rf $(x) \"'");
/// assert_eq!(command.to_string(), r#"tcpdump -i vif7.0 'host 10.0.0.1; rm -rf $(x) "'\'''"#);
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Command {
    line: Line,
    input: Bytes,
    limit: usize,
    ends_with_connection: bool,
}

#[derive(Clone, PartialEq, Eq)]
enum Line {
    Words(Vec<Vec<u8>>),
    Raw(Vec<u8>),
}

/// A word that no command line can carry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// Strings of a command line end at a zero byte.
    #[error("word {index} of the command has a zero byte: {shown}")]
    Nul {
        /// Which word, 0 is the program.
        index: usize,
        /// The word, escaped.
        shown: String,
    },
    /// The shell would take the program for an option of its own.
    #[error("the program's name is empty or begins with a minus: {shown:?}")]
    Program {
        /// The line.
        shown: String,
    },
}

const DEFAULT_LIMIT: usize = 1 << 20;

impl Command {
    /// Runs a program, found in the PATH of the control domain's shell.
    pub fn new(program: impl AsRef<[u8]>) -> Self {
        Self::from_line(Line::Words(vec![program.as_ref().to_vec()]))
    }

    /// Runs a script of the shell as it is: pipes, variables, everything.
    ///
    /// What is not a constant of the program goes in through [`arg`](Self::arg), and is `"$1"`, `"$2"` there:
    ///
    /// ```
    /// let count = dom0::Command::raw(r#"ip -o link | grep -c -- "$1""#).arg("vif7");
    /// ```
    pub fn raw(script: impl Into<Vec<u8>>) -> Self {
        Self::from_line(Line::Raw(script.into()))
    }

    fn from_line(line: Line) -> Self {
        Self {
            line,
            input: Bytes::new(),
            limit: DEFAULT_LIMIT,
            ends_with_connection: false,
        }
    }

    /// Adds a word.
    pub fn arg(mut self, word: impl AsRef<[u8]>) -> Self {
        let word = word.as_ref().to_vec();
        match &mut self.line {
            Line::Words(words) => words.push(word),
            Line::Raw(script) => {
                let script = std::mem::take(script);
                self.line = Line::Words(vec![b"sh".into(), b"-c".into(), script, b"sh".into(), word]);
            }
        }
        self
    }

    /// Adds words.
    pub fn args<W: AsRef<[u8]>>(self, words: impl IntoIterator<Item = W>) -> Self {
        words.into_iter().fold(self, Self::arg)
    }

    /// What [`Dom0::output`](crate::Dom0::output) gives it to read. Without, that is nothing.
    pub fn input(mut self, bytes: impl Into<Bytes>) -> Self {
        self.input = bytes.into();
        self
    }

    /// How many bytes of output, and as many of errors, [`Dom0::output`](crate::Dom0::output) keeps: 1 MiB.
    ///
    /// A command that says more is an error.
    pub fn limit(mut self, bytes: usize) -> Self {
        self.limit = bytes;
        self
    }

    /// Ends the command, TERM first and KILL two seconds later, when the connection dies or the [`Running`] is dropped.
    ///
    /// Otherwise a program that does not write (a `tcpdump` without traffic) goes on for ever in the control domain. The
    /// command's standard input tells the end of the connection, so the program itself reads nothing.
    ///
    /// [`Running`]: crate::Running
    pub fn end_with_connection(mut self) -> Self {
        self.ends_with_connection = true;
        self
    }

    pub(crate) fn ends_with_connection(&self) -> bool {
        self.ends_with_connection
    }

    pub(crate) fn input_bytes(&self) -> Bytes {
        self.input.clone()
    }

    pub(crate) fn output_limit(&self) -> usize {
        self.limit
    }

    /// The program; none for a script, which has many.
    pub(crate) fn program(&self) -> Option<String> {
        match &self.line {
            Line::Words(words) => words.first().map(|name| name.escape_ascii().to_string()),
            Line::Raw(_) => None,
        }
    }

    /// The line for the login shell, which says its process id first: `exec` keeps it, and sshd makes it the id of a
    /// process group, which is what signals are sent to.
    pub(crate) fn wire(&self) -> Result<Vec<u8>, CommandError> {
        self.check()?;
        let mut line = format!("echo {PID_MARK}$$ >&2; ").into_bytes();
        match (&self.line, self.ends_with_connection) {
            (Line::Words(words), false) => {
                line.extend_from_slice(b"exec ");
                line.extend_from_slice(&join(words));
            }
            (Line::Raw(script), false) => line.extend_from_slice(script),
            (Line::Words(words), true) => {
                line.extend_from_slice(GUARD);
                line.extend_from_slice(b"exec ");
                line.extend_from_slice(&join(words));
                line.extend_from_slice(b" </dev/null 3<&-");
            }
            (Line::Raw(script), true) => {
                line.extend_from_slice(GUARD);
                line.extend_from_slice(b"exec sh -c ");
                line.extend_from_slice(&quote(script));
                line.extend_from_slice(b" </dev/null 3<&-");
            }
        }
        Ok(line)
    }

    /// The line as the shell reads it, byte for byte.
    pub fn to_bytes(&self) -> Vec<u8> {
        match &self.line {
            Line::Words(words) => join(words),
            Line::Raw(script) => script.clone(),
        }
    }

    fn check(&self) -> Result<(), CommandError> {
        let words = match &self.line {
            Line::Words(words) => words.as_slice(),
            Line::Raw(script) => std::slice::from_ref(script),
        };
        if let Some((index, word)) = words.iter().enumerate().find(|(_, word)| word.contains(&0)) {
            return Err(CommandError::Nul {
                index,
                shown: word.escape_ascii().to_string(),
            });
        }
        match (&self.line, words.first().and_then(|program| program.first())) {
            (Line::Words(_), None | Some(b'-')) => Err(CommandError::Program {
                shown: self.to_string(),
            }),
            _ => Ok(()),
        }
    }
}

/// A copy of standard input is watched in the background (background jobs get `/dev/null` as their own); `$$` stays the
/// main process, and the group cannot be reused by others as long as the watcher lives in it.
const GUARD: &[u8] = b"exec 3<&0; { trap '' TERM; cat <&3; kill -s TERM -- -$$; sleep 2; kill -s KILL -- -$$; } \
>/dev/null 2>&1 & ";

/// What stands before the process id, in the first line that we have the shell print to standard error.
pub(crate) const PID_MARK: &str = "dom0-process:";

fn join(words: &[Vec<u8>]) -> Vec<u8> {
    words.iter().map(|word| quote(word)).collect::<Vec<_>>().join(&b' ')
}

/// The line as the shell reads it.
impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.to_bytes()))
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Command({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_takes_words_as_parameters() {
        let command = Command::raw("echo \"$1\"").arg("a b").arg("c");
        assert_eq!(command.to_string(), r#"sh -c 'echo "$1"' sh 'a b' c"#);
    }

    #[test]
    fn what_no_line_can_carry_is_refused() {
        let nul = Command::new("echo").arg("a\0b").wire();
        assert_eq!(
            nul,
            Err(CommandError::Nul {
                index: 1,
                shown: "a\\x00b".into()
            })
        );
        assert!(Command::new("").wire().is_err());
        assert!(Command::new("-x").wire().is_err());
        assert!(Command::raw("a\0").wire().is_err());
    }
}
