//! The map type of fields, arguments and `all_records`.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Index;
use std::sync::OnceLock;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

/// A map in the order in which the server sent it.
///
/// Small maps (a VM's `other_config`) are searched from the front, large ones (`all_records` of a pool) through an
/// index that is made at the first look-up, so that a map which is only iterated costs no more than a vector.
///
/// ```
/// use xenapi::Map;
///
/// let config: Map<String, String> = Map::from([("folder", "/lab"), ("owner", "support")]);
/// assert_eq!(config.get("owner").map(String::as_str), Some("support"));
/// assert_eq!(config["folder"], "/lab");
/// ```
#[derive(Clone)]
pub struct Map<K, V> {
    entries: Vec<(K, V)>,
    order: OnceLock<Box<[u32]>>,
}

/// From this many entries on a look-up goes through the index.
const INDEXED: usize = 16;

impl<K, V> Map<K, V> {
    /// An empty map.
    pub const fn new() -> Self {
        Self {
            entries: Vec::new(),
            order: OnceLock::new(),
        }
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entries in the server's order.
    pub fn iter(&self) -> Iter<'_, K, V> {
        Iter {
            entries: self.entries.iter(),
        }
    }

    /// The keys in the server's order.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &K> + DoubleEndedIterator {
        self.entries.iter().map(|(key, _)| key)
    }

    /// The values in the server's order.
    pub fn values(&self) -> impl ExactSizeIterator<Item = &V> + DoubleEndedIterator {
        self.entries.iter().map(|(_, value)| value)
    }

    /// The values, without their keys.
    pub fn into_values(self) -> impl ExactSizeIterator<Item = V> {
        self.entries.into_iter().map(|(_, value)| value)
    }
}

impl<K: Ord, V> Map<K, V> {
    /// The value of `key`; of several entries with one key (old databases have them) the last.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: std::borrow::Borrow<Q>,
    {
        self.position(key).map(|at| &self.entries[at].1)
    }

    /// Whether `key` has an entry.
    pub fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: std::borrow::Borrow<Q>,
    {
        self.position(key).is_some()
    }

    /// Sets the value of `key` and answers with the one it had.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.position(&key) {
            Some(at) => Some(std::mem::replace(&mut self.entries[at].1, value)),
            None => {
                self.order = OnceLock::new();
                self.entries.push((key, value));
                None
            }
        }
    }

    /// Takes the entry of `key` out.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: std::borrow::Borrow<Q>,
    {
        let at = self.position(key)?;
        self.order = OnceLock::new();
        Some(self.entries.remove(at).1)
    }

    fn position<Q: Ord + ?Sized>(&self, key: &Q) -> Option<usize>
    where
        K: std::borrow::Borrow<Q>,
    {
        if self.entries.len() < INDEXED || u32::try_from(self.entries.len()).is_err() {
            return self.entries.iter().rposition(|(known, _)| known.borrow() == key);
        }
        let order = self.order.get_or_init(|| {
            let mut order: Box<[u32]> = (0..self.entries.len() as u32).collect();
            order.sort_by(|&a, &b| self.entries[a as usize].0.cmp(&self.entries[b as usize].0));
            order
        });
        let end = order.partition_point(|&at| self.entries[at as usize].0.borrow() <= key);
        let at = *order[..end].last()? as usize;
        (self.entries[at].0.borrow() == key).then_some(at)
    }
}

impl<K, V> Default for Map<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for Map<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<K: Ord, V: PartialEq> PartialEq for Map<K, V> {
    /// Equal when both hold the same entries, in whatever order: a server's map has no order of its own.
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().all(|(key, value)| other.get(key) == Some(value))
    }
}

impl<K: Ord, V: Eq> Eq for Map<K, V> {}

impl<K: Ord + std::borrow::Borrow<Q>, V, Q: Ord + fmt::Debug + ?Sized> Index<&Q> for Map<K, V> {
    type Output = V;

    /// # Panics
    /// Where there is no such key; [`get`](Map::get) asks.
    fn index(&self, key: &Q) -> &V {
        self.get(key).unwrap_or_else(|| panic!("the map has no key {key:?}"))
    }
}

impl<K, V> FromIterator<(K, V)> for Map<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        Self {
            entries: entries.into_iter().collect(),
            order: OnceLock::new(),
        }
    }
}

impl<K, V, A: Into<K>, B: Into<V>, const N: usize> From<[(A, B); N]> for Map<K, V> {
    fn from(entries: [(A, B); N]) -> Self {
        entries
            .into_iter()
            .map(|(key, value)| (key.into(), value.into()))
            .collect()
    }
}

/// The entries of a [`Map`], in the server's order.
#[derive(Debug)]
pub struct Iter<'a, K, V> {
    entries: std::slice::Iter<'a, (K, V)>,
}

impl<'a, K, V> Iterator for Iter<'a, K, V> {
    type Item = (&'a K, &'a V);

    fn next(&mut self) -> Option<Self::Item> {
        self.entries.next().map(|(key, value)| (key, value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.entries.size_hint()
    }
}

impl<K, V> ExactSizeIterator for Iter<'_, K, V> {}

impl<'a, K, V> IntoIterator for &'a Map<K, V> {
    type Item = (&'a K, &'a V);
    type IntoIter = Iter<'a, K, V>;

    fn into_iter(self) -> Iter<'a, K, V> {
        self.iter()
    }
}

impl<K, V> IntoIterator for Map<K, V> {
    type Item = (K, V);
    type IntoIter = std::vec::IntoIter<(K, V)>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

impl<'de, K: Deserialize<'de>, V: Deserialize<'de>> Deserialize<'de> for Map<K, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<K, V>(PhantomData<fn() -> (K, V)>);
        impl<'de, K: Deserialize<'de>, V: Deserialize<'de>> Visitor<'de> for Entries<K, V> {
            type Value = Map<K, V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Map<K, V>, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = access.next_entry()? {
                    entries.push(entry);
                }
                Ok(entries.into_iter().collect())
            }
        }
        deserializer.deserialize_map(Entries(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_and_large_maps_answer_alike() {
        for size in [0i64, 1, 15, 16, 17, 1000] {
            let mut map: Map<i64, String> = (0..size).rev().map(|key| (key, key.to_string())).collect();
            assert_eq!(
                map.keys().copied().collect::<Vec<_>>(),
                (0..size).rev().collect::<Vec<_>>()
            );
            for key in 0..size {
                assert_eq!(map.get(&key), Some(&key.to_string()));
            }
            assert_eq!(map.get(&size), None);
            assert_eq!(map.insert(size, "new".into()), None);
            assert_eq!(map.insert(size, "newer".into()), Some("new".into()));
            assert_eq!(map.remove(&size), Some("newer".into()));
            assert_eq!((map.get(&size), map.len()), (None, size as usize));
        }
    }

    #[test]
    fn of_two_equal_keys_the_last_counts() {
        for filler in [0, 40] {
            let entries = (0..filler).map(|key| (key + 10, 0)).chain([(1, 1), (1, 2)]);
            assert_eq!(entries.collect::<Map<i32, i32>>().get(&1), Some(&2));
        }
    }

    #[test]
    fn order_does_not_matter_for_equality() {
        let one: Map<String, i64> = Map::from([("a", 1), ("b", 2)]);
        assert_eq!(one, Map::from([("b", 2), ("a", 1)]));
        assert_ne!(one, Map::from([("b", 2), ("a", 2)]));
    }
}
