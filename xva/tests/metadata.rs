//! What is read from ova.xml.

mod common;

use common::{object, ova};
use xva::ova::{Ova, Value};
use xva::{Error, Reader};

fn with_objects(objects: &str) -> Ova {
    Ova::parse(format!(
        "<value><struct><member><name>objects</name><value><array><data>{objects}</data></array></value></member></struct></value>"
    ))
    .unwrap()
}

/// `/export_metadata` of a machine with three disks and one snapshot, from a xapi of version 26.17.
#[cfg(feature = "zstd")]
#[test]
fn from_a_real_server() {
    let archive = include_bytes!("fixtures/three-disks-metadata.xva.zst");
    let mut reader = Reader::new(&archive[..]);
    let ova = reader.ova().unwrap().unwrap().clone();
    assert_eq!(ova.xml().len(), 60180);
    let version = ova.version();
    assert_eq!(
        (&version.product_version[..], &version.product_brand[..]),
        ("8.4.0", "XCP-ng")
    );
    assert_eq!(
        (version.xapi_major, version.xapi_minor, version.export_vsn),
        (Some(0), Some(0), 2)
    );
    let [snapshot, machine] = ova.vms() else {
        panic!("{:?}", ova.vms())
    };
    assert_eq!((&snapshot.name_label[..], snapshot.is_a_snapshot), ("before", true));
    assert_eq!((&machine.name_label[..], machine.is_a_snapshot), ("three-disks", false));
    assert_eq!(machine.power_state, "Halted");
    let disks: Vec<_> = machine
        .disks
        .iter()
        .map(|d| (&d.id[..], &d.name_label[..], d.virtual_size))
        .collect();
    // In the order of the drives; the CD drive is left out.
    assert_eq!(
        disks,
        [
            ("Ref:49", "system", Some(100_663_296)),
            ("Ref:47", "efi", Some(50_331_648)),
            ("Ref:44", "odd", Some(6_291_456)),
        ]
    );
    assert!(machine.disks[0].bootable && !machine.disks[1].bootable);
    assert_eq!(machine.disks[0].sr_name.as_deref(), Some("rec sr"));
    assert_eq!(machine.disks[0].vdi_type, "user");
    assert_eq!(ova.objects().len(), 22);
    assert!(reader.next_disk().unwrap().is_none());
    let summary = reader.summary().unwrap();
    assert!(summary.end_blocks && !summary.has_all_disks());
}

#[test]
fn every_way_to_write_a_value() {
    let record = "<member><name>a</name><value/></member>
        <member><name>b</name><value></value></member>
        <member><name>c</name><value><string> x &lt;&#233;&#x20AC;&quot;<![CDATA[<&>]]></string></value></member>
        <member><name>d</name><value> <i4>-7</i4> </value></member>
        <member><name>e</name><value><boolean>1</boolean></value></member>
        <member><name>f</name><value><nil/></value></member>
        <member><name>g</name><value><array><data/></array></value></member>
        <member><name>h</name><value><array><data> <value>1</value> <value>2</value> </data></array></value></member>
        <member><name>i</name><value><struct/></value></member>
        <member><name>j</name><value><!-- so --> text </value></member>";
    let ova = with_objects(&format!(
        "<value><struct><member><name>class</name><value>X</value></member>
         <member><name>id</name><value>Ref:1</value></member>
         <member><name>new</name><value>?</value></member>
         <member><name>snapshot</name><value><struct>{record}</struct></value></member></struct></value>"
    ));
    let [object] = &ova.objects()[..] else { panic!() };
    let text = |text: &str| Value::Text(text.to_owned());
    let expected = [
        ("a", text("")),
        ("b", text("")),
        ("c", text(" x <é€\"<&>")),
        ("d", text("-7")),
        ("e", text("1")),
        ("f", Value::Nil),
        ("g", Value::Array(vec![])),
        ("h", Value::Array(vec![text("1"), text("2")])),
        ("i", Value::Struct(vec![])),
        ("j", text(" text ")),
    ];
    assert_eq!(
        object.record,
        Value::Struct(expected.map(|(name, value)| (name.to_owned(), value)).to_vec())
    );
    assert_eq!(object.record.get("d").unwrap().as_i64(), Some(-7));
    assert_eq!(object.record.get("e").unwrap().as_bool(), Some(true));
}

#[test]
fn drives_are_sorted_by_position() {
    let mut objects = object("VM", "Ref:1", &[]);
    for (i, userdevice) in ["10", "xvdb", "9", "", "0"].iter().enumerate() {
        let fields = [
            ("VM", "Ref:1"),
            ("VDI", &format!("Ref:{i}")),
            ("userdevice", userdevice),
            ("type", "Disk"),
        ];
        objects += &object("VBD", &format!("Ref:1{i}"), &fields);
    }
    let ova = with_objects(&objects);
    let order: Vec<_> = ova.vms()[0].disks.iter().map(|disk| &disk.userdevice[..]).collect();
    assert_eq!(order, ["0", "xvdb", "9", "10", ""]);
}

