//! Checks of objects and their fields.

use xenapi::{ToValue, Value};

use super::host::Host;
use super::shape::{Age, Inspection};
use super::{Found, ensure};
use crate::datamodel::Operation;
use crate::schema::CLASS_INFOS;

/// How many objects of a class are asked for their fields.
const SAMPLES: usize = 2;

pub(super) async fn all(host: &Host) -> Found {
    let mut inspection = Inspection::new(Age::of(host).await?);
    let listed = CLASS_INFOS.iter().filter(|info| {
        let mut messages = info.class.messages.iter();
        messages.any(|message| message.operation == Operation::GetAllRecords && !message.removed)
    });
    for info in listed {
        let method = format!("{}.get_all_records", info.name());
        match host.attempt(&method, Vec::new()).await? {
            Ok(Value::Struct(records)) => {
                for (_, record) in &records {
                    inspection.record(info, record);
                }
            }
            Ok(other) => inspection.problem(format!("{method} answered {other:?}")),
            Err(error) if error[0] == "MESSAGE_METHOD_UNKNOWN" => inspection.absent(method),
            Err(error) => inspection.problem(format!("{method} failed with {error:?}")),
        }
    }
    inspection.found()
}

pub(super) async fn getters(host: &Host) -> Found {
    for (class, fields) in [
        ("VM", ["uuid", "is_a_template", "VCPUs_max"]),
        ("host", ["uuid", "hostname", "enabled"]),
        ("SR", ["uuid", "type", "shared"]),
        ("network", ["uuid", "bridge", "MTU"]),
    ] {
        let records = host.call(&format!("{class}.get_all_records"), []).await?;
        for (reference, record) in records.as_struct().unwrap_or_default().iter().take(SAMPLES) {
            for field in fields {
                let getter = format!("{class}.get_{field}");
                let value = host.call(&getter, [reference.to_value()]).await?;
                ensure(record.get(field) == Some(&value), || {
                    format!("{getter} answered {value:?}, the record {:?}", record.get(field))
                })?;
            }
            let uuid = record.get("uuid").cloned().unwrap_or_default();
            let found = host.call(&format!("{class}.get_by_uuid"), [uuid]).await?;
            ensure(found.as_str() == Some(reference), || {
                format!("{class}.get_by_uuid of {reference} answered {found:?}")
            })?;
        }
    }
    Ok(Vec::new())
}
