//! `event.from`, `event.next` and `event.inject`.

use std::sync::LazyLock;

use xenapi::{ToValue, Value};

use crate::class_order::CLASS_ORDER;
use crate::db::{Database, Row};
use crate::error::{ApiError, Result};
use crate::schema::{self, CLASS_INFOS, ClassInfo};

/// Where a listener is: the generations of the database and of the messages that it knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    database: Option<u64>,
    messages: Option<u64>,
}

impl Token {
    /// Reads the token of a client; empty text is the beginning, before everything.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        if text.is_empty() {
            return Ok(Self {
                database: None,
                messages: None,
            });
        }
        let failure = || ApiError::new("EVENT_FROM_TOKEN_PARSE_FAILURE", [text]);
        let (database, messages) = text.split_once(',').ok_or_else(failure)?;
        let number = |text: &str| text.parse().ok().map(Some).ok_or_else(failure);
        Ok(Self {
            database: number(database)?,
            messages: number(messages)?,
        })
    }

    /// Here and now.
    pub(crate) fn now(db: &Database) -> Self {
        Self {
            database: Some(db.generation()),
            messages: Some(db.generation()),
        }
    }

    pub(crate) fn text(self) -> String {
        format!(
            "{:020},{:020}",
            self.database.unwrap_or_default(),
            self.messages.unwrap_or_default()
        )
    }
}

/// What a listener wants to hear of.
#[derive(Clone, Debug)]
pub(crate) enum Filter {
    All,
    Class(&'static ClassInfo),
    Object(&'static ClassInfo, String),
    /// A class that does not exist: nothing ever happens to it.
    Nothing,
}

impl Filter {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let class = |name: &str| schema::class_by_event_name(name);
        match (text, text.split_once('/')) {
            ("", _) => Err(ApiError::new("EVENT_SUBSCRIPTION_PARSE_FAILURE", [text])),
            ("*", _) => Ok(Self::All),
            (name, None) => Ok(class(name).map_or(Self::Nothing, Self::Class)),
            (_, Some((name, reference))) => {
                Ok(class(name).map_or(Self::Nothing, |info| Self::Object(info, reference.to_owned())))
            }
        }
    }

    /// Whether both mean the same.
    pub(crate) fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::All, Self::All) => true,
            (Self::Class(one), Self::Class(two)) => one.index == two.index,
            (Self::Object(one, left), Self::Object(two, right)) => one.index == two.index && left == right,
            _ => false,
        }
    }

    fn covers_class(&self, info: &ClassInfo) -> bool {
        match self {
            Self::All => true,
            Self::Class(wanted) | Self::Object(wanted, _) => wanted.index == info.index,
            Self::Nothing => false,
        }
    }

    fn covers(&self, info: &ClassInfo, reference: &str) -> bool {
        self.covers_class(info) && !matches!(self, Self::Object(_, wanted) if wanted != reference)
    }
}

/// The state of `event.register` in one session.
#[derive(Clone, Debug)]
pub(crate) struct Subscription {
    pub(crate) filters: Vec<Filter>,
    pub(crate) token: Token,
    /// More happened than the server keeps.
    pub(crate) overflowed: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    Add,
    Mod,
    Del,
}

impl Change {
    const fn name(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Mod => "mod",
            Self::Del => "del",
        }
    }
}

/// All that happened since a token: messages first, then additions, modifications and deletions.
pub(crate) fn since(db: &Database, token: Token, filters: &[Filter]) -> Vec<Value> {
    let mut events = [const { Vec::new() }; 4];
    let classes = CLASS_INFOS
        .iter()
        .filter(|info| info.class.gen_events && info.name() != "role");
    for info in classes.filter(|info| filters.iter().any(|filter| filter.covers_class(info))) {
        let wanted = |reference: &str| filters.iter().any(|filter| filter.covers(info, reference));
        let is_message = !info.class.in_database;
        let known = if is_message { token.messages } else { token.database };
        let changed = db.table(info).changed_since(known).into_iter();
        for (reference, row) in changed.filter(|(reference, _)| wanted(reference)) {
            let change = change(row, known);
            let id = if is_message { 0 } else { row.modified };
            let event = event(info, id, change, reference, db.record(info, reference));
            events[if is_message { 0 } else { change as usize + 1 }].push((id, event));
        }
        let Some(known) = known else { continue };
        for gone in db.table(info).deleted_since(known) {
            if gone.created <= known && wanted(&gone.reference) {
                let id = if is_message { 0 } else { gone.deleted };
                events[3].push((id, event(info, id, Change::Del, &gone.reference, None)));
            }
        }
    }
    // Modifications and deletions come in the order in which they happened; a full list stays grouped by class.
    events[2].sort_by_key(|(id, _)| *id);
    events[3].sort_by_key(|(id, _)| *id);
    events.into_iter().flatten().map(|(_, event)| event).collect()
}

/// What happened to a row that was written after the generation that is known.
fn change(row: &Row, known: Option<u64>) -> Change {
    if known.is_some_and(|known| row.created <= known) {
        Change::Mod
    } else {
        Change::Add
    }
}

fn event(info: &ClassInfo, id: u64, change: Change, reference: &str, snapshot: Option<Value>) -> Value {
    let mut members = vec![
        ("id".to_owned(), id.to_string().to_value()),
        ("timestamp".to_owned(), "0.0".to_value()),
        ("class".to_owned(), info.event_name.to_value()),
        ("operation".to_owned(), change.name().to_value()),
        ("ref".to_owned(), reference.to_value()),
    ];
    members.extend(snapshot.map(|snapshot| ("snapshot".to_owned(), snapshot)));
    Value::Struct(members)
}

/// The names of the classes as `valid_ref_counts` has them, in its order, with the classes that are counted.
static COUNTED: LazyLock<Vec<(String, Option<&'static ClassInfo>)>> = LazyLock::new(|| {
    let mut names = CLASS_ORDER;
    names.sort_by_key(|&name| std::cmp::Reverse(name));
    let counted = |name: &str| schema::class(name).filter(|info| info.has_rows());
    names.map(|name| (name.to_ascii_lowercase(), counted(name))).into()
});

/// How many objects of each class there are, by the names that events use; messages and roles are never counted.
fn valid_ref_counts(db: &Database) -> Value {
    let count = |info: &&'static ClassInfo| i64::try_from(db.table(info).len()).unwrap_or(i64::MAX);
    let entries = COUNTED.iter();
    Value::Struct(
        entries
            .map(|(name, info)| (name.clone(), Value::Int(info.as_ref().map_or(0, count))))
            .collect(),
    )
}

/// The answer of `event.from`.
pub(crate) fn batch(db: &Database, events: Vec<Value>) -> Value {
    Value::Struct(vec![
        ("events".to_owned(), Value::Array(events)),
        ("valid_ref_counts".to_owned(), valid_ref_counts(db)),
        ("token".to_owned(), Token::now(db).text().to_value()),
    ])
}
