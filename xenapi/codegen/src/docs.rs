//! Our own sentences about the datamodel, and the units of its numbers.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::expand;
use crate::model::Datamodel;

/// The sentences by what they are about.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Docs {
    texts: BTreeMap<Topic, String>,
    units: BTreeMap<String, String>,
}

/// What a sentence is about, by wire names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// A class.
    Class(String),
    /// A field of a class.
    Field(String, String),
    /// A message of a class.
    Message(String, String),
    /// An enum.
    Enum(String),
    /// A value of an enum.
    Value(String, String),
    /// An error code.
    Error(String),
    /// An HTTP action.
    HttpAction(String),
    /// A field, or a message with `()`, of whatever class has one of that name and no sentence of its own.
    Common(String),
}

impl Topic {
    /// What says the same of any class.
    fn common(&self) -> Option<Self> {
        match self {
            Self::Field(_, name) => Some(Self::Common(name.clone())),
            Self::Message(_, name) => Some(Self::Common(format!("{name}()"))),
            _ => None,
        }
    }
}

/// Why the sentences cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DocsError {
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A heading that names nothing in the datamodel, or stands where it has no meaning.
    #[error("{}: line {line}: the datamodel has nothing called {heading:?} here", path.display())]
    Heading {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The heading's text.
        heading: String,
    },
    /// A heading that was there before.
    #[error("{}: line {line}: {heading:?} comes twice", path.display())]
    Twice {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The heading's text.
        heading: String,
    },
}

impl Docs {
    /// Reads `classes/*.md`, `common.md`, `enums.md`, `errors.md`, `http_actions.md` and `units.md` of a folder.
    ///
    /// # Errors
    /// Where a file cannot be read, or a heading names nothing that the datamodel has.
    pub fn load(folder: &Path, model: &Datamodel) -> Result<Self, DocsError> {
        let mut reader = Reader {
            known: topics(model),
            docs: Self::default(),
        };
        let classes = folder.join("classes");
        let io = |source| DocsError::Io {
            path: classes.clone(),
            source,
        };
        let mut paths = Vec::new();
        for entry in fs::read_dir(&classes).map_err(io)? {
            paths.push(entry.map_err(io)?.path());
        }
        paths.sort();
        for path in paths {
            reader.texts(path, |parent, heading| match (parent, heading.strip_suffix("()")) {
                (None, _) => Topic::Class(heading.to_owned()),
                (Some(class), Some(message)) => Topic::Message(class.to_owned(), message.to_owned()),
                (Some(class), None) => Topic::Field(class.to_owned(), heading.to_owned()),
            })?;
        }
        reader.texts(folder.join("common.md"), |_, heading| Topic::Common(heading.to_owned()))?;
        reader.texts(folder.join("enums.md"), |parent, heading| match parent {
            None => Topic::Enum(heading.to_owned()),
            Some(name) => Topic::Value(name.to_owned(), heading.to_owned()),
        })?;
        reader.texts(folder.join("errors.md"), |_, heading| Topic::Error(heading.to_owned()))?;
        reader.texts(folder.join("http_actions.md"), |_, heading| {
            Topic::HttpAction(heading.to_owned())
        })?;
        reader.units(folder.join("units.md"), model)?;
        Ok(reader.docs)
    }

    /// The sentences about something, where there are any.
    pub fn text(&self, topic: &Topic) -> Option<&str> {
        let text = self.texts.get(topic).or_else(|| self.texts.get(&topic.common()?));
        text.map(String::as_str).filter(|text| !text.is_empty())
    }

    /// The unit of `CLASS.field`, or of `CLASS.message(argument)`.
    pub fn unit(&self, number: &str) -> Option<&str> {
        self.units.get(number).map(String::as_str)
    }
}

struct Reader {
    known: BTreeSet<Topic>,
    docs: Docs,
}

