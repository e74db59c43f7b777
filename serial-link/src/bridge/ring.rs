/// The last bytes of an endless stream, each at a position that never changes. No I/O.
#[derive(Debug)]
pub(super) struct Ring {
    bytes: Box<[u8]>,
    end: u64,
}

impl Ring {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            bytes: vec![0; capacity.max(1)].into(),
            end: 0,
        }
    }

    pub(super) fn capacity(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// The position of the oldest byte.
    pub(super) fn start(&self) -> u64 {
        self.end.saturating_sub(self.capacity())
    }

    /// The position of the next byte.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    fn index(&self, position: u64) -> usize {
        (position % self.capacity()) as usize
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        let skipped = bytes.len().saturating_sub(self.bytes.len());
        self.end += skipped as u64;
        let mut rest = &bytes[skipped..];
        while !rest.is_empty() {
            let at = self.index(self.end);
            let length = rest.len().min(self.bytes.len() - at);
            self.bytes[at..at + length].copy_from_slice(&rest[..length]);
            self.end += length as u64;
            rest = &rest[length..];
        }
    }

    /// At most `most` bytes from a position on; fewer where the ring begins again. The position has to be in the ring.
    pub(super) fn piece(&self, position: u64, most: usize) -> &[u8] {
        let position = position.clamp(self.start(), self.end);
        let at = self.index(position);
        let left = usize::try_from(self.end - position).unwrap_or(usize::MAX);
        let length = left.min(most).min(self.bytes.len() - at);
        &self.bytes[at..at + length]
    }

    /// The position at which the last lines begin; an unfinished one counts.
    pub(super) fn last_lines(&self, lines: usize) -> u64 {
        let mut left = lines;
        let mut position = self.end;
        while position > self.start() {
            let newline = self.bytes[self.index(position - 1)] == b'\n';
            if newline && position != self.end {
                left = left.saturating_sub(1);
            }
            if left == 0 {
                break;
            }
            position -= 1;
        }
        position
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_last_lines() {
        let mut ring = Ring::new(16);
        ring.push(b"ab\ncd\nef");
        assert_eq!([0, 1, 2, 3, 9].map(|lines| ring.last_lines(lines)), [8, 6, 3, 0, 0]);
        ring.push(b"\n");
        assert_eq!([0, 1, 2].map(|lines| ring.last_lines(lines)), [9, 6, 3]);
        ring.push(b"a long line without end");
        assert_eq!(ring.last_lines(1), ring.start());
    }

    proptest! {
        #[test]
        fn the_end_of_a_stream_is_kept(pieces: Vec<Vec<u8>>, capacity in 1_usize..40) {
            let mut ring = Ring::new(capacity);
            for piece in &pieces {
                ring.push(piece);
            }
            let all = pieces.concat();
            prop_assert_eq!(ring.end(), all.len() as u64);
            prop_assert_eq!(ring.start(), all.len().saturating_sub(capacity) as u64);
            let (mut read, mut position) = (Vec::new(), ring.start());
            while position < ring.end() {
                let piece = ring.piece(position, 7);
                read.extend_from_slice(piece);
                position += piece.len() as u64;
            }
            prop_assert_eq!(&read[..], &all[ring.start() as usize..]);
        }
    }
}
