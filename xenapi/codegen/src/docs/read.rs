//! Reads the files of sentences and lists.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::{Docs, DocsError, Topic, topics};
use crate::expand;
use crate::model::Datamodel;

/// What a paragraph about events begins with.
const EVENTS: &str = "Events: ";

/// The code of an example, which runs on a simulated pool, is fenced with this.
const EXAMPLE: &str = "```pool";

pub(super) struct Reader<'a> {
    model: &'a Datamodel,
    known: BTreeSet<Topic>,
    pub(super) docs: Docs,
}

/// The text below a heading, and where it begins.
struct Section {
    topic: Topic,
    line: usize,
    body: String,
}

impl<'a> Reader<'a> {
    pub(super) fn new(model: &'a Datamodel) -> Self {
        Self {
            model,
            known: topics(model),
            docs: Docs::default(),
        }
    }

    /// Reads a file whose headings `#` and `##` each name a topic.
    pub(super) fn texts(
        &mut self,
        path: PathBuf,
        topic: impl Fn(Option<&str>, &str) -> Topic,
    ) -> Result<(), DocsError> {
        let text = read(&path)?;
        let mut parent: Option<String> = None;
        let mut current: Option<Section> = None;
        let mut code = false;
        for (line, text) in text.lines().enumerate().map(|(index, text)| (index + 1, text)) {
            code ^= text.starts_with("```");
            let next = if code {
                None
            } else if let Some(heading) = text.strip_prefix("# ") {
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
                    self.keep(&path, current.take())?;
                    self.docs.texts.insert(topic.clone(), String::new());
                    current = Some(Section {
                        topic,
                        line,
                        body: String::new(),
                    });
                }
                (None, Some(section)) => {
                    section.body.push_str(text);
                    section.body.push('\n');
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
        self.keep(&path, current)
    }

    fn keep(&mut self, path: &Path, section: Option<Section>) -> Result<(), DocsError> {
        let Some(Section { topic, line, body }) = section else {
            return Ok(());
        };
        let mut text = body.trim();
        match &topic {
            Topic::Class(class) => {
                if let Some(fence) = text.find("```") {
                    self.docs.pages.insert(class.clone(), page(&text[fence..]));
                    text = &text[..fence];
                }
            }
            Topic::Message(class, _) => {
                if let Some(start) = text.rfind(EVENTS).filter(|start| text[..*start].ends_with("\n\n")) {
                    let events = self.events(class, &text[start + EVENTS.len()..]);
                    let events = events.map_err(|heading| DocsError::Heading {
                        path: path.to_owned(),
                        line,
                        heading,
                    })?;
                    self.docs.events.insert(topic.clone(), events);
                    text = &text[..start];
                }
            }
            _ => {}
        }
        self.docs.texts.insert(topic, text.trim().to_owned());
        Ok(())
    }

    /// The classes and fields of a list such as `VM.power_state, VBD, task.`; a bare field is one of this class.
    fn events(&self, class: &str, list: &str) -> Result<Vec<Topic>, String> {
        let topic = |name: &str| {
            let topic = match name.split_once('.') {
                Some((class, field)) => Topic::Field(class.to_owned(), field.to_owned()),
                None if self.known.contains(&Topic::Class(name.to_owned())) => Topic::Class(name.to_owned()),
                None => Topic::Field(class.to_owned(), name.to_owned()),
            };
            self.known
                .contains(&topic)
                .then_some(topic)
                .ok_or_else(|| name.to_owned())
        };
        list.trim_end_matches('.')
            .split(',')
            .map(|name| topic(name.trim()))
            .collect()
    }

    /// Reads a file whose headings are units, with a list of numbers below each.
    pub(super) fn units(&mut self, path: PathBuf) -> Result<(), DocsError> {
        let known = numbers(self.model);
        list(path, &known, |unit, number| {
            self.docs.units.insert(number.to_owned(), unit.to_owned()).is_none()
        })
    }

    /// Reads a file whose headings are tools, with a list of the messages that each sends.
    pub(super) fn tools(&mut self, path: PathBuf) -> Result<(), DocsError> {
        let known = messages(self.model);
        list(path, &known, |tool, message| {
            let tools = self.docs.tools.entry(message.to_owned()).or_default();
            let new = !tools.iter().any(|known| known == tool);
            tools.push(tool.to_owned());
            new
        })
    }
}

/// Reads a list below each heading; `keep` says whether it is new.
fn list(path: PathBuf, known: &BTreeSet<String>, mut keep: impl FnMut(&str, &str) -> bool) -> Result<(), DocsError> {
    let text = read(&path)?;
    let mut parent = None;
    for (line, text) in text.lines().enumerate().map(|(index, text)| (index + 1, text)) {
        if let Some(heading) = text.strip_prefix("# ") {
            parent = Some(heading);
            continue;
        }
        let Some(item) = text.strip_prefix("- ") else {
            continue;
        };
        let heading = item.to_owned();
        match parent {
            Some(parent) if known.contains(item) => {
                if !keep(parent, item) {
                    return Err(DocsError::Twice { path, line, heading });
                }
            }
            _ => return Err(DocsError::Heading { path, line, heading }),
        }
    }
    Ok(())
}

/// The page of a class, with the simulated pool that its example runs on in hidden lines.
fn page(text: &str) -> String {
    let mut page = String::new();
    let mut example = false;
    for line in text.lines() {
        if line == EXAMPLE {
            example = true;
            page.push_str(
                "```\n\
                 # #[tokio::main(flavor = \"current_thread\")]\n\
                 # async fn main() -> Result<(), Box<dyn std::error::Error>> {\n\
                 # let simulator = xenapi_sim::Simulator::builder().hosts(1).vms(3).build()?;\n\
                 # let pool = xenapi::Client::connect(simulator.url()).transport(simulator.transport())\
                 .login(\"root\", \"xensource\").await?;\n",
            );
            continue;
        }
        if example && line == "```" {
            example = false;
            page.push_str("# Ok(()) }\n");
        }
        page.push_str(line);
        page.push('\n');
    }
    page.trim_end().to_owned()
}

/// The files of a folder, in order.
pub(super) fn files(folder: &Path) -> Result<Vec<PathBuf>, DocsError> {
    let io = |source| DocsError::Io {
        path: folder.to_owned(),
        source,
    };
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(io)? {
        paths.push(entry.map_err(io)?.path());
    }
    paths.sort();
    Ok(paths)
}

fn read(path: &Path) -> Result<String, DocsError> {
    fs::read_to_string(path).map_err(|source| DocsError::Io {
        path: path.to_owned(),
        source,
    })
}

/// Every message by its wire name.
fn messages(model: &Datamodel) -> BTreeSet<String> {
    let of = |class| expand::messages(class).into_iter();
    let all = model.classes.iter().map(|class| (class, of(class)));
    all.flat_map(|(class, all)| all.map(move |message| format!("{}.{}", class.name, message.name)))
        .collect()
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
