//! Labels, and what tells one from another.

use super::ContentKind;
use crate::bytes::{array, u16_at, u32_at, u64_at};

/// The label and the id of what starts with these bytes.
pub(super) fn read(kind: ContentKind, start: &[u8]) -> (Option<String>, Option<String>) {
    let text = |at: usize, len: usize| text(start.get(at..at + len).unwrap_or_default());
    let uuid = |at| uuid(array(start, at));
    let fat = |at: usize| {
        // Windows writes this where there is no label.
        let label = text(at + 4, 11).filter(|label| label != "NO NAME");
        (label, serial(u32_at(start, at)))
    };
    match kind {
        ContentKind::Ntfs => (None, Some(format!("{:016X}", u64_at(start, 72)))),
        ContentKind::Ext2 | ContentKind::Ext3 | ContentKind::Ext4 => (text(1144, 16), uuid(1128)),
        ContentKind::Xfs => (text(108, 12), uuid(32)),
        ContentKind::Btrfs => (text(65_835, 256), uuid(65_568)),
        ContentKind::Fat12 | ContentKind::Fat16 => fat(39),
        ContentKind::Fat32 => fat(67),
        ContentKind::ExFat => (None, serial(u32_at(start, 100))),
        ContentKind::Iso9660 => (text(32_808, 32), None),
        ContentKind::Swap => (text(1052, 16), uuid(1036)),
        ContentKind::Lvm => (None, lvm_id(start)),
        ContentKind::Luks1 => (None, text(168, 40)),
        ContentKind::Luks2 => (text(24, 48), text(168, 40)),
        ContentKind::LinuxRaid => [0, 4096]
            .iter()
            .find(|&&at| start.get(at..).is_some_and(|rest| rest.starts_with(super::marks::RAID)))
            .map_or((None, None), |&at| (text(at + 32, 32), uuid(at + 16))),
        _ => (None, None),
    }
}

/// Text up to a zero, without spaces at its end.
fn text(bytes: &[u8]) -> Option<String> {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    let text = String::from_utf8_lossy(&bytes[..end]);
    let text = text.trim_end();
    (!text.is_empty()).then(|| text.to_owned())
}

/// A UUID whose bytes are in the order in which they are written.
fn uuid(bytes: [u8; 16]) -> Option<String> {
    if bytes == [0; 16] {
        return None;
    }
    let digits = format!("{:032x}", u128::from_be_bytes(bytes));
    let parts = [
        &digits[..8],
        &digits[8..12],
        &digits[12..16],
        &digits[16..20],
        &digits[20..],
    ];
    Some(parts.join("-"))
}

fn serial(number: u32) -> Option<String> {
    (number != 0).then(|| format!("{:04X}-{:04X}", number >> 16, number & 0xffff))
}

/// As LVM2 writes it: 32 letters and digits in groups.
fn lvm_id(start: &[u8]) -> Option<String> {
    let label = (0..4)
        .map(|sector| sector * 512)
        .find(|&at| start[at..].starts_with(b"LABELONE"))?;
    let header = label + usize::from(u16_at(start, label + 20));
    crate::volume::lvm::format_id(start.get(header..header + 32)?)
}
