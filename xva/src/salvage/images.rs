//! Raw images, one for each disk.

use std::io::{self, Seek, SeekFrom, Write};

use super::rescue::Output;
use super::{DiskStart, Piece};

pub(super) struct Images<F, W> {
    open: F,
    /// A target for each disk, with how long it is.
    targets: Vec<Option<(W, u64)>>,
}

impl<F, W> Images<F, W> {
    pub(super) fn new(open: F) -> Self {
        Self {
            open,
            targets: Vec::new(),
        }
    }
}

impl<F: FnMut(DiskStart<'_>) -> io::Result<Option<W>>, W: Write + Seek> Output for Images<F, W> {
    fn disk(&mut self, disk: DiskStart<'_>) -> io::Result<()> {
        let target = (self.open)(disk)?;
        self.targets.push(target.map(|target| (target, 0)));
        Ok(())
    }

    fn piece(&mut self, disk: usize, piece: Piece<'_>) -> io::Result<()> {
        if let Some(Some((target, len))) = self.targets.get_mut(disk) {
            target.seek(SeekFrom::Start(piece.offset))?;
            target.write_all(piece.data)?;
            *len = (*len).max(piece.offset + piece.data.len() as u64);
        }
        Ok(())
    }

    fn finish(&mut self, disk: usize, end: u64) -> io::Result<()> {
        if let Some(Some((target, len))) = self.targets.get_mut(disk) {
            if *len < end {
                target.seek(SeekFrom::Start(end - 1))?;
                target.write_all(&[0])?;
            }
            target.flush()?;
        }
        Ok(())
    }
}
