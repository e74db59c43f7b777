use bytes::{Bytes, BytesMut};

use crate::command::PID_MARK;

/// Takes the line with the process id out of what comes on standard error.
#[derive(Debug, Default)]
pub(crate) struct ProcessLine {
    held: BytesMut,
    done: bool,
}

/// A login shell that talks more than this before the command runs is taken for one that does not tell.
const MOST_HELD: usize = 64 << 10;

impl ProcessLine {
    /// Takes bytes; gives back those that are not the line, and the process id when it is complete.
    pub(crate) fn feed(&mut self, bytes: Bytes) -> (Bytes, Option<u32>) {
        if self.done {
            return (bytes, None);
        }
        self.held.extend_from_slice(&bytes);
        if let Some((start, end, process)) = find(&self.held) {
            self.done = true;
            let mut rest = std::mem::take(&mut self.held);
            let mut after = rest.split_off(start);
            rest.unsplit(after.split_off(end - start));
            return (rest.freeze(), Some(process));
        }
        match self.held.len() > MOST_HELD {
            true => (self.finish(), None),
            false => (Bytes::new(), None),
        }
    }

    /// What is still held when the stream ends.
    pub(crate) fn finish(&mut self) -> Bytes {
        self.done = true;
        std::mem::take(&mut self.held).freeze()
    }
}

/// Where the line begins, where the next one does, and what it says.
fn find(text: &[u8]) -> Option<(usize, usize, u32)> {
    let mut start = 0;
    for line in text.split_inclusive(|&byte| byte == b'\n') {
        let end = start + line.len();
        let number = line
            .strip_prefix(PID_MARK.as_bytes())
            .and_then(|rest| rest.strip_suffix(b"\n"));
        // Process 1 and 0 are never ours, and signals to them hit everybody.
        let process = number
            .and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok())
            .filter(|&id| id > 1);
        if let Some(process) = process {
            return Some((start, end, process));
        }
        start = end;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_taken_out_however_it_is_cut() {
        let text = b"motd\ndom0-process:4711\nfirst\ndom0-process:5\n";
        for cut in 0..text.len() {
            let mut line = ProcessLine::default();
            let (a, b) = (
                line.feed(Bytes::from_static(&text[..cut])),
                line.feed(Bytes::from_static(&text[cut..])),
            );
            assert_eq!(a.1.or(b.1), Some(4711));
            assert_eq!([a.0, b.0, line.finish()].concat(), b"motd\nfirst\ndom0-process:5\n");
        }
    }

    #[test]
    fn without_the_line_nothing_is_lost() {
        let mut line = ProcessLine::default();
        let mut got = Vec::new();
        for _ in 0..100 {
            got.extend(line.feed(Bytes::from_static(&[b'x'; 1000])).0);
        }
        got.extend(line.finish());
        assert_eq!(got.len(), 100_000);
        assert_eq!(
            ProcessLine::default().feed(Bytes::from_static(b"dom0-process:1\n")).1,
            None
        );
    }
}
