//! Any metadata in any archive: an edit leaves metadata that is read again, what was set is there, nothing else moved,
//! and packing it anew neither panics nor loses a disk.
#![no_main]

use libfuzzer_sys::fuzz_target;
use xva::Reader;
use xva::edit::{OvaEditor, repack_with};

/// A class, a field, a value, some metadata and an archive.
type Input<'a> = (u8, u8, &'a str, &'a str, &'a [u8]);

const CLASSES: [&str; 5] = ["VM", "VIF", "VDI", "network", "SR"];
const FIELDS: [&str; 6] = ["name_label", "MAC", "uuid", "other_config", "VBDs", "memory_static_max"];

fuzz_target!(|input: Input<'_>| {
    let (class, field, value, xml, archive) = input;
    let class = CLASSES[usize::from(class) % CLASSES.len()];
    let field = FIELDS[usize::from(field) % FIELDS.len()];
    if let Ok(mut editor) = OvaEditor::new(xml) {
        edit(&mut editor, class, field, value);
        let edited = editor.xml().to_owned();
        if editor.finish().is_ok() {
            OvaEditor::new(edited).expect("what was written is read again");
        }
    }
    let mut output = Vec::new();
    let packed = repack_with(archive, &mut output, |editor| {
        edit(editor, class, field, value);
        Ok(())
    });
    if let Ok(length) = packed {
        assert_eq!(length, output.len() as u64);
        let before = Reader::new(archive).finish().map(|summary| summary.disks.len());
        let after = Reader::new(&output[..]).finish().map(|summary| summary.disks.len());
        assert_eq!(before.ok(), after.ok());
    }
});

fn edit(editor: &mut OvaEditor, class: &str, field: &str, value: &str) {
    let Ok(ids) = editor.ids(class) else {
        return;
    };
    for id in ids {
        let before = editor.xml().to_owned();
        if editor.set(class, &id, field, value).is_err() {
            assert_eq!(before, editor.xml(), "a refused edit changes nothing");
        }
        let _ = editor.set_entry(class, &id, field, "key", value);
        let _ = editor.remove_entry(class, &id, field, "key");
        let _ = editor.rename_vm(&id, value);
        let _ = editor.set_memory(&id, value.len() as u64);
        let _ = editor.set_mac(&id, value);
    }
}
