//! Trees: finding items, and going from one to the next.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use xen_disk::ReadAt;

use super::Error;
use super::chunks::Chunks;
use super::node::{Key, Node, Pointer, kind};
use super::superblock::Superblock;
use crate::filetree::Source;

/// The nodes that were read last take so many bytes at most.
const KEPT: usize = 4 << 20;
/// What has the chunks in their tree.
const CHUNKS: u64 = 256;

/// A disk, read by addresses.
pub(super) struct Space<D> {
    disk: D,
    pub(super) superblock: Superblock,
    pub(super) chunks: Chunks,
    /// By address: each question starts at the root of a tree again.
    nodes: Mutex<HashMap<u64, Arc<Node>>>,
}

/// An item of a leaf.
pub(super) struct Item {
    pub(super) key: Key,
    leaf: Arc<Node>,
    range: Range<usize>,
}

impl Item {
    pub(super) fn bytes(&self) -> &[u8] {
        self.leaf.bytes(self.range.clone())
    }

    /// Where it is on the volume.
    pub(super) fn place(&self) -> u64 {
        self.leaf.place + self.range.start as u64
    }
}

/// The items of one object and of one kind, in order.
pub(super) struct Items {
    object: u64,
    kind: u8,
    /// The entries that are next, from the root down to a leaf.
    way: Vec<(Arc<Node>, usize)>,
    last: Option<Key>,
}

impl<D: ReadAt> Space<D> {
    pub(super) fn open(disk: D) -> Result<Self, Error> {
        let superblock = Superblock::read(&Source::new(&disk)?)?;
        let chunks = Chunks::of_superblock(&superblock.chunks, superblock.device)?;
        let mut space = Self {
            disk,
            superblock,
            chunks,
            nodes: Mutex::default(),
        };
        let mut items = space.items(space.superblock.chunk_tree, CHUNKS, kind::CHUNK, 0)?;
        let mut chunks = Chunks::default();
        while let Some(item) = items.next(&space)? {
            chunks.add(item.key, item.bytes(), item.place(), space.superblock.device)?;
        }
        space.chunks = chunks;
        Ok(space)
    }

    pub(super) fn source(&self) -> Result<Source<'_>, Error> {
        Ok(Source::new(&self.disk)?)
    }

    fn node(&self, pointer: &Pointer) -> Result<Arc<Node>, Error> {
        let nodes = || self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        let known = nodes().get(&pointer.address).cloned();
        let node = match known {
            Some(node) => node,
            None => {
                let node = Arc::new(self.read_node(pointer.address)?);
                let mut nodes = nodes();
                if nodes.len() >= KEPT / self.superblock.node as usize {
                    nodes.clear();
                }
                nodes.insert(pointer.address, Arc::clone(&node));
                node
            }
        };
        node.check(pointer)?;
        Ok(node)
    }

    /// The first copy of a node that is whole.
    fn read_node(&self, address: u64) -> Result<Node, Error> {
        let (source, len) = (self.source()?, self.superblock.node);
        let mut first = None;
        for place in self.chunks.places(address, len.into())? {
            let raw = source.read(place, len as usize).map_err(Error::from);
            match raw.and_then(|raw| Node::parse(raw, place, address, &self.superblock)) {
                Ok(node) => return Ok(node),
                Err(error) => first = first.or(Some(error)),
            }
        }
        Err(first.unwrap_or(Error::Nowhere { address }))
    }

    /// The items of an object and a kind, from the last one on that has `offset` in its key or a smaller one.
    pub(super) fn items(&self, root: Pointer, object: u64, kind: u8, offset: u64) -> Result<Items, Error> {
        let mut way = Vec::new();
        self.descend(&mut way, root, Key::new(object, kind, offset))?;
        Ok(Items {
            object,
            kind,
            way,
            last: None,
        })
    }

    /// The item that has this key.
    pub(super) fn item(&self, root: Pointer, key: Key) -> Result<Option<Item>, Error> {
        let found = self.items(root, key.object, key.kind, key.offset)?.next(self)?;
        Ok(found.filter(|item| item.key == key))
    }

    /// Goes down to the leaf where the key is or would be. Levels fall from node to node, so the way has an end.
    fn descend(&self, way: &mut Vec<(Arc<Node>, usize)>, from: Pointer, key: Key) -> Result<(), Error> {
        let mut pointer = from;
        loop {
            let node = self.node(&pointer)?;
            let slot = node.slot(key);
            if node.is_leaf() {
                way.push((node, slot));
                return Ok(());
            }
            pointer = node.child(slot);
            way.push((node, slot + 1));
        }
    }
}

impl Items {
    /// The next one. Keys grow from one to the next, so no leaf is seen twice.
    pub(super) fn next<D: ReadAt>(&mut self, space: &Space<D>) -> Result<Option<Item>, Error> {
        let first = Key::new(self.object, self.kind, 0);
        while let Some((node, slot)) = self.way.last_mut() {
            if *slot >= node.count() {
                self.way.pop();
                continue;
            }
            let (node, at) = (Arc::clone(node), *slot);
            *slot += 1;
            if !node.is_leaf() {
                space.descend(&mut self.way, node.child(at), first)?;
                continue;
            }
            let key = node.key(at);
            if self.last.is_some_and(|last| key <= last) {
                return Err(Error::damaged(node.place, "the nodes of a tree are not in order"));
            }
            self.last = Some(key);
            if (key.object, key.kind) > (self.object, self.kind) {
                self.way.clear();
            } else if key >= first {
                let range = node.range(at);
                return Ok(Some(Item { key, leaf: node, range }));
            }
        }
        Ok(None)
    }
}
