//! Goes through the items of a tree in order.

use std::sync::Arc;

use xen_disk::ReadAt;

use super::Error;
use super::key::Key;
use super::node::{Item, Node, Root};
use super::pool::Pool;

pub(super) struct Cursor<'p, D> {
    pool: &'p Pool<D>,
    /// From the root to a leaf: each node, and which entry is next.
    way: Vec<(Arc<Node>, usize)>,
    last: Option<Key>,
}

impl<'p, D: ReadAt> Cursor<'p, D> {
    /// At the first item with this key or a greater one.
    pub(super) fn seek(pool: &'p Pool<D>, root: Root, key: Key) -> Result<Self, Error> {
        Self::open(pool, root, key, |leaf| leaf.partition_point(|here| here < key))
    }

    /// At the last item with this key or a smaller one; at the first of all where there is none.
    pub(super) fn seek_before(pool: &'p Pool<D>, root: Root, key: Key) -> Result<Self, Error> {
        Self::open(pool, root, key, |leaf| {
            leaf.partition_point(|here| here <= key).saturating_sub(1)
        })
    }

    fn open(pool: &'p Pool<D>, root: Root, key: Key, in_leaf: impl Fn(&Node) -> usize) -> Result<Self, Error> {
        let mut way = Vec::new();
        let mut node = pool.node(root)?;
        while !node.is_leaf() {
            has_entries(&node)?;
            let index = node.partition_point(|here| here <= key).saturating_sub(1);
            let child = child(pool, &node, index)?;
            way.push((node, index));
            node = child;
        }
        let index = in_leaf(&node);
        way.push((node, index));
        Ok(Self { pool, way, last: None })
    }

    /// The next item; none at the end of the tree. Keys rise, so that no damage makes it go round in circles.
    pub(super) fn next(&mut self) -> Result<Option<Item>, Error> {
        while let Some((node, index)) = self.way.last_mut() {
            if *index >= node.count() {
                self.way.pop();
                if let Some((_, index)) = self.way.last_mut() {
                    *index += 1;
                }
                continue;
            }
            if !node.is_leaf() {
                let child = child(self.pool, node, *index)?;
                self.way.push((child, 0));
                continue;
            }
            let item = node.item(*index)?;
            if self.last.is_some_and(|last| last >= item.key) {
                return Err(Error::damaged(node.place(), "the keys of a tree do not rise"));
            }
            *index += 1;
            self.last = Some(item.key);
            return Ok(Some(item));
        }
        Ok(None)
    }
}

fn child<D: ReadAt>(pool: &Pool<D>, node: &Node, index: usize) -> Result<Arc<Node>, Error> {
    let child = pool.node(node.child(index))?;
    has_entries(&child)?;
    Ok(child)
}

/// Only the root of a tree may be empty.
fn has_entries(node: &Node) -> Result<(), Error> {
    match node.count() {
        0 => Err(Error::damaged(node.place(), "a node of a tree is empty")),
        _ => Ok(()),
    }
}
