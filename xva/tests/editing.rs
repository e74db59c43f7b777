//! Metadata that is changed, and archives that are copied with it.

mod common;

use std::io;

use common::{Builder, FLAVOURS, Flavour, Hash, Trickle, noise, object, ova, read, sparse};
use proptest::prelude::*;
use xva::edit::{EditError, OvaEditor, repack, repack_with};
use xva::ova::Ova;
use xva::write::{Compressor, VifSpec, VmSpec, Writer};
use xva::{Compression, Error, Reader};

fn metadata() -> String {
    let vm = VmSpec::<Vec<u8>>::new("before")
        .other_config("backup", "yes")
        .vif(VifSpec::new("LAN").bridge("xenbr0"));
    Writer::new(vm).plan().unwrap().ova_xml().to_owned()
}

fn text(ova: &Ova, class: &str, field: &str) -> String {
    let objects = ova.objects();
    let object = objects.iter().find(|object| object.class == class).unwrap();
    object.record.get(field).unwrap().as_str().unwrap().to_owned()
}

/// Where two texts differ: the first text's part and the second text's.
fn difference<'a>(a: &'a str, b: &'a str) -> (&'a str, &'a str) {
    let front = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    let back = a[front..]
        .bytes()
        .rev()
        .zip(b[front..].bytes().rev())
        .take_while(|(a, b)| a == b)
        .count();
    (&a[front..a.len() - back], &b[front..b.len() - back])
}

#[test]
fn only_the_value_changes() {
    let xml = metadata();
    let mut editor = OvaEditor::new(&xml[..]).unwrap();
    let vm = editor.ids("VM").unwrap().remove(0);
    editor.set("VM", &vm, "name_label", "X<&>\"'").unwrap();
    assert_eq!(difference(&xml, editor.xml()), ("before", "X&lt;&amp;&gt;&quot;&apos;"));
    assert_eq!(editor.finish().unwrap().vms()[0].name_label, "X<&>\"'");
}

#[cfg(feature = "zstd")]
#[test]
fn metadata_of_a_real_server() {
    let archive = include_bytes!("fixtures/three-disks-metadata.xva.zst");
    let mut copy = Vec::new();
    repack_with(&archive[..], &mut copy, |editor| {
        let vms = editor.ids("VM")?;
        assert_eq!(vms.len(), 2);
        editor.rename_vm(&vms[1], "new-name")?;
        editor.set_entry(
            "VM",
            &vms[1],
            "other_config",
            "mac_seed",
            "22222222-3333-4444-5555-666666666666",
        )
    })
    .unwrap();
    let xml = |archive: &[u8]| Reader::new(archive).ova().unwrap().unwrap().xml().to_owned();
    let (before, after) = (xml(archive), xml(&copy));
    assert_ne!(before, after);
    let named = after.replacen("<value>new-name<", "<value>three-disks<", 1);
    let (old, new) = difference(&before, &named);
    assert!(old.len() <= 36 && new.len() <= 36, "{old} {new}");
}

#[test]
fn every_shape_of_a_scalar() {
    for (before, value, after) in [
        ("<value>old</value>", "new", "<value>new</value>"),
        ("<value></value>", "new", "<value>new</value>"),
        ("<value/>", "new", "<value>new</value>"),
        (
            "<value > <string>old</string> </value>",
            "new",
            "<value > <string>new</string> </value>",
        ),
        ("<value><string/></value>", "new", "<value><string>new</string></value>"),
        (
            "<value><boolean>0</boolean></value>",
            "1",
            "<value><boolean>1</boolean></value>",
        ),
        ("<value><i4>-3</i4></value>", "7", "<value><i4>7</i4></value>"),
        ("<value>a&amp;b<!-- </value> --></value>", "new", "<value>new</value>"),
    ] {
        let xml = |value: &str| {
            let inside = format!("<member><name>f&amp;g</name>{value}</member>");
            format!(
                "<?xml version=\"1.0\"?>\n<value><struct><member><name>objects</name><value><array><data>{}</data></array>\
                 </value></member></struct></value>\n",
                object("VM", "Ref:1", &[]).replace("<struct></struct>", &format!("<struct>\n {inside}</struct>"))
            )
        };
        let mut editor = OvaEditor::new(xml(before)).unwrap();
        editor.set("VM", "Ref:1", "f&g", value).unwrap();
        assert_eq!(editor.xml(), xml(after));
    }
}

