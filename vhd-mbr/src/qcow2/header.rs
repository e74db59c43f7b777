//! Looks at a header before `imago` does, which trusts some of it.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::bytes::{array, is_at};

/// As QEMU's limit.
const MAX_L1_BYTES: u64 = 32 << 20;
const MAX_CLUSTER_BITS: u32 = 21;

/// Refuses an image whose header would make the reader panic or look for data without end. What is no qcow2 image or one
/// that the reader itself refuses passes.
pub(super) fn check(path: &Path) -> io::Result<()> {
    let mut start = Vec::new();
    File::open(path)?.take(1 << MAX_CLUSTER_BITS).read_to_end(&mut start)?;
    refusal(&start).map_or(Ok(()), |reason| Err(io::Error::new(io::ErrorKind::InvalidData, reason)))
}

fn refusal(start: &[u8]) -> Option<&'static str> {
    if !is_at(start, 0, b"QFI\xfb") {
        return None;
    }
    let [version, cluster_bits] = [4, 20].map(|at| u32_be(start, at));
    if !(9..=MAX_CLUSTER_BITS).contains(&cluster_bits) {
        return None;
    }
    let (size, l1_entries) = (u64::from_be_bytes(array(start, 24)), u64::from(u32_be(start, 36)));
    if l1_entries * 8 > MAX_L1_BYTES {
        return Some("its table of tables is larger than 32 MiB");
    }
    let per_entry = 1 << (2 * cluster_bits - 3);
    if size.div_ceil(per_entry) > l1_entries {
        return Some("its disk is larger than its table of tables");
    }
    let header_len = u32_be(start, 100) as usize;
    let extensions = start.get(header_len..).filter(|_| version > 2);
    let whole = extensions.is_none_or(names_are_whole);
    (!whole).then_some("its table of names of features is damaged")
}

/// Whether the table of names has entries of 48 bytes and nothing else.
fn names_are_whole(mut extensions: &[u8]) -> bool {
    const END: u32 = 0;
    const NAMES: u32 = 0x6803_f857;
    while let Some((head, rest)) = extensions.split_at_checked(8) {
        let (kind, len) = (u32_be(head, 0), u32_be(head, 4) as usize);
        match kind {
            END => break,
            NAMES if len % 48 != 0 => return false,
            _ => extensions = rest.get(len.next_multiple_of(8)..).unwrap_or_default(),
        }
    }
    true
}

fn u32_be(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(array(bytes, at))
}
