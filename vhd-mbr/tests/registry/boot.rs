//! The boot configuration.

use vhd_mbr::registry::bcd::{self, BOOT_MANAGER, DEBUGGER_SETTINGS, Element, Setting};
use vhd_mbr::registry::{Error, Hive};

use crate::builder::{Key, hive, text};

const WINDOWS: &str = "{11111111-2222-3333-4444-555555555555}";

fn object(id: &'static str, kind: u32, elements: Vec<(&'static str, u32, Vec<u8>)>) -> Key<'static> {
    let mut list = Key::new("Elements");
    for (number, kind, data) in elements {
        list = list.key(Key::new(number).value("Element", kind, data));
    }
    Key::new(id)
        .key(Key::new("Description").value("Type", 4, kind.to_le_bytes()))
        .key(list)
}

fn number(number: u64) -> Vec<u8> {
    number.to_le_bytes().to_vec()
}

fn store(with_port: bool) -> Vec<u8> {
    let mut settings = vec![("15000011", 3, number(4))];
    if with_port {
        settings.extend([("15000013", 3, number(1)), ("15000014", 3, number(9600))]);
    }
    let objects = Key::new("Objects")
        .key(object(BOOT_MANAGER, 0x1010_0002, vec![("23000003", 1, text(WINDOWS))]))
        .key(object(
            WINDOWS,
            0x1020_0003,
            vec![
                ("12000002", 1, text("\\Windows\\system32\\winload.exe")),
                ("12000004", 1, text("Windows Server")),
                ("14000006", 7, [text("{a}"), text("{b}"), vec![0, 0]].concat()),
                ("260000a0", 3, vec![0]),
            ],
        ))
        .key(object(DEBUGGER_SETTINGS, 0x2010_0000, settings));
    hive(&Key::new("NewStoreRoot").key(objects), 3)
}

#[test]
fn entries_tell_what_is_set() {
    let bytes = store(true);
    let hive = Hive::open(&bytes).unwrap();
    let entries = bcd::entries(&hive).unwrap();
    assert_eq!(entries.len(), 3);
    assert_eq!(bcd::default_entry(&hive).unwrap(), WINDOWS);
    let windows = entries.iter().find(|entry| entry.is_loader()).unwrap();
    assert_eq!(
        windows.get(Element::DESCRIPTION),
        Some(&Setting::Text("Windows Server".into()))
    );
    assert_eq!(windows.get(Element::KERNEL_DEBUG), Some(&Setting::Boolean(false)));
    assert_eq!(
        windows.get(Element(0x1400_0006)),
        Some(&Setting::Objects(vec!["{a}".into(), "{b}".into()]))
    );
    let settings = entries.iter().find(|entry| entry.id == DEBUGGER_SETTINGS).unwrap();
    assert_eq!(settings.get(Element::DEBUG_TYPE), Some(&Setting::Integer(4)));
    assert_eq!(Element::DEBUG_TYPE.to_string(), "debugtype");
}

#[test]
fn debugging_is_switched_on_where_its_elements_are() {
    let bytes = store(true);
    let hive = Hive::open(&bytes).unwrap();
    let new = crate::changed(&bytes, &bcd::enable_debug(&hive, 2, 115_200).unwrap());
    let hive = Hive::open(&new).unwrap();
    let entries = bcd::entries(&hive).unwrap();
    let get = |id: &str, element| {
        let entry = entries.iter().find(|entry| entry.id == id).unwrap();
        entry.get(element).cloned().unwrap()
    };
    assert_eq!(get(WINDOWS, Element::KERNEL_DEBUG), Setting::Boolean(true));
    assert_eq!(get(DEBUGGER_SETTINGS, Element::DEBUG_TYPE), Setting::Integer(0));
    assert_eq!(get(DEBUGGER_SETTINGS, Element::DEBUG_PORT), Setting::Integer(2));
    assert_eq!(
        get(DEBUGGER_SETTINGS, Element::DEBUG_BAUD_RATE),
        Setting::Integer(115_200)
    );
    assert!(
        bcd::enable_debug(&hive, 2, 115_200).unwrap().is_empty(),
        "it is on already"
    );

    let bytes = store(false);
    let refused = bcd::enable_debug(&Hive::open(&bytes).unwrap(), 1, 9600).unwrap_err();
    assert!(matches!(refused, Error::NotThere { .. }));
    assert_eq!(
        refused.to_string(),
        "the boot configuration lacks debugport, baudrate; in Windows, run: bcdedit /dbgsettings serial debugport:1 \
         baudrate:9600"
    );
}
