//! Our own sentences about the datamodel, and what else is known of its members: units, events, tools.

mod read;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use self::read::Reader;
use crate::expand;
use crate::model::Datamodel;

/// The sentences by what they are about.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Docs {
    texts: BTreeMap<Topic, String>,
    pages: BTreeMap<String, String>,
    events: BTreeMap<Topic, Vec<Topic>>,
    units: BTreeMap<String, String>,
    tools: BTreeMap<String, Vec<String>>,
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
    /// Something that was said before.
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
    /// Reads `classes/*.md`, `common.md`, `enums.md`, `errors.md`, `http_actions.md`, `units.md` and `tools.md` of a
    /// folder.
    ///
    /// # Errors
    /// Where a file cannot be read, or a heading names nothing that the datamodel has.
    pub fn load(folder: &Path, model: &Datamodel) -> Result<Self, DocsError> {
        let mut reader = Reader::new(model);
        for path in read::files(&folder.join("classes"))? {
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
        reader.units(folder.join("units.md"))?;
        reader.tools(folder.join("tools.md"))?;
        Ok(reader.docs)
    }

    /// The sentences about something, where there are any.
    pub fn text(&self, topic: &Topic) -> Option<&str> {
        let text = self.texts.get(topic).or_else(|| self.texts.get(&topic.common()?));
        text.map(String::as_str).filter(|text| !text.is_empty())
    }

    /// What the page of a class opens with below its sentence: a picture of what it hangs on, and an example.
    pub fn page(&self, class: &str) -> Option<&str> {
        self.pages.get(class).map(String::as_str)
    }

    /// The classes and fields whose events a message causes.
    pub fn events(&self, message: &Topic) -> &[Topic] {
        self.events.get(message).map_or(&[], Vec::as_slice)
    }

    /// The tools of this project that send `CLASS.message`.
    pub fn tools(&self, message: &str) -> &[String] {
        self.tools.get(message).map_or(&[], Vec::as_slice)
    }

    /// The unit of `CLASS.field`, or of `CLASS.message(argument)`.
    pub fn unit(&self, number: &str) -> Option<&str> {
        self.units.get(number).map(String::as_str)
    }
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
