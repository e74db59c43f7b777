//! What Windows does to files that have grown for years, done by hand.

use super::{attribute, change_record, cluster_size, mft, number, put};

const ATTRIBUTE_LIST: u64 = 0x20;
const END: u64 = 0xffff_ffff;

/// Splits the attribute of this kind of a file record: its second half is described in the record `spare`, and its
/// clusters are moved to where the volume is empty, backwards and none beside another.
pub(crate) fn split(image: &mut [u8], record: usize, kind: u64, spare: usize) {
    let cluster = cluster_size(image);
    let to = empty(image, cluster, 1000);
    let mut moved = Vec::new();
    let mut second = Vec::new();
    let mut sequence = 0;
    let mut clusters = Vec::new();
    change_record(image, record, |bytes| {
        sequence = number(bytes, 16, 2);
        let mut attributes = attributes(bytes);
        let index = attributes
            .iter()
            .position(|attribute| number(attribute, 0, 4) == kind)
            .unwrap();
        clusters = runs(&attributes[index]);
        let half = clusters.len() / 2;
        moved = (0..clusters.len() - half).rev().map(|place| to + 2 * place).collect();
        second = with_runs(&attributes[index], half, &moved);
        attributes[index] = with_runs(&attributes[index], 0, &clusters[..half]);
        clusters.drain(..half);

        let mut list = Vec::new();
        for attribute in &attributes {
            list.extend(entry(attribute, record as u64 | sequence << 48));
            if number(attribute, 0, 4) == kind {
                list.extend(entry(&second, spare as u64 | 1 << 48));
            }
        }
        attributes.insert(1, resident(ATTRIBUTE_LIST, &list));
        put_attributes(bytes, &attributes);
    });
    for (from, to) in clusters.into_iter().zip(moved) {
        assert!(
            image[to * cluster..][..cluster].iter().all(|&byte| byte == 0),
            "the cluster is free"
        );
        image.copy_within(from * cluster..(from + 1) * cluster, to * cluster);
        image[from * cluster..(from + 1) * cluster].fill(0);
    }
    let start = mft(image) + record * 1024;
    let header = image[start..start + 64].to_vec();
    put(image, mft(image) + spare * 1024, &header);
    change_record(image, spare, |bytes| {
        put(bytes, 16, &[1, 0]);
        put(bytes, 22, &[1, 0]);
        put(bytes, 32, &(record as u64 | sequence << 48).to_le_bytes());
        put(bytes, 44, &(spare as u32).to_le_bytes());
        put_attributes(bytes, &[second]);
    });
    if record < 4 {
        let mirror = number(image, 56, 8) as usize * cluster;
        let start = mft(image);
        image.copy_within(start..start + 4096, mirror);
    }
}

/// The first of so many clusters in which nothing is.
fn empty(image: &[u8], cluster: usize, count: usize) -> usize {
    let mut found = 0;
    for (index, bytes) in image.chunks(cluster).enumerate() {
        found = if bytes.iter().all(|&byte| byte == 0) {
            found + 1
        } else {
            0
        };
        if found == count {
            return index + 1 - count;
        }
    }
    panic!("the volume is too full");
}

fn attributes(record: &[u8]) -> Vec<Vec<u8>> {
    let mut attributes = Vec::new();
    let mut at = number(record, 20, 2) as usize;
    while number(record, at, 4) != END {
        let len = number(record, at + 4, 4) as usize;
        attributes.push(record[at..at + len].to_vec());
        at += len;
    }
    attributes
}

fn put_attributes(record: &mut [u8], attributes: &[Vec<u8>]) {
    let start = number(record, 20, 2) as usize;
    let bytes = [attributes.concat(), END.to_le_bytes().to_vec()].concat();
    record[start..].fill(0);
    put(record, start, &bytes);
    put(record, 24, &((start + bytes.len()) as u32).to_le_bytes());
}

/// The clusters of an attribute, one by one.
fn runs(attribute: &[u8]) -> Vec<usize> {
    let mut clusters = Vec::new();
    let mut at = number(attribute, 32, 2) as usize;
    let mut cluster = 0i64;
    while attribute[at] != 0 {
        let [len, distance] = [attribute[at] & 15, attribute[at] >> 4].map(usize::from);
        let count = number(attribute, at + 1, len);
        let shift = 64 - 8 * distance as u32;
        cluster += (number(attribute, at + 1 + len, distance) << shift) as i64 >> shift;
        clusters.extend((0..count).map(|index| cluster as usize + index as usize));
        at += 1 + len + distance;
    }
    clusters
}

/// The attribute with these clusters, the first of which is the cluster `first` of its stream.
fn with_runs(attribute: &[u8], first: usize, clusters: &[usize]) -> Vec<u8> {
    let start = number(attribute, 32, 2) as usize;
    let mut changed = attribute[..start].to_vec();
    let mut before = 0;
    let mut rest = clusters;
    while let Some(&cluster) = rest.first() {
        let len = rest
            .iter()
            .zip(cluster..)
            .take_while(|(found, expected)| **found == *expected)
            .count();
        changed.push(0x32);
        changed.extend((len as u16).to_le_bytes());
        changed.extend(&(cluster as i64 - before).to_le_bytes()[..3]);
        before = cluster as i64;
        rest = &rest[len..];
    }
    changed.push(0);
    changed.resize(changed.len().next_multiple_of(8), 0);
    let len = changed.len() as u32;
    put(&mut changed, 4, &len.to_le_bytes());
    put(&mut changed, 16, &(first as u64).to_le_bytes());
    put(&mut changed, 24, &((first + clusters.len()) as u64 - 1).to_le_bytes());
    changed
}

fn resident(kind: u64, value: &[u8]) -> Vec<u8> {
    let mut attribute = vec![0; (24 + value.len()).next_multiple_of(8)];
    let len = attribute.len() as u32;
    put(&mut attribute, 0, &(kind as u32).to_le_bytes());
    put(&mut attribute, 4, &len.to_le_bytes());
    put(&mut attribute, 14, &[99]);
    put(&mut attribute, 16, &(value.len() as u32).to_le_bytes());
    put(&mut attribute, 20, &[24]);
    put(&mut attribute, 24, value);
    attribute
}

/// The entry of an attribute list for an attribute in the record `holder`.
fn entry(attribute: &[u8], holder: u64) -> Vec<u8> {
    let name_at = number(attribute, 10, 2) as usize;
    let name = &attribute[name_at..name_at + 2 * attribute[9] as usize];
    let mut entry = vec![0; (26 + name.len()).next_multiple_of(8)];
    let len = entry.len() as u16;
    put(&mut entry, 0, &attribute[..4]);
    put(&mut entry, 4, &len.to_le_bytes());
    put(&mut entry, 6, &[attribute[9], 26]);
    if attribute[8] != 0 {
        put(&mut entry, 8, &attribute[16..24]);
    }
    put(&mut entry, 16, &holder.to_le_bytes());
    put(&mut entry, 24, &attribute[14..16]);
    put(&mut entry, 26, name);
    entry
}

/// Changes the attribute of this kind of a file record.
pub(crate) fn change_attribute(image: &mut [u8], record: usize, kind: u64, change: impl FnOnce(&mut [u8])) {
    change_record(image, record, |bytes| {
        let at = attribute(bytes, kind);
        let len = number(bytes, at + 4, 4) as usize;
        change(&mut bytes[at..at + len]);
    });
}
