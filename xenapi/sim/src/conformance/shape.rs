//! Whether values are what the datamodel says, and what the server's release explains.

use xenapi::{DateTime, ToValue as _, Value};

use super::host::Host;
use crate::datamodel::Type;
use crate::schema::{self, ClassInfo};

/// The release of xapi that the datamodel is from.
pub(crate) const RELEASE: (u32, u32) = (26, 17);

/// How many problems are told.
const MOST_TOLD: usize = 10;

/// What the server's release makes of differences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Age {
    Older,
    Same,
    Newer,
    /// It does not tell its release, so every difference is explained.
    Unknown,
}

impl Age {
    pub(super) async fn of(host: &Host) -> Result<Self, String> {
        let coordinator = host.coordinator().await?;
        let versions = host.call("host.get_software_version", [coordinator.to_value()]).await?;
        let release = |name: &str| {
            let mut parts = versions.get(name)?.as_str()?.split('.').map(str::parse::<u32>);
            Some((parts.next()?.ok()?, parts.next()?.ok()?))
        };
        Ok(match release("xapi_build").or_else(|| release("xapi")) {
            None => Self::Unknown,
            Some(release) if release < RELEASE => Self::Older,
            Some(release) if release > RELEASE => Self::Newer,
            Some(_) => Self::Same,
        })
    }

    /// Whether the server can know what the datamodel does not.
    pub(super) fn may_know_more(self) -> bool {
        matches!(self, Self::Newer | Self::Unknown)
    }

    /// Whether the server can lack what the datamodel has.
    pub(super) fn may_know_less(self) -> bool {
        matches!(self, Self::Older | Self::Unknown)
    }
}

/// Collects what differs from the datamodel.
#[derive(Debug)]
pub(super) struct Inspection {
    pub(super) age: Age,
    problems: Vec<String>,
    notes: Vec<String>,
}

impl Inspection {
    pub(super) fn new(age: Age) -> Self {
        Self {
            age,
            problems: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// What was found: notes, or the problems in one text.
    pub(super) fn found(self) -> super::Found {
        if self.problems.is_empty() {
            return Ok(self.notes);
        }
        let more = self.problems.len().saturating_sub(MOST_TOLD);
        let told: Vec<_> = self.problems.into_iter().take(MOST_TOLD).collect();
        let rest = if more == 0 {
            String::new()
        } else {
            format!("; and {more} more")
        };
        Err(format!("{}{rest}", told.join("; ")))
    }

    pub(super) fn problem(&mut self, problem: String) {
        push(&mut self.problems, problem);
    }

    /// Something that the datamodel lacks.
    pub(super) fn unknown(&mut self, what: String) {
        let list = if self.age.may_know_more() {
            &mut self.notes
        } else {
            &mut self.problems
        };
        push(list, format!("{what} is not in the datamodel"));
    }

    /// Something that the server lacks.
    pub(super) fn absent(&mut self, what: String) {
        let list = if self.age.may_know_less() {
            &mut self.notes
        } else {
            &mut self.problems
        };
        push(list, format!("the server does not have {what}"));
    }

    /// Looks at a record of a class.
    pub(super) fn record(&mut self, info: &ClassInfo, record: &Value) {
        let class = info.name();
        let Some(members) = record.as_struct() else {
            return self.problem(format!("a record of {class} is {record:?}"));
        };
        for (name, value) in members {
            match info.field(name) {
                Some(at) => self.value(&format!("{class}.{name}"), info.fields()[at].ty, value),
                None => self.unknown(format!("{class}.{name}")),
            }
        }
        for field in info.fields().iter().filter(|field| !field.internal) {
            let optional = matches!(field.ty, Type::Option(_));
            if !optional && record.get(field.name).is_none() {
                self.absent(format!("{class}.{}", field.name));
            }
        }
    }

    fn value(&mut self, place: &str, ty: Type, value: &Value) {
        let fits = match ty {
            Type::String | Type::Ref(_) => value.as_str().is_some(),
            Type::Int => value.as_int().is_some(),
            Type::Float => value.as_float().is_some(),
            Type::Bool => value.as_bool().is_some(),
            Type::DateTime => match value {
                Value::DateTime(_) => true,
                other => other.as_str().is_some_and(|text| text.parse::<DateTime>().is_ok()),
            },
            Type::Enum(name) => match value.as_str() {
                Some(text) if schema::enum_values(name).contains(&text) => true,
                Some(text) => return self.unknown(format!("{place}: the value {text:?} of {name}")),
                None => false,
            },
            Type::Set(item) => match value.as_array() {
                Some(items) => return items.iter().for_each(|value| self.value(place, *item, value)),
                None => false,
            },
            Type::Map(_, item) => match value.as_struct() {
                Some(entries) => return entries.iter().for_each(|(_, value)| self.value(place, *item, value)),
                None => false,
            },
            Type::Option(_) if *value == Value::Null => true,
            Type::Option(inner) => return self.value(place, *inner, value),
            Type::Record(name) => match schema::class(name) {
                Some(info) => return self.record(info, value),
                None => value.as_struct().is_some(),
            },
        };
        if !fits {
            self.problem(format!("{place} is {value:?} and should be {ty:?}"));
        }
    }
}

/// Adds what was not said before.
fn push(list: &mut Vec<String>, text: String) {
    if !list.contains(&text) {
        list.push(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an inspection finds in a VM with one field changed.
    fn with(age: Age, field: &str, value: Value) -> super::super::Found {
        let info = schema::class("VM").unwrap();
        let fields = info.fields().iter().filter(|field| !field.internal);
        let mut members: Vec<_> = fields
            .map(|field| (field.name.to_owned(), schema::initial(field)))
            .filter(|(name, _)| name != field)
            .collect();
        members.push((field.to_owned(), value));
        let mut inspection = Inspection::new(age);
        inspection.record(info, &Value::Struct(members));
        inspection.found()
    }

    #[test]
    fn differences_are_problems_unless_the_release_explains_them() {
        let flying = || "Flying".to_value();
        assert_eq!(with(Age::Same, "name_label", "web".to_value()), Ok(Vec::new()));
        assert!(with(Age::Same, "power_state", flying()).is_err());
        assert!(with(Age::Older, "power_state", flying()).is_err());
        assert_eq!(with(Age::Newer, "power_state", flying()).unwrap().len(), 1);
        assert!(with(Age::Same, "wings", Value::Int(2)).is_err());
        assert_eq!(with(Age::Newer, "wings", Value::Int(2)).unwrap().len(), 1);
        assert!(with(Age::Newer, "VCPUs_max", "many".to_value()).is_err());
    }
}