#[test]
fn references_may_dangle_and_fields_may_be_absent() {
    let objects = object("VM", "Ref:1", &[])
        + &object("VBD", "Ref:2", &[("VM", "Ref:1"), ("VDI", "Ref:404")])
        + &object("VBD", "Ref:3", &[("VM", "Ref:404"), ("VDI", "Ref:9"), ("type", "Disk")])
        + &object(
            "VBD",
            "Ref:4",
            &[("VM", "Ref:1"), ("VDI", "OpaqueRef:NULL"), ("type", "Disk")],
        )
        + &object("VBD", "Ref:5", &[("VM", "Ref:1"), ("VDI", "Ref:10"), ("type", "CD")])
        + &object("VDI", "Ref:9", &[("SR", "Ref:404"), ("virtual_size", "-1")])
        + &object("VDI", "Ref:10", &[("virtual_size", "many")])
        + &object("VDI", "Ref:11", &[("type", "suspend"), ("virtual_size", "4096")])
        + &object("VDI", "Ref:12", &[("SR", "Ref:13")])
        + &object("VBD", "Ref:6", &[("VDI", "Ref:12"), ("type", "Disk")])
        + &object("SR", "Ref:13", &[("content_type", "iso")])
        + "<value>odd</value><value><struct></struct></value>";
    let ova = with_objects(&objects);
    assert_eq!(ova.version().export_vsn, 0);
    let [vm] = ova.vms() else { panic!() };
    let [disk] = &vm.disks[..] else { panic!("{vm:?}") };
    assert_eq!((&disk.id[..], disk.virtual_size), ("Ref:404", None));
    let exported: Vec<_> = ova
        .vdis()
        .iter()
        .filter(|vdi| vdi.is_exported)
        .map(|vdi| &vdi.id[..])
        .collect();
    assert_eq!(exported, ["Ref:11", "Ref:9"], "in byte-wise order; no ISO image, no CD");
    assert_eq!(ova.vdi("Ref:9").unwrap().virtual_size, None);
    assert_eq!(ova.vdi("Ref:99"), None);
}

#[test]
fn the_content_of_a_virtual_tpm_does_not_print() {
    let ova = with_objects(&object("VTPM", "Ref:1", &[("vTPM'_content", "c2VjcmV0")]));
    let objects = ova.objects();
    assert!(!format!("{ova:?} {objects:?}").contains("c2VjcmV0"));
    match objects[0].record.get("vTPM'_content") {
        Some(Value::Secret(secret)) => assert_eq!(secret.expose(), "c2VjcmV0"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn errors_say_where() {
    for (xml, at, problem) in [
        ("", 0, "ends early"),
        ("<value><struct>", 15, "ends early"),
        ("<value><string>x</string></value>", 15, "<struct> was due"),
        ("<appliance version='0.1'></appliance>", 25, "version 0.1"),
        ("<value><struct>text</struct></value>", 19, "text where a tag was due"),
        (
            "<value><struct><member><name>a</name><value>&nope;</value></member></struct></value>",
            50,
            "unknown entity",
        ),
        ("<value><struct></value></struct>", 23, "malformed"),
    ] {
        let error = Ova::parse(xml).unwrap_err();
        assert_eq!(error.at, at, "{xml} {error}");
        assert!(error.to_string().contains(problem), "{xml} {error}");
    }
}

#[test]
fn nesting_is_limited() {
    let deep = |n: usize| {
        let (open, close) = ("<value><array><data>".repeat(n), "</data></array></value>".repeat(n));
        Ova::parse(format!(
            "<value><struct><member><name>x</name>{open}{close}</member></struct></value>"
        ))
    };
    assert!(deep(60).is_ok());
    assert!(deep(100).unwrap_err().problem.contains("nested"));
    assert!(deep(100_000).is_err());
}

#[test]
fn disks_can_be_read_without_their_metadata() {
    let raw = common::sparse(2, 0, &[0, 1]);
    for xml in [&b"not XML"[..], b"<value>\xff</value>"] {
        let archive = common::Builder::xapi().entry("ova.xml", xml).disk("Ref:1", &raw).end();
        let mut reader = Reader::new(&archive[..]);
        let error = reader.next_disk().unwrap_err();
        assert!(
            error.is_recoverable() && matches!(error, Error::Ova { position: 0, .. }),
            "{error}"
        );
        let mut disk = reader.next_disk().unwrap().unwrap();
        assert_eq!(disk.next_block().unwrap().unwrap().data, &raw[..common::UNIT]);
    }
    let archive = common::Builder::xapi().entry("ova.xml", ova(&[]).as_bytes()).end();
    let options = xva::Options::new().metadata_limit(100);
    let mut reader = Reader::with_options(&archive[..], options);
    assert!(matches!(reader.ova(), Err(Error::TooLarge { limit: 100, .. })));
}
