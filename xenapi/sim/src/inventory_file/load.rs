//! Reading the file.

use std::fs;
use std::hash::Hasher as _;
use std::path::Path;

use twox_hash::XxHash64;
use xenapi::Value;

use super::disks::Loader;
use super::{FORMAT, InventoryError, is_volatile};
use crate::ids::Ids;
use crate::inventory;
use crate::schema::{self, ClassInfo};
use crate::state::State;

/// Fills an empty pool from a file.
pub(crate) fn load(state: &mut State, path: &Path) -> Result<(), InventoryError> {
    let text = fs::read_to_string(path).map_err(|source| InventoryError::Read {
        path: path.to_owned(),
        source,
    })?;
    let document: Value = serde_json::from_str(&text).map_err(|error| InventoryError::Syntax {
        path: path.to_owned(),
        reason: error.to_string(),
    })?;
    let file = Reader { path, document };
    file.check_format()?;
    file.read_classes(state)?;
    file.read_hosts(state)?;
    file.read_disks(state)?;
    // What is made from now on must not get the names of what was made before.
    let mut hash = XxHash64::with_seed(state.config.seed);
    hash.write(text.as_bytes());
    state.ids = Ids::new(hash.finish());
    inventory::add_subjects(state);
    state.drop_operations();
    Ok(())
}

struct Reader<'a> {
    path: &'a Path,
    document: Value,
}

impl Reader<'_> {
    fn error(&self, place: impl Into<String>, reason: impl Into<String>) -> InventoryError {
        InventoryError::Content {
            path: self.path.to_owned(),
            place: place.into(),
            reason: reason.into(),
        }
    }

    fn check_format(&self) -> Result<(), InventoryError> {
        match self.document.get("format").and_then(Value::as_str) {
            Some(FORMAT) => Ok(()),
            _ => Err(self.error("format", format!("expected {FORMAT:?}"))),
        }
    }

    /// The members of an object at the top.
    fn section(&self, name: &str) -> Result<&[(String, Value)], InventoryError> {
        let section = self.document.get(name).and_then(Value::as_struct);
        section.ok_or_else(|| self.error(name, "expected an object"))
    }

    fn read_classes(&self, state: &mut State) -> Result<(), InventoryError> {
        for (name, rows) in self.section("classes")? {
            let info = schema::class(name).filter(|info| !is_volatile(info));
            let info = info.ok_or_else(|| self.error(name, "no class that an inventory can have"))?;
            let rows = rows
                .as_struct()
                .ok_or_else(|| self.error(name, "expected an object with references"))?;
            for (reference, fields) in rows {
                let values = self.row(info, reference, fields)?;
                state.db.restore(info, reference, values);
            }
        }
        state.db.relink();
        Ok(())
    }

    fn row(&self, info: &ClassInfo, reference: &str, fields: &Value) -> Result<Vec<Value>, InventoryError> {
        let place = || format!("{} {reference}", info.name());
        let fields = fields
            .as_struct()
            .ok_or_else(|| self.error(place(), "expected an object with fields"))?;
        let mut values: Vec<_> = info.fields().iter().map(schema::initial).collect();
        for (name, value) in fields {
            let place = || format!("{}, {name}", place());
            let at = info.field(name).ok_or_else(|| self.error(place(), "no such field"))?;
            values[at] = schema::convert(info.fields()[at].ty, value)
                .map_err(|error| self.error(place(), error.params.join(" ")))?;
        }
        Ok(values)
    }

    fn read_hosts(&self, state: &mut State) -> Result<(), InventoryError> {
        let hosts = self.document.get("hosts").and_then(Value::as_array);
        let hosts = hosts.filter(|hosts| !hosts.is_empty());
        let hosts = hosts.ok_or_else(|| self.error("hosts", "expected at least one reference"))?;
        for host in hosts {
            let known = host.as_str().filter(|host| state.db.exists("host", host));
            let known = known.ok_or_else(|| self.error("hosts", format!("there is no host {host:?}")))?;
            state.hosts.push(known.to_owned());
        }
        if state.hosts.len() != state.db.count("host") {
            return Err(self.error("hosts", "expected each host once"));
        }
        if state.db.count("pool") != 1 {
            return Err(self.error("pool", "expected exactly one"));
        }
        let master = state.db.text("pool", &state.pool(), "master");
        let coordinator = state.hosts.iter().position(|host| *host == master);
        state.coordinator = coordinator.ok_or_else(|| self.error("pool, master", "it is no host of the pool"))?;
        for (number, host) in state.hosts.clone().iter().enumerate() {
            state.set_address(host, &inventory::address(number));
        }
        let domids = state
            .db
            .refs("VM")
            .into_iter()
            .map(|vm| state.db.int("VM", &vm, "domid"));
        state.last_domid = domids.max().unwrap_or_default().max(0);
        Ok(())
    }

    fn read_disks(&self, state: &mut State) -> Result<(), InventoryError> {
        let mut loader = Loader::new(self.path);
        for (vdi, described) in self.section("disks")? {
            let place = || format!("disks, {vdi}");
            if !state.db.exists("VDI", vdi) {
                return Err(self.error(place(), "there is no such VDI"));
            }
            let image = loader.image(described)?;
            let image = image.map_err(|reason| self.error(place(), reason))?;
            state.images.insert(vdi.clone(), image.into());
        }
        Ok(())
    }
}
