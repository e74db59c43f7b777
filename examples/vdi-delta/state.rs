//! What a folder is a copy of.

use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::Context;
use serde_json::{Value, json};

/// The name of the file beside the copy.
const NAME: &str = "vdi-delta.json";

/// What a folder is a copy of.
#[derive(Debug)]
pub(crate) struct State {
    /// The UUID of the disk.
    pub(crate) vdi: String,
    /// The UUID of the snapshot whose content the copy has, or was to get.
    pub(crate) snapshot: String,
    /// UUIDs of older snapshots, which go once the copy is whole.
    pub(crate) outdated: Vec<String>,
    /// The disk's size in bytes.
    pub(crate) size: u64,
    /// Whether the copy has all of it: not while one is being made.
    pub(crate) is_whole: bool,
}

impl State {
    /// What the folder says; nothing where it holds no copy.
    pub(crate) fn read(folder: &Path) -> anyhow::Result<Option<Self>> {
        let path = folder.join(NAME);
        let cannot = || format!("cannot read {}", path.display());
        match File::open(&path) {
            Ok(file) => {
                let value = serde_json::from_reader(file).with_context(cannot)?;
                Self::of(&value).with_context(cannot).map(Some)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(cannot),
        }
    }

    fn of(value: &Value) -> anyhow::Result<Self> {
        let text = |name: &str| {
            let text = value[name].as_str().with_context(|| format!("{name} is missing"));
            text.map(str::to_owned)
        };
        Ok(Self {
            vdi: text("vdi")?,
            snapshot: text("snapshot")?,
            outdated: value["outdated"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|uuid| uuid.as_str().map(str::to_owned))
                .collect(),
            size: value["size_bytes"].as_u64().context("size_bytes is missing")?,
            is_whole: value["is_whole"].as_bool().context("is_whole is missing")?,
        })
    }

    /// Writes it in one piece: a crash leaves the old or the new one.
    pub(crate) fn write(&self, folder: &Path) -> anyhow::Result<()> {
        let path = folder.join(NAME);
        let cannot = || format!("cannot write {}", path.display());
        let mut file = tempfile::NamedTempFile::new_in(folder).with_context(cannot)?;
        let value = json!({
            "vdi": self.vdi, "snapshot": self.snapshot, "outdated": self.outdated, "size_bytes": self.size,
            "is_whole": self.is_whole,
        });
        serde_json::to_writer_pretty(&mut file, &value).with_context(cannot)?;
        file.as_file().sync_all().with_context(cannot)?;
        file.persist(&path).with_context(cannot)?;
        Ok(())
    }
}
