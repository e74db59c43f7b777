use std::ops::Range;

/// Which bytes of a disk a volume is made of.
///
/// A partition is one range. A logical volume can be several, in the volume's order.
///
/// ```
/// use vhd_mbr::patch::OnDisk;
///
/// let partition = OnDisk::from(1048576..2097152);
/// let logical_volume: OnDisk = [5000..6000, 1000..3000].into_iter().collect();
/// assert_eq!(partition.size(), 1048576);
/// assert_eq!(logical_volume.ranges(990..1010), Some(vec![5990..6000, 1000..1010]));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnDisk(Vec<Range<u64>>);

impl OnDisk {
    /// The volume's size in bytes.
    pub fn size(&self) -> u64 {
        self.0
            .iter()
            .map(|range| range.end - range.start)
            .fold(0, u64::saturating_add)
    }

    /// Where these bytes of the volume are on the disk; none where the volume ends before they do.
    pub fn ranges(&self, volume: Range<u64>) -> Option<Vec<Range<u64>>> {
        let mut found = Vec::new();
        let (mut at, mut before) = (volume.start, 0u64);
        for range in &self.0 {
            let end = before.saturating_add(range.end - range.start);
            if at < volume.end && at < end {
                let from = range.start + (at - before);
                let to = range.start + (volume.end.min(end) - before);
                found.push(from..to);
                at = volume.end.min(end);
            }
            before = end;
        }
        (at >= volume.end).then_some(found)
    }
}

impl From<Range<u64>> for OnDisk {
    fn from(range: Range<u64>) -> Self {
        Self::from_iter([range])
    }
}

impl FromIterator<Range<u64>> for OnDisk {
    fn from_iter<T: IntoIterator<Item = Range<u64>>>(ranges: T) -> Self {
        Self(ranges.into_iter().filter(|range| !range.is_empty()).collect())
    }
}