#[test]
fn maps() {
    let xml = metadata();
    let mut editor = OvaEditor::new(&xml[..]).unwrap();
    let vm = editor.ids("VM").unwrap().remove(0);
    editor.set_entry("VM", &vm, "other_config", "backup", "no").unwrap();
    assert_eq!(difference(&xml, editor.xml()), ("yes", "no"));
    editor.set_entry("VM", &vm, "other_config", "backup", "yes").unwrap();
    assert_eq!(editor.xml(), xml);
    for field in ["other_config", "xenstore_data"] {
        editor.set_entry("VM", &vm, field, "a & b", "<c>").unwrap();
        let ova = Ova::parse(editor.xml()).unwrap();
        let object = ova.objects().remove(0);
        assert_eq!(
            object.record.get(field).unwrap().get("a & b").unwrap().as_str(),
            Some("<c>")
        );
        editor.remove_entry("VM", &vm, field, "a & b").unwrap();
        assert_eq!(editor.xml(), xml);
    }
    let mut editor = OvaEditor::new(xml.replacen("<struct></struct>", "<struct/>", 1)).unwrap();
    editor.set_entry("VM", &vm, "current_operations", "k", "v").unwrap();
    assert!(
        editor
            .xml()
            .contains("<struct><member><name>k</name><value>v</value></member></struct>")
    );
}

#[test]
fn the_usual_changes() {
    let mut editor = OvaEditor::new(metadata()).unwrap();
    let first = |editor: &OvaEditor, class| editor.ids(class).unwrap().remove(0);
    let (vm, vif, network) = (first(&editor, "VM"), first(&editor, "VIF"), first(&editor, "network"));
    editor.rename_vm(&vm, "after").unwrap();
    editor.set_memory(&vm, 512 << 20).unwrap();
    editor.set_vcpus(&vm, 8).unwrap();
    editor.set_mac(&vif, "3a:00:5e:00:00:01").unwrap();
    editor.set("network", &network, "name_label", "DMZ").unwrap();
    editor.set("network", &network, "bridge", "xenbr1").unwrap();
    let before = editor.xml().to_owned();
    for refused in [
        editor.set_mac(&vif, "3a:00:5e:00:00"),
        editor.set_mac(&vif, ""),
        editor.set_vcpus(&vm, 0),
        editor.set_memory(&vm, 0),
        editor.set_memory(&vm, u64::MAX),
    ] {
        assert!(matches!(refused, Err(EditError::BadValue { .. })), "{refused:?}");
    }
    assert_eq!(editor.xml(), before);
    let ova = editor.finish().unwrap();
    for (class, field, value) in [
        ("VM", "name_label", "after"),
        ("VM", "memory_static_max", "536870912"),
        ("VM", "memory_static_min", "536870912"),
        ("VM", "VCPUs_max", "8"),
        ("VM", "VCPUs_at_startup", "8"),
        ("VIF", "MAC", "3a:00:5e:00:00:01"),
        ("VIF", "MAC_autogenerated", "0"),
        ("network", "name_label", "DMZ"),
        ("network", "bridge", "xenbr1"),
    ] {
        assert_eq!(text(&ova, class, field), value, "{class}.{field}");
    }
}

#[test]
fn what_is_not_there_is_named() {
    let mut editor = OvaEditor::new(metadata()).unwrap();
    let xml = editor.xml().to_owned();
    let vm = editor.ids("VM").unwrap().remove(0);
    let message = |result: Result<(), EditError>| result.unwrap_err().to_string();
    assert_eq!(
        message(editor.set("VM", "Ref:99", "name_label", "x")),
        "ova.xml has no VM called Ref:99; it has [\"Ref:1\"]"
    );
    assert_eq!(
        message(editor.set("VM", &vm, "nme_label", "x")),
        "VM Ref:1 has no field nme_label"
    );
    assert_eq!(
        message(editor.remove_entry("VM", &vm, "platform", "x")),
        "the map platform of VM Ref:1 has no entry x"
    );
    assert_eq!(
        message(editor.set("VM", &vm, "platform", "x")),
        "platform of VM Ref:1 is no scalar"
    );
    assert_eq!(
        message(editor.set_entry("VM", &vm, "tags", "x", "y")),
        "tags:x of VM Ref:1 is no map"
    );
    assert_eq!(
        message(editor.set("VM", &vm, "is_a_template", "true")),
        "the value for is_a_template of VM Ref:1 is no boolean, 0 or 1"
    );
    assert!(matches!(
        editor.set("VM", &vm, "name_label", "a\0"),
        Err(EditError::BadValue { .. })
    ));
    assert!(matches!(
        editor.set_entry("VM", &vm, "platform", "a\0", "b"),
        Err(EditError::BadValue { .. })
    ));
    assert_eq!(editor.xml(), xml, "nothing changed");
    assert!(matches!(OvaEditor::new("<value>"), Err(EditError::Ova(_))));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_can_be_a_value(value in "[^\\p{Cc}\\u{fffe}\\u{ffff}]{0,20}") {
        let mut editor = OvaEditor::new(metadata()).unwrap();
        let vm = editor.ids("VM").unwrap().remove(0);
        editor.set("VM", &vm, "name_description", &value).unwrap();
        editor.set_entry("VM", &vm, "other_config", &value, &value).unwrap();
        let ova = editor.finish().unwrap();
        prop_assert_eq!(&ova.vms()[0].name_description, &value);
    }
}

