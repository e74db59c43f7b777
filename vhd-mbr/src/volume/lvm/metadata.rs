//! What the description of a volume group says.

use std::collections::{BTreeMap, BTreeSet};

use super::Error;
use super::config::{Section, Value};

const SECTOR: u64 = 512;
/// Physical extents are not larger: 16 EiB are 2^55 sectors.
const LARGEST_EXTENT: u64 = 1 << 40;

#[derive(Debug)]
pub(super) struct Metadata {
    pub(super) name: String,
    pub(super) id: String,
    /// Which of several descriptions is the newest.
    pub(super) number: u64,
    /// In bytes.
    pub(super) extent_size: u64,
    pub(super) physical: BTreeMap<String, Physical>,
    pub(super) logical: BTreeMap<String, Logical>,
    /// Logical volumes that keep what has changed since a snapshot.
    pub(super) snapshots: BTreeSet<String>,
    /// Logical volumes of which there are snapshots.
    pub(super) origins: BTreeSet<String>,
}

#[derive(Debug)]
pub(super) struct Physical {
    pub(super) id: String,
    /// Where its first extent is, in bytes.
    pub(super) start: u64,
    pub(super) extents: u64,
}

#[derive(Debug)]
pub(super) struct Logical {
    pub(super) is_visible: bool,
    pub(super) segments: Vec<Segment>,
    /// In extents.
    pub(super) len: u64,
}

#[derive(Debug)]
pub(super) struct Segment {
    pub(super) start: u64,
    pub(super) len: u64,
    pub(super) kind: String,
    pub(super) areas: Areas,
}

/// Where a segment is: on physical volumes or on other logical ones, each from an extent on.
#[derive(Debug)]
pub(super) enum Areas {
    /// One behind the other in turns of so many bytes.
    Stripes(Vec<(String, u64)>, u64),
    /// The same everywhere.
    Mirrors(Vec<(String, u64)>),
    /// In a way that is not read.
    Other,
}

impl Metadata {
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        let file = Section::parse(text)?;
        // The group is the only section.
        let mut groups = file.sections.iter();
        let (Some((name, group)), None) = (groups.next(), groups.next()) else {
            return Err(Error::missing("it is not of one volume group"));
        };
        let extent_size = group.number("extent_size")?.checked_mul(SECTOR);
        let extent_size = extent_size.filter(|size| (1..=LARGEST_EXTENT).contains(size));
        let mut metadata = Self {
            name: name.clone(),
            id: group.text("id")?.to_owned(),
            number: group.number("seqno")?,
            extent_size: extent_size.ok_or_else(|| Error::missing("extents have no possible size"))?,
            physical: BTreeMap::new(),
            logical: BTreeMap::new(),
            snapshots: BTreeSet::new(),
            origins: BTreeSet::new(),
        };
        for (name, section) in sections(group, "physical_volumes") {
            metadata.physical.insert(name.clone(), physical(section)?);
        }
        for (name, section) in sections(group, "logical_volumes") {
            metadata.logical.insert(name.clone(), logical(section)?);
            for segment in section.sections.values() {
                metadata.origins.extend(segment.text("origin").map(str::to_owned));
                for store in ["cow_store", "merging_store"] {
                    metadata.snapshots.extend(segment.text(store).map(str::to_owned));
                }
            }
        }
        Ok(metadata)
    }
}

fn sections<'a>(group: &'a Section, name: &str) -> impl Iterator<Item = (&'a String, &'a Section)> {
    group.section(name).into_iter().flat_map(|section| &section.sections)
}

fn physical(section: &Section) -> Result<Physical, Error> {
    let start = section.number("pe_start")?.checked_mul(SECTOR);
    Ok(Physical {
        id: section.text("id")?.to_owned(),
        start: start.ok_or_else(|| Error::missing("a physical volume is larger than any"))?,
        extents: section.number("pe_count")?,
    })
}

fn logical(section: &Section) -> Result<Logical, Error> {
    let mut segments = Vec::new();
    for section in section.sections.values().filter(|section| section.text("type").is_ok()) {
        segments.push(segment(section)?);
    }
    segments.sort_by_key(|segment| segment.start);
    let mut len = 0u64;
    for segment in &segments {
        if segment.start != len {
            return Err(Error::missing(
                "the segments of a logical volume do not follow one another",
            ));
        }
        let end = len.checked_add(segment.len).filter(|&end| end > len);
        len = end.ok_or_else(|| Error::missing("a segment has no possible length"))?;
    }
    Ok(Logical {
        is_visible: section.lists("status", "VISIBLE"),
        segments,
        len,
    })
}

fn segment(section: &Section) -> Result<Segment, Error> {
    let kind = section.text("type")?;
    let areas = match kind {
        "striped" | "linear" => {
            let stripes = pairs(section.list("stripes"));
            let size = match stripes.len() {
                1 => 0,
                _ => section.number("stripe_size")?.saturating_mul(SECTOR),
            };
            Areas::Stripes(stripes, size)
        }
        "mirror" => Areas::Mirrors(pairs(section.list("mirrors"))),
        "raid1" => Areas::Mirrors(images(section.list("raids"))),
        _ => Areas::Other,
    };
    Ok(Segment {
        start: section.number("start_extent")?,
        len: section.number("extent_count")?,
        kind: kind.to_owned(),
        areas,
    })
}

/// Names, each with the extent from which it is used.
fn pairs(list: &[Value]) -> Vec<(String, u64)> {
    let pairs = list.chunks_exact(2).filter_map(|pair| match pair {
        [Value::Text(name), Value::Number(extent)] => Some((name.clone(), *extent)),
        _ => None,
    });
    pairs.collect()
}

/// Names, first of a leg's metadata, then of its image.
fn images(list: &[Value]) -> Vec<(String, u64)> {
    let images = list.chunks_exact(2).filter_map(|pair| match pair {
        [_, Value::Text(name)] => Some((name.clone(), 0)),
        _ => None,
    });
    images.collect()
}
