//! The map type of fields, arguments and `all_records`.

mod places;

use std::fmt;
use std::marker::PhantomData;
use std::ops::Index;
use std::sync::OnceLock;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

use self::places::Places;
use crate::names_secret;

/// A map in the order in which the server sent it.
///
/// Small maps (a VM's `other_config`) are searched from the front, large ones (`all_records` of a pool) through an
/// index that is made at the first look-up, so that a map which is only iterated costs no more than a vector.
///
/// ```
/// use xenapi_wire::Map;
///
/// let config: Map<String, String> = Map::from([("folder", "/lab"), ("owner", "support")]);
/// assert_eq!(config.get("owner").map(String::as_str), Some("support"));
/// assert_eq!(config["folder"], "/lab");
/// ```
///
/// # Printing
///
/// `Debug` shows each key, but `(hidden)` for the value of one that names a secret: maps such as
/// a storage repository's `device_config` and `other_config` hold passwords beside what is worth a log
/// line. A key does where it contains `passw`, `pwd`, `secret`, `private_key`, `token` or `session_id`, in any case.
///
/// ```
/// let config = xenapi_wire::Map::<String, String>::from([("server", "nas"), ("cifspassword", "hunter2")]);
/// assert_eq!(format!("{config:?}"), r#"{"server": "nas", "cifspassword": (hidden)}"#);
/// ```
#[derive(Clone)]
pub struct Map<K, V> {
    entries: Vec<(K, V)>,
    /// Made at the first look-up; `None` inside where there are too many entries to count.
    places: OnceLock<Option<Places>>,
}

/// From this many entries on a look-up goes through the index.
const INDEXED: usize = 16;

impl<K, V> Map<K, V> {
    /// An empty map.
    pub const fn new() -> Self {
        Self {
            entries: Vec::new(),
            places: OnceLock::new(),
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
                self.entries.push((key, value));
                if let Some(Some(places)) = self.places.get_mut()
                    && !places.add_last(&self.entries)
                {
                    self.places = OnceLock::new();
                }
                None
            }
        }
    }

    /// Takes all entries of `key` out, and answers with the value that it had. The longer the map, the more this costs.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: std::borrow::Borrow<Q>,
    {
        let at = self.position(key)?;
        self.places = OnceLock::new();
        let (_, value) = self.entries.remove(at);
        self.entries.retain(|(known, _)| known.borrow() != key);
        Some(value)
    }

    fn position<Q: Ord + ?Sized>(&self, key: &Q) -> Option<usize>
    where
        K: std::borrow::Borrow<Q>,
    {
        let indexed = self.entries.len() >= INDEXED;
        match indexed.then(|| self.places.get_or_init(|| Places::of(&self.entries))) {
            Some(Some(places)) => places.find(key, &self.entries),
            _ => self.entries.iter().rposition(|(known, _)| known.borrow() == key),
        }
    }
}

impl<K, V> Default for Map<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for Map<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for (key, value) in self {
            if names_secret(&format!("{key:?}")) {
                map.entry(key, &format_args!("(hidden)"));
            } else {
                map.entry(key, value);
            }
        }
        map.finish()
    }
}

impl<K: Ord, V: PartialEq> PartialEq for Map<K, V> {
    /// Equal when each key has the same [value](Map::get) in both, in whatever order: a server's map has no order of
    /// its own.
    fn eq(&self, other: &Self) -> bool {
        let has_all = |keys: &Self| {
            keys.keys()
                .all(|key| matches!((self.get(key), other.get(key)), (Some(one), Some(two)) if one == two))
        };
        has_all(self) && has_all(other)
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
            places: OnceLock::new(),
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
    fn removing_a_key_takes_all_its_entries() {
        for filler in [0, 40] {
            let entries = (0..filler).map(|key| (key + 10, 0)).chain([(1, 1), (1, 2)]);
            let mut map: Map<i32, i32> = entries.collect();
            assert_eq!(map.remove(&1), Some(2));
            assert_eq!((map.get(&1), map.len()), (None, filler as usize));
        }
    }

    /// A key that counts how often it is compared.
    #[derive(PartialEq, Eq)]
    struct Counted(u32);

    thread_local! {
        static COMPARISONS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
    }

    impl Ord for Counted {
        fn cmp(&self, other: &Self) -> std::cmp::Ordering {
            COMPARISONS.set(COMPARISONS.get() + 1);
            self.0.cmp(&other.0)
        }
    }

    impl PartialOrd for Counted {
        fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
            Some(self.cmp(other))
        }
    }

    #[test]
    fn filling_a_large_map_costs_little_per_entry() {
        let orders: [fn(u32) -> u32; 3] = [|at| at, |at| u32::MAX - at, |at| at.wrapping_mul(2_654_435_761)];
        for order in orders {
            const SIZE: u32 = 10_000;
            COMPARISONS.set(0);
            let mut map = Map::new();
            for at in 0..SIZE {
                assert_eq!(map.insert(Counted(order(at)), at), None);
            }
            for at in 0..SIZE {
                assert_eq!(map.get(&Counted(order(at))), Some(&at));
            }
            let each = COMPARISONS.get() / SIZE as usize;
            assert!(each < 300, "{each} comparisons for each entry");
        }
    }

    #[test]
    fn what_a_key_has_last_is_what_is_compared() {
        for filler in [0, 40] {
            let map = |entries: &[(i32, i32)]| -> Map<i32, i32> {
                let filler = (0..filler).map(|key| (key + 10, 0));
                filler.chain(entries.iter().copied()).collect()
            };
            let twice = map(&[(1, 1), (1, 2)]);
            assert_eq!(twice, twice);
            assert_eq!(twice, map(&[(1, 2)]));
            assert_eq!(map(&[(1, 2)]), twice);
            assert_ne!(twice, map(&[(1, 2), (1, 1)]));
            assert_ne!(twice, map(&[(1, 2), (2, 2)]));
            assert_ne!(map(&[(1, 2), (2, 2)]), twice);
        }
    }

    #[test]
    fn order_does_not_matter_for_equality() {
        let one: Map<String, i64> = Map::from([("a", 1), ("b", 2)]);
        assert_eq!(one, Map::from([("b", 2), ("a", 1)]));
        assert_ne!(one, Map::from([("b", 2), ("a", 2)]));
    }
}
