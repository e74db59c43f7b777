//! Hives, cell by cell.

/// Where the next cell goes, behind the head of the only bin.
const FIRST: usize = 32;
const NONE: u32 = u32::MAX;

/// A hive that is being made.
pub(crate) struct Builder {
    cells: Vec<u8>,
    minor: u32,
}

/// A value: name, type and data.
pub(crate) type Value<'a> = (&'a str, u32, Vec<u8>);

/// A key and all in it.
#[derive(Default)]
pub(crate) struct Key<'a> {
    pub(crate) name: &'a str,
    pub(crate) values: Vec<Value<'a>>,
    pub(crate) keys: Vec<Self>,
}

impl<'a> Key<'a> {
    pub(crate) fn new(name: &'a str) -> Self {
        Self {
            name,
            ..Self::default()
        }
    }

    pub(crate) fn value(mut self, name: &'a str, kind: u32, data: impl Into<Vec<u8>>) -> Self {
        self.values.push((name, kind, data.into()));
        self
    }

    pub(crate) fn key(mut self, key: Self) -> Self {
        self.keys.push(key);
        self
    }
}

pub(crate) fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// Text as values have it, with a zero at its end.
pub(crate) fn text(text: &str) -> Vec<u8> {
    utf16(&format!("{text}\0"))
}

/// A whole hive.
pub(crate) fn hive(root: &Key<'_>, minor: u32) -> Vec<u8> {
    let mut builder = Builder {
        cells: vec![0; FIRST],
        minor,
    };
    let security = [b"sk\0\0".to_vec(), vec![0; 16 + 64]].concat();
    let security = builder.cell(&security);
    builder.put(security as usize + 4 + 4, security);
    builder.put(security as usize + 4 + 8, security);
    builder.put(security as usize + 4 + 12, 1);
    let root = builder.key(root, NONE, security);
    builder.finish(root)
}

impl Builder {
    fn put(&mut self, at: usize, word: u32) {
        self.cells[at..at + 4].copy_from_slice(&word.to_le_bytes());
    }

    fn cell(&mut self, content: &[u8]) -> u32 {
        let place = self.cells.len();
        let length = (content.len() + 4).next_multiple_of(8);
        self.cells.extend((-(length as i32)).to_le_bytes());
        self.cells.extend(content);
        self.cells.resize(place + length, 0);
        place as u32
    }

    fn key(&mut self, key: &Key<'_>, parent: u32, security: u32) -> u32 {
        let is_compressed = key.name.is_ascii();
        let name = if is_compressed {
            key.name.as_bytes().to_vec()
        } else {
            utf16(key.name)
        };
        let mut node = vec![0; 76];
        node[..2].copy_from_slice(b"nk");
        let flags: u16 = u16::from(is_compressed) << 5 | if parent == NONE { 0x0c } else { 0 };
        node[2..4].copy_from_slice(&flags.to_le_bytes());
        node[4..12].copy_from_slice(&133_000_000_000_000_000_u64.to_le_bytes());
        node[72..74].copy_from_slice(&(name.len() as u16).to_le_bytes());
        node.extend(&name);
        let cell = self.cell(&node);
        let at = cell as usize + 4;
        let values: Vec<u32> = key.values.iter().map(|value| self.value(value)).collect();
        let keys: Vec<u32> = key.keys.iter().map(|key| self.key(key, cell, security)).collect();
        let value_list = if values.is_empty() {
            NONE
        } else {
            self.list(&[], &values)
        };
        let key_list = if keys.is_empty() { NONE } else { self.key_list(&keys) };
        for (offset, word) in [
            (16, if parent == NONE { 0 } else { parent }),
            (20, keys.len() as u32),
            (28, key_list),
            (32, NONE),
            (36, values.len() as u32),
            (40, value_list),
            (44, security),
            (48, NONE),
        ] {
            self.put(at + offset, word);
        }
        cell
    }

    fn list(&mut self, head: &[u8], words: &[u32]) -> u32 {
        let words: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.cell(&[head, &words].concat())
    }

    fn counted(&mut self, kind: &[u8; 2], words: &[u32], width: usize) -> u32 {
        let count = (words.len() / width) as u16;
        self.list(&[kind, &count.to_le_bytes()[..]].concat(), words)
    }

    /// One list, or a list of several kinds of lists.
    fn key_list(&mut self, keys: &[u32]) -> u32 {
        let hashed = |keys: &[u32]| keys.iter().flat_map(|key| [*key, 0]).collect::<Vec<_>>();
        if keys.len() < 500 {
            return self.counted(b"lh", &hashed(keys), 2);
        }
        let parts: Vec<u32> = keys
            .chunks(500)
            .enumerate()
            .map(|(number, part)| match number % 3 {
                0 => self.counted(b"lh", &hashed(part), 2),
                1 => self.counted(b"li", part, 1),
                _ => self.counted(b"lf", &hashed(part), 2),
            })
            .collect();
        self.counted(b"ri", &parts, 1)
    }

    fn value(&mut self, (name, kind, data): &Value<'_>) -> u32 {
        let is_compressed = name.is_ascii();
        let text = if is_compressed {
            name.as_bytes().to_vec()
        } else {
            utf16(name)
        };
        let (size, place) = match data.len() {
            0..=4 => {
                let mut word = [0; 4];
                word[..data.len()].copy_from_slice(data);
                (data.len() as u32 | 1 << 31, u32::from_le_bytes(word))
            }
            16_345.. if self.minor >= 4 => (data.len() as u32, self.segments(data)),
            _ => (data.len() as u32, self.cell(data)),
        };
        let mut cell = b"vk".to_vec();
        cell.extend((text.len() as u16).to_le_bytes());
        for word in [size, place, *kind, is_compressed.into()] {
            cell.extend(word.to_le_bytes());
        }
        cell.extend(text);
        self.cell(&cell)
    }

    fn segments(&mut self, data: &[u8]) -> u32 {
        let parts: Vec<u32> = data.chunks(16_344).map(|part| self.cell(part)).collect();
        let list = self.list(&[], &parts);
        let count = (parts.len() as u16).to_le_bytes();
        self.list(&[b"db", &count[..]].concat(), &[list, 0])
    }

    fn finish(mut self, root: u32) -> Vec<u8> {
        let used = self.cells.len();
        let length = (used + 8).next_multiple_of(4096);
        self.cells.extend(((length - used) as u32).to_le_bytes());
        self.cells.resize(length, 0);
        self.cells[..4].copy_from_slice(b"hbin");
        self.put(8, length as u32);
        let mut base = vec![0; 4096];
        base[..4].copy_from_slice(b"regf");
        for (at, word) in [
            (4, 7),
            (8, 7),
            (20, 1),
            (24, self.minor),
            (32, 1),
            (36, root),
            (40, length as u32),
            (44, 1),
        ] {
            base[at..at + 4].copy_from_slice(&u32::to_le_bytes(word));
        }
        sum(&mut base);
        [base, self.cells].concat()
    }
}

/// Puts the right checksum into a base block.
pub(crate) fn sum(base: &mut [u8]) {
    let words = base[..508].chunks_exact(4);
    let sum = words.fold(0, |sum, word| sum ^ u32::from_le_bytes(word.try_into().unwrap()));
    base[508..512].copy_from_slice(&sum.to_le_bytes());
}
