//! Asking where the disk has data.

use std::ops::Range;

use super::Error;
use super::disk::Nbd;
use super::flight::Extent;

/// How much of the disk one question is about.
const QUESTION: u64 = 1 << 30;

impl Nbd {
    /// Asks the server where the disk has data, from a block's first byte on.
    fn ask(&self, from: u64) -> Result<(), Error> {
        let length = (self.export().size() - from).min(QUESTION) as u32;
        let mut lease = self.pool().lend()?;
        let mut outcome = lease.begin()?.extents(from, length);
        if let Err(error) = &outcome
            && error.is_broken()
        {
            lease.renew(error)?;
            outcome = lease.begin()?.extents(from, length);
        }
        let extents = match outcome {
            Ok(extents) => extents,
            // Some offer the question and cannot answer it. Then everything is data.
            Err(Error::Command { .. }) => vec![Extent { length, is_zero: false }],
            Err(error) => return Err(error),
        };
        lease.end();
        drop(lease);
        self.allocation().learn(from, &extents);
        Ok(())
    }

    pub(super) fn find_data(&self, from: u64) -> Result<Option<Range<u64>>, Error> {
        let size = self.export().size();
        let mut at = from;
        while at < size {
            let known = self.allocation().at(at);
            match known {
                Some((range, false)) => return Ok(Some(range)),
                Some((range, true)) => at = range.end,
                None => self.ask(self.blocks_around(at..at).start)?,
            }
        }
        Ok(None)
    }
}
