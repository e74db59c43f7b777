//! What makes no sense in `ova.xml`.
//!
//! No checksum covers the text. A changed byte shows where a value cannot be what its field holds, where a reference
//! leads nowhere, or where an object has other fields than its siblings.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::ova::{Object, Ova, Value};

/// So many oddities are told at most.
const LIMIT: usize = 64;

/// The classes of objects that exports hold.
const CLASSES: [&str; 15] = [
    "host",
    "VM",
    "VM_metrics",
    "VM_guest_metrics",
    "VBD",
    "VIF",
    "network",
    "VDI",
    "SR",
    "VGPU_type",
    "VGPU",
    "GPU_group",
    "PVS_proxy",
    "PVS_site",
    "VTPM",
];

/// The tags of XML-RPC, as ocaml-rpc reads and writes them.
const TAGS: [&str; 17] = [
    "value",
    "struct",
    "member",
    "name",
    "array",
    "data",
    "boolean",
    "i4",
    "i8",
    "int",
    "double",
    "string",
    "nil",
    "dateTime.iso8601",
    "base64",
    "?xml",
    "!--",
];

/// Everything odd, each in a few words.
pub(crate) fn oddities(ova: &Ova) -> Vec<String> {
    let mut found = Vec::new();
    tags(ova.xml(), &mut found);
    let version = ova.version();
    if version.xapi_major.is_none() {
        found.push("the version of xapi is no number".to_owned());
    }
    let objects = ova.objects();
    let mut ids = HashSet::new();
    for object in &objects {
        if !CLASSES.contains(&object.class.as_str()) {
            found.push(format!("object {} has an unknown class", show(&object.id)));
        }
        if !ids.insert(object.id.as_str()) {
            found.push(format!("two objects are called {}", show(&object.id)));
        }
    }
    for object in &objects {
        values(object, &mut found);
        if found.len() > LIMIT {
            break;
        }
    }
    references(&objects, &ids, &mut found);
    fields(&objects, &mut found);
    found.truncate(LIMIT);
    found
}

/// A name as far as it can be shown.
fn show(name: &str) -> String {
    name.chars().filter(|char| !char.is_control()).take(64).collect()
}

/// Tags that nobody writes, and scalars that are not what their tag says.
fn tags(xml: &str, found: &mut Vec<String>) {
    for part in xml.split('<').skip(1) {
        let (tag, text) = part.split_once('>').unwrap_or((part, ""));
        let name = tag.trim_start_matches('/').trim_end_matches('/').trim_end();
        let name = name.split_ascii_whitespace().next().unwrap_or_default();
        if !TAGS
            .iter()
            .any(|known| *known == name || (known.starts_with(['?', '!']) && name.starts_with(known)))
        {
            found.push("a tag is unknown".to_owned());
        }
        let fits = match tag {
            "boolean" => matches!(text, "0" | "1"),
            "i4" | "i8" | "int" => text.parse::<i64>().is_ok(),
            "double" => text.parse::<f64>().is_ok(),
            "dateTime.iso8601" => is_date(text),
            _ => true,
        };
        if !fits {
            found.push(format!("a value is no {tag}"));
        }
        // xapi drops control characters and writes no others by number.
        let odd = |char: char| char.is_control() && !matches!(char, '\n' | '\r' | '\t');
        if text.contains(odd) || text.contains("&#") {
            found.push("a control character stands in a value".to_owned());
        }
        if found.len() > LIMIT {
            return;
        }
    }
}

/// `20091202T10:11:12Z`, with or without dashes and the last letter.
fn is_date(text: &str) -> bool {
    let Some((day, time)) = text.split_once('T') else {
        return false;
    };
    let day: Vec<u8> = day.bytes().filter(|&byte| byte != b'-').collect();
    let time = time.trim_end_matches('Z').as_bytes();
    let in_range = |digits: &[u8], low: u32, high: u32| {
        let number = str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
        digits.iter().all(u8::is_ascii_digit) && number.is_some_and(|number| (low..=high).contains(&number))
    };
    day.len() == 8
        && in_range(&day[..4], 1970, 9999)
        && in_range(&day[4..6], 1, 12)
        && in_range(&day[6..], 1, 31)
        && time.len() >= 8
        && (time[2], time[5]) == (b':', b':')
        && in_range(&time[..2], 0, 23)
        && in_range(&time[3..5], 0, 59)
        && in_range(&time[6..8], 0, 60)
}

