//! Which runs of words the server's own documentation has. Our sentences must share none of them, and the words
//! themselves are not ours to keep: only hashes are.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

use serde_json::Value as Json;

/// How many words in common are a loan.
const RUN: usize = 8;

/// Five bytes keep the file small and make a false alarm in a hundred thousand runs as likely as one in a hundred.
type Hash = [u8; 5];

/// Runs of words, as hashes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Phrases(BTreeSet<Hash>);

impl Phrases {
    /// The runs of all texts in a dump of the server's datamodel.
    ///
    /// # Errors
    /// Where it is no JSON.
    pub fn of_dump(text: &str) -> serde_json::Result<Self> {
        let mut phrases = Self::default();
        phrases.learn(&serde_json::from_str(text)?);
        Ok(phrases)
    }

    fn learn(&mut self, json: &Json) {
        match json {
            Json::String(text) => self.0.extend(runs(text).iter().map(|run| hash(run))),
            Json::Array(items) => items.iter().for_each(|item| self.learn(item)),
            Json::Object(members) => members.values().for_each(|member| self.learn(member)),
            _ => {}
        }
    }

    /// Reads what [`save`](Phrases::save) wrote.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn load(path: &Path) -> io::Result<Self> {
        let bytes = fs::read(path)?;
        let (hashes, _) = bytes.as_chunks();
        Ok(Self(hashes.iter().copied().collect()))
    }

    /// Writes the hashes, in order, one behind the other.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        let bytes: Vec<u8> = self.0.iter().flatten().copied().collect();
        fs::write(path, bytes)
    }

    /// How many runs there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The runs of a text that are among these.
    pub fn shared(&self, text: &str) -> Vec<String> {
        runs(text)
            .into_iter()
            .filter(|run| self.0.contains(&hash(run)))
            .collect()
    }
}

/// The words of a text, in small letters and digits.
pub fn words(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    words
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
        .collect()
}

fn runs(text: &str) -> Vec<String> {
    words(text).windows(RUN).map(|run| run.join(" ")).collect()
}

/// The beginning of FNV-1a with 64 bits, which is the same everywhere and for ever.
fn hash(run: &str) -> Hash {
    let fnv = run.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let [a, b, c, d, e, ..] = fnv.to_be_bytes();
    [a, b, c, d, e]
}

#[cfg(test)]
mod tests {
    use super::Phrases;

    #[test]
    fn loans_are_found_whatever_their_case_and_punctuation() {
        let dump = r#"{"classes": [{"doc": "One two three, four five; six (seven) eight nine."}]}"#;
        let phrases = Phrases::of_dump(dump).unwrap();
        assert_eq!(phrases.len(), 2);
        assert_eq!(
            phrases.shared("Here: ONE two `three` four five six seven eight."),
            ["one two three four five six seven eight"]
        );
        assert!(phrases.shared("one two three four five six seven").is_empty());
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("phrases");
        phrases.save(&file).unwrap();
        assert_eq!(Phrases::load(&file).unwrap(), phrases);
    }
}
