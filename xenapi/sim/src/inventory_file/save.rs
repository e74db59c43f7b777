//! Writing the file.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use xenapi::{ToValue, Value};

use super::{FORMAT, InventoryError, disks, is_omitted, is_password, is_volatile};
use crate::db::Row;
use crate::schema::{self, CLASS_INFOS, ClassInfo};
use crate::state::{Shared, State};

/// Writes a pool to a file, and what was written to its disks to files beside it.
pub(crate) fn save(shared: &Shared, path: &Path) -> Result<(), InventoryError> {
    // The files are written without the pool standing still.
    let (hosts, classes, images) = shared.with(|state| (state.hosts.clone(), classes(state), disks::all(state)));
    let document = Value::Struct(vec![
        ("format".to_owned(), FORMAT.to_value()),
        ("hosts".to_owned(), hosts.to_value()),
        ("classes".to_owned(), Value::Struct(classes)),
        ("disks".to_owned(), Value::Struct(disks::save(&images, path)?)),
    ]);
    let failure = |source| InventoryError::Write {
        path: path.to_owned(),
        source,
    };
    let mut file = BufWriter::new(File::create(path).map_err(failure)?);
    serde_json::to_writer_pretty(&mut file, &document).map_err(|error| failure(error.into()))?;
    file.write_all(b"\n").and_then(|()| file.flush()).map_err(failure)
}

fn classes(state: &State) -> Vec<(String, Value)> {
    let kept = CLASS_INFOS.iter().filter(|info| !is_volatile(info));
    kept.filter_map(|info| {
        let table = state.db.table(info);
        let rows = table.refs().filter_map(|reference| {
            let row = table.get(reference)?;
            Some((reference.to_string(), Value::Struct(fields(info, row))))
        });
        let rows: Vec<_> = rows.collect();
        (!rows.is_empty()).then(|| (info.name().to_owned(), Value::Struct(rows)))
    })
    .collect()
}

/// The fields that say something.
fn fields(info: &ClassInfo, row: &Row) -> Vec<(String, Value)> {
    info.fields()
        .iter()
        .zip(row.values())
        .filter(|(field, value)| !is_omitted(info, field) && **value != schema::initial(field))
        .map(|(field, value)| (field.name.to_owned(), without_passwords(value)))
        .collect()
}

fn without_passwords(value: &Value) -> Value {
    match value {
        Value::Struct(entries) => Value::Struct(entries.iter().filter(|(key, _)| !is_password(key)).cloned().collect()),
        other => other.clone(),
    }
}