fn values(object: &Object, found: &mut Vec<String>) {
    let Value::Struct(members) = &object.record else {
        found.push(format!("object {} has no record", show(&object.id)));
        return;
    };
    let numbers = ["virtual_size", "physical_utilisation", "memory_static_max", "VCPUs_max"];
    for (field, value) in members {
        let fits = match (field.as_str(), value.as_str()) {
            ("uuid", Some(uuid)) => uuid.is_empty() || is_uuid(uuid),
            ("mode", Some(mode)) if object.class == "VBD" => matches!(mode, "RO" | "RW"),
            ("type", Some(kind)) if object.class == "VBD" => matches!(kind, "Disk" | "CD" | "Floppy"),
            ("power_state", Some(state)) if object.class == "VM" => {
                matches!(state, "Halted" | "Paused" | "Running" | "Suspended")
            }
            (_, Some(_)) if numbers.contains(&field.as_str()) => value.as_i64().is_some_and(|number| number >= -1),
            _ => true,
        };
        if !fits {
            found.push(format!(
                "field {} of {} has an impossible value",
                show(field),
                show(&object.id)
            ));
        }
    }
}

/// References to objects that are not there. One of them is right: xapi gives the null reference an id of its own, which
/// many fields hold.
fn references(objects: &[Object], ids: &HashSet<&str>, found: &mut Vec<String>) {
    let mut nowhere: HashMap<&str, Vec<(&str, &str)>> = HashMap::new();
    for object in objects {
        let Value::Struct(members) = &object.record else {
            continue;
        };
        for (field, value) in members {
            let values = match value {
                Value::Array(values) => values.as_slice(),
                value => std::slice::from_ref(value),
            };
            for text in values.iter().filter_map(Value::as_str) {
                let counter = text.strip_prefix("Ref:");
                if counter.is_some_and(|counter| !counter.is_empty()) && !ids.contains(text) {
                    nowhere.entry(text).or_default().push((field, &object.id));
                }
            }
        }
    }
    let null = nowhere.iter().map(|(id, places)| (places.len(), *id)).max();
    let null = null.filter(|&(count, _)| count > 1).map(|(_, id)| id);
    let mut places: Vec<_> = nowhere
        .into_iter()
        .filter(|(id, _)| Some(*id) != null)
        .flat_map(|(_, places)| places)
        .collect();
    places.sort_unstable();
    for (field, id) in places.into_iter().take(LIMIT) {
        found.push(format!(
            "field {} of {} refers to an object that is not there",
            show(field),
            show(id)
        ));
    }
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// Objects of a class whose fields are not those of the others.
fn fields(objects: &[Object], found: &mut Vec<String>) {
    let mut classes: HashMap<&str, HashMap<BTreeSet<&str>, Vec<&str>>> = HashMap::new();
    for object in objects {
        if let Value::Struct(members) = &object.record {
            let names = members.iter().map(|(name, _)| name.as_str()).collect();
            let class = classes.entry(&object.class).or_default();
            class.entry(names).or_default().push(&object.id);
        }
    }
    for sets in classes.values().filter(|sets| sets.len() > 1) {
        let most = sets.values().map(Vec::len).max().unwrap_or(0);
        let mut odd: Vec<&str> = sets
            .values()
            .filter(|ids| ids.len() < most || most == 1)
            .flatten()
            .copied()
            .collect();
        odd.sort_unstable();
        let names = odd.iter().take(4).map(|id| show(id)).collect::<Vec<_>>().join(", ");
        found.push(format!("the fields of {names} are not those of others of their class"));
    }
    found.sort();
    found.dedup();
}