/// The metadata of an archive with two disks, and the disks.
fn two_disks() -> (String, Vec<(&'static str, Vec<u8>)>) {
    let disks = vec![("Ref:1", sparse(3, 700, &[1])), ("Ref:10", sparse(2, 0, &[0]))];
    let sizes: Vec<_> = disks.iter().map(|(id, raw)| (*id, raw.len())).collect();
    (ova(&sizes), disks)
}

fn build(flavour: Flavour, xml: &str, disks: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let builder = Builder::new(flavour, Hash::Xxhash).entry("ova.xml", xml.as_bytes());
    disks
        .iter()
        .fold(builder, |builder, (id, raw)| builder.disk(id, raw))
        .end()
}

fn rename(editor: &mut OvaEditor) -> Result<(), EditError> {
    for vm in editor.ids("VM")? {
        editor.rename_vm(&vm, &"long ".repeat(200))?;
    }
    Ok(())
}

#[test]
fn copies_of_every_flavour() {
    let (xml, disks) = two_disks();
    for flavour in FLAVOURS {
        let archive = build(flavour, &xml, &disks);
        let mut copy = Vec::new();
        let result = repack_with(
            Trickle {
                rest: &archive,
                limit: 777,
            },
            &mut copy,
            rename,
        );
        if flavour == Flavour::PaxGlobal {
            assert!(matches!(result, Err(EditError::GlobalAttributes)));
            continue;
        }
        assert_eq!(result.unwrap(), copy.len() as u64);
        assert_eq!(read(&copy[..]).unwrap(), read(&archive[..]).unwrap(), "{flavour:?}");
        let mut reader = Reader::new(&copy[..]);
        assert_eq!(reader.ova().unwrap().unwrap().vms()[0].name_label, "long ".repeat(200));
        assert!(reader.finish().unwrap().is_complete());
        // The rest of the archive, byte for byte.
        let rest = archive.len() - build(flavour, &xml, &[]).len();
        assert!(copy.ends_with(&archive[archive.len() - rest - 1024..]), "{flavour:?}");
    }
}

#[test]
fn copies_of_compressed_archives() {
    let (xml, disks) = two_disks();
    let archive = build(Flavour::V7, &xml, &disks);
    let mut plain = Vec::new();
    repack(&archive[..], &xml, &mut plain).unwrap();
    assert_eq!(plain.len(), archive.len());
    for compression in [Compression::Gzip, Compression::Zstd] {
        let Ok(mut compressor) = Compressor::new(Vec::new(), compression) else {
            continue;
        };
        io::Write::write_all(&mut compressor, &archive).unwrap();
        let compressed = compressor.finish().unwrap();
        let mut copy = Compressor::new(Vec::new(), compression).unwrap();
        let source = Trickle {
            rest: &compressed,
            limit: 100,
        };
        assert_eq!(repack_with(source, &mut copy, rename).unwrap() % 512, 0);
        let copy = copy.finish().unwrap();
        assert_eq!(read(&copy[..]).unwrap(), read(&archive[..]).unwrap());
        let cut = repack(&compressed[..compressed.len() / 2], &xml, io::sink());
        assert!(
            matches!(cut, Err(EditError::Archive(Error::Truncated { .. }))),
            "{cut:?}"
        );
    }
}

#[test]
fn the_end_is_copied_as_it_is() {
    let (xml, disks) = two_disks();
    let archive = build(Flavour::V7, &xml, &disks);
    let mut record = archive.clone();
    record.resize(archive.len().next_multiple_of(10_240) + 10_240, 0);
    for source in [
        &archive[..archive.len() - 1024],
        &archive[..archive.len() - 512],
        &archive,
        &record,
    ] {
        let mut copy = Vec::new();
        repack(source, &xml, &mut copy).unwrap();
        assert_eq!(copy.len(), source.len());
        assert_eq!(copy[512..], source[512..]);
    }
}

#[test]
fn what_cannot_be_copied() {
    let (xml, disks) = two_disks();
    let archive = build(Flavour::V7, &xml, &disks);
    let other = ova(&[("Ref:1", 4096)]);
    assert!(matches!(
        repack(&archive[..], &other, io::sink()),
        Err(EditError::OtherDisks)
    ));
    assert!(matches!(
        repack(&archive[..], "<value/>", io::sink()),
        Err(EditError::Ova(_))
    ));
    let bare = Builder::xapi().block("Ref:1", 0, b"x").end();
    assert!(matches!(
        repack(&bare[..], &xml, io::sink()),
        Err(EditError::NoMetadata)
    ));
    for cut in [0, 100, 600, 5000, archive.len() - 1024 - 700] {
        let result = repack(&archive[..cut], &xml, io::sink());
        assert!(
            matches!(result, Err(EditError::Archive(Error::Truncated { .. }))),
            "{cut}: {result:?}"
        );
    }
    let junk = repack(&noise(2000, 1)[..], &xml, io::sink());
    assert!(
        matches!(junk, Err(EditError::Archive(Error::NotTar { .. }))),
        "{junk:?}"
    );
    let mut full = &mut [0; 700][..];
    assert!(matches!(
        repack(&archive[..], &xml, &mut full),
        Err(EditError::Output { .. })
    ));
}
