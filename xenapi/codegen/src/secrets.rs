//! Fields that hold what must not be printed.

use crate::model::{Field, Type};

/// Class, field, and what it holds.
const FIELDS: [(&str, &str, &str); 8] = [
    ("secret", "value", "the secret itself"),
    ("Cluster", "cluster_token", "the key of the cluster's own traffic"),
    ("vdi_nbd_server_info", "exportname", "a session that can read the disk"),
    ("PBD", "device_config", "the storage's password"),
    ("probe_result", "configuration", "the storage's password"),
    ("host", "external_auth_configuration", "the directory's password"),
    ("host", "power_on_config", "the password of the power controller"),
    ("VMPP", "archive_target_config", "the archive's password"),
];

/// What must not be printed of a field, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hidden {
    /// All of it, because it is this.
    Whole(&'static str),
    /// The values of some keys of a map, because this may be among them.
    Some(&'static str),
}

/// What must not be printed of this field of a class; `None` where nothing is known to be secret.
pub fn hidden(class: &str, field: &Field) -> Option<Hidden> {
    let known = FIELDS.iter().find(|known| (known.0, known.1) == (class, &field.name))?;
    Some(if matches!(field.ty, Type::Map(..)) {
        Hidden::Some(known.2)
    } else {
        Hidden::Whole(known.2)
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::store;

    #[test]
    fn the_datamodel_has_all_of_them() {
        let model = store::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../datamodel")).unwrap();
        let found = model
            .classes
            .iter()
            .flat_map(|class| class.fields.iter().filter(|field| hidden(&class.name, field).is_some()));
        assert_eq!(found.count(), FIELDS.len());
    }
}
