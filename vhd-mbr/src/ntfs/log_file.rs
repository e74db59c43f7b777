//! Whether `$LogFile` has anything left to do, as ntfs-3g decides it.

use super::fixup;
use crate::bytes::{is_at, u16_at, u32_at, u64_at};

/// The bytes from the start of `$LogFile` that [`is_clean`] wants: two restart pages of the largest size.
pub(super) const START: usize = 2 << 16;

/// No client, in a list of clients.
const NO_CLIENT: u16 = 0xffff;
/// A flag: the volume was unmounted.
const CLEAN: u16 = 2;

/// Whether a log that starts like this was closed, or is new.
pub(super) fn is_clean(start: &[u8]) -> bool {
    let first = restart_page(start, 0);
    let page_size = first.as_ref().map_or(4096, |page| page.len());
    let pages = [first, restart_page(start, page_size)];
    let newest = pages.into_iter().flatten().max_by_key(|page| u64_at(page, area(page)));
    match newest {
        Some(page) => {
            let area = area(&page);
            u16_at(&page, area + 12) == NO_CLIENT || u16_at(&page, area + 14) & CLEAN != 0
        }
        // Emptied by ntfs-3g or mkfs; Windows begins a new one.
        None => start.len() >= 8192 && start[..8192].iter().all(|&byte| byte == 0xff),
    }
}

/// A whole restart page, also one that chkdsk has written.
fn restart_page(log: &[u8], at: usize) -> Option<Vec<u8>> {
    let page = log.get(at..)?;
    let signature = [b"RSTR", b"CHKD"]
        .into_iter()
        .find(|signature| is_at(page, 0, *signature))?;
    let size = u32_at(page, 16) as usize;
    if !size.is_power_of_two() || !(512..=1 << 16).contains(&size) {
        return None;
    }
    let mut page = page.get(..size)?.to_vec();
    fixup::apply(&mut page, signature, 0).ok()?;
    (area(&page) + 16 <= page.len()).then_some(page)
}

/// Where the restart area of a page is.
fn area(page: &[u8]) -> usize {
    usize::from(u16_at(page, 24))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(lsn: u8, client: u16, flags: u16) -> Vec<u8> {
        let mut page = vec![0; 4096];
        page[..8].copy_from_slice(b"RSTR\x1e\0\x09\0");
        page[17] = 0x10;
        page[24] = 0x30;
        page[0x30] = lsn;
        page[0x3c..0x3e].copy_from_slice(&client.to_le_bytes());
        page[0x3e..0x40].copy_from_slice(&flags.to_le_bytes());
        page[0x1e] = 1;
        for end in (510..4096).step_by(512) {
            page[end] = 1;
        }
        page
    }

    #[test]
    fn the_newer_page_counts() {
        let (open, closed) = (page(5, 0, 0), page(9, NO_CLIENT, 0));
        assert!(is_clean(&[open.clone(), closed.clone()].concat()));
        assert!(is_clean(&[closed, open.clone()].concat()));
        assert!(is_clean(&[page(9, 0, CLEAN), open.clone()].concat()));
        assert!(!is_clean(&[page(4, NO_CLIENT, CLEAN), open].concat()));
    }

    #[test]
    fn a_torn_page_does_not_count() {
        let mut torn = page(9, NO_CLIENT, CLEAN);
        torn[1022] = 2;
        assert!(!is_clean(&[torn.clone(), page(5, 0, 0)].concat()));
        assert!(!is_clean(&[torn.clone(), torn].concat()));
    }

    #[test]
    fn an_empty_log_is_clean() {
        assert!(is_clean(&[0xff; 8192]));
        assert!(!is_clean(&[0; 8192]));
        assert!(!is_clean(&[0xff; 100]));
    }
}
