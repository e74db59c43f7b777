//! The bitmaps that were read last.

use super::disk::Presence;

/// Enough for reads that jump between the tables of a file system and its files.
const SLOTS: usize = 256;

#[derive(Debug)]
pub(super) struct Cache(Vec<Option<(u32, Presence)>>);

impl Default for Cache {
    fn default() -> Self {
        Self(vec![None; SLOTS])
    }
}

impl Cache {
    pub(super) fn get(&self, block: u32) -> Option<Presence> {
        let slot = self.0[block as usize % SLOTS].as_ref();
        slot.filter(|(of, _)| *of == block)
            .map(|(_, presence)| presence.clone())
    }

    pub(super) fn put(&mut self, block: u32, presence: Presence) {
        self.0[block as usize % SLOTS] = Some((block, presence));
    }

    pub(super) fn forget(&mut self, block: u32) {
        self.0[block as usize % SLOTS].take_if(|(of, _)| *of == block);
    }
}