impl Reader {
    /// Reads a file whose headings `#` and `##` each name a topic.
    fn texts(&mut self, path: PathBuf, topic: impl Fn(Option<&str>, &str) -> Topic) -> Result<(), DocsError> {
        let text = read(&path)?;
        let mut parent: Option<String> = None;
        let mut current: Option<(Topic, String)> = None;
        for (line, text) in text.lines().enumerate().map(|(index, text)| (index + 1, text)) {
            let next = if let Some(heading) = text.strip_prefix("# ") {
                parent = Some(heading.to_owned());
                Some((heading, topic(None, heading)))
            } else {
                text.strip_prefix("## ")
                    .map(|heading| (heading, topic(parent.as_deref(), heading)))
            };
            match (next, &mut current) {
                (Some((heading, topic)), _) => {
                    let heading = heading.to_owned();
                    if !self.known.contains(&topic) {
                        return Err(DocsError::Heading { path, line, heading });
                    }
                    if self.docs.texts.contains_key(&topic) {
                        return Err(DocsError::Twice { path, line, heading });
                    }
                    self.keep(current.take());
                    self.docs.texts.insert(topic.clone(), String::new());
                    current = Some((topic, String::new()));
                }
                (None, Some((_, body))) => {
                    body.push_str(text);
                    body.push('\n');
                }
                (None, None) if text.is_empty() => {}
                (None, None) => {
                    return Err(DocsError::Heading {
                        path,
                        line,
                        heading: text.to_owned(),
                    });
                }
            }
        }
        self.keep(current);
        Ok(())
    }

    fn keep(&mut self, section: Option<(Topic, String)>) {
        if let Some((topic, body)) = section {
            self.docs.texts.insert(topic, body.trim().to_owned());
        }
    }

    /// Reads a file whose headings are units, with a list of numbers below each.
    fn units(&mut self, path: PathBuf, model: &Datamodel) -> Result<(), DocsError> {
        let known = numbers(model);
        let text = read(&path)?;
        let mut unit = None;
        for (line, text) in text.lines().enumerate().map(|(index, text)| (index + 1, text)) {
            if let Some(heading) = text.strip_prefix("# ") {
                unit = Some(heading.to_owned());
                continue;
            }
            let Some(number) = text.strip_prefix("- ") else {
                continue;
            };
            let heading = number.to_owned();
            match &unit {
                Some(unit) if known.contains(number) => {
                    if self.docs.units.insert(number.to_owned(), unit.clone()).is_some() {
                        return Err(DocsError::Twice { path, line, heading });
                    }
                }
                _ => return Err(DocsError::Heading { path, line, heading }),
            }
        }
        Ok(())
    }
}

fn read(path: &Path) -> Result<String, DocsError> {
    fs::read_to_string(path).map_err(|source| DocsError::Io {
        path: path.to_owned(),
        source,
    })
}

/// Everything that a sentence can be about.
pub fn topics(model: &Datamodel) -> BTreeSet<Topic> {
    let mut topics = BTreeSet::new();
    for class in &model.classes {
        topics.insert(Topic::Class(class.name.clone()));
        topics.extend(
            class
                .fields
                .iter()
                .map(|field| Topic::Field(class.name.clone(), field.name.clone())),
        );
        let messages = expand::messages(class).into_iter().map(|message| message.name);
        topics.extend(messages.map(|name| Topic::Message(class.name.clone(), name)));
    }
    for item in &model.enums {
        topics.insert(Topic::Enum(item.name.clone()));
        topics.extend(
            item.values
                .iter()
                .map(|value| Topic::Value(item.name.clone(), value.clone())),
        );
    }
    topics.extend(topics.iter().filter_map(Topic::common).collect::<Vec<_>>());
    topics.extend(model.errors.iter().map(|error| Topic::Error(error.name.clone())));
    topics.extend(
        model
            .http_actions
            .iter()
            .map(|action| Topic::HttpAction(action.name.clone())),
    );
    topics
}

/// Everything that can have a unit.
fn numbers(model: &Datamodel) -> BTreeSet<String> {
    let mut numbers = BTreeSet::new();
    for class in &model.classes {
        numbers.extend(
            class
                .fields
                .iter()
                .map(|field| format!("{}.{}", class.name, field.name)),
        );
        for message in &class.messages {
            let call = format!("{}.{}", class.name, message.name);
            numbers.extend(message.params.iter().map(|param| format!("{call}({})", param.name)));
            numbers.insert(format!("{call}()"));
        }
    }
    numbers
}
