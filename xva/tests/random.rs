//! Random disks come back whole; random damage neither panics nor hangs.

mod common;

use common::{Builder, FLAVOURS, Hash, UNIT, feed, noise, ova, read, sparse};
use proptest::prelude::*;
use xva::ova::Ova;
use xva::{Event, Parser};

/// A disk: per unit whether it holds data and how many heartbeats precede it; then the length of its tail.
type Plan = (Vec<(bool, u8)>, usize);

fn disk_plan() -> impl Strategy<Value = Plan> {
    (
        prop::collection::vec((any::<bool>(), prop_oneof![4 => Just(0u8), 1 => 1..4u8]), 1..12),
        0..UNIT,
    )
}

fn build(plans: &[Plan], flavour: usize, hash: Hash) -> (Vec<u8>, Vec<(String, Vec<u8>)>) {
    let mut disks = Vec::new();
    for (i, (units, tail)) in plans.iter().enumerate() {
        let filled: Vec<usize> = (0..units.len()).filter(|&unit| units[unit].0).collect();
        disks.push((format!("Ref:1{}", "0".repeat(i)), sparse(units.len(), *tail, &filled)));
    }
    let sizes: Vec<(&str, usize)> = disks.iter().map(|(id, raw)| (&id[..], raw.len())).collect();
    let mut builder = Builder::new(FLAVOURS[flavour], hash).entry("ova.xml", ova(&sizes).as_bytes());
    for ((units, _), (id, raw)) in plans.iter().zip(&disks) {
        let mut number = 0;
        let last = raw.chunks(UNIT).count() - 1;
        for (unit, data) in raw.chunks(UNIT).enumerate() {
            for _ in 0..units
                .get(unit)
                .filter(|_| unit > 0 && unit < last)
                .map_or(0, |unit| unit.1)
            {
                builder = builder.block(id, number, b"");
                number += 1;
            }
            if unit == 0 || unit == last || data.iter().any(|&b| b != 0) {
                builder = builder.block(id, number, data);
            }
            number += 1;
        }
    }
    (builder.end(), disks)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn disks_come_back(
        plans in prop::collection::vec(disk_plan(), 1..4),
        flavour in 0..FLAVOURS.len(),
        hash in prop_oneof![Just(Hash::Xxhash), Just(Hash::Sha1), Just(Hash::None)],
        pieces in prop::collection::vec(1..3000usize, 1..20),
    ) {
        let (archive, disks) = build(&plans, flavour, hash);
        prop_assert_eq!(&feed(&archive, &pieces).unwrap(), &disks);
        prop_assert_eq!(&read(&archive[..]).unwrap(), &disks);
    }

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let _ = read(&bytes[..]);
    }
}

/// Small random numbers that are the same every time.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit.max(1)
    }

    fn mutate(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len());
            let len = self.below(40).min(bytes.len() - at);
            match self.below(6) {
                0 => bytes[at..at + len].fill([0, b'0', b'7', b'9', b'<', 0xff][self.below(6)]),
                1 => drop(bytes.drain(at..at + len)),
                2 => bytes.truncate(at.max(1)),
                3 => {
                    let copied = bytes[at..at + len].to_vec();
                    let to = self.below(bytes.len());
                    bytes.splice(to..to, copied);
                }
                _ if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
                _ => {}
            }
        }
    }
}

/// Makes the checksum of every header hold again, so that damage gets past it.
fn sign_headers(archive: &mut [u8]) {
    for raw in archive.chunks_exact_mut(512) {
        if let Ok(header) = <[u8; 512]>::try_from(&*raw)
            && header[124..135].iter().all(|b| matches!(b, b'0'..=b'9' | 0x80..))
        {
            raw.copy_from_slice(&common::sign(header));
        }
    }
}

#[test]
fn mutated_archives() {
    let raw = noise(700, 1);
    let originals = FLAVOURS
        .iter()
        .flat_map(|&flavour| [(flavour, Hash::Xxhash), (flavour, Hash::None)]);
    let originals: Vec<Vec<u8>> = originals
        .map(|(flavour, hash)| {
            Builder::new(flavour, hash)
                .entry("ova.xml", ova(&[("Ref:1", 700)]).as_bytes())
                .block("Ref:1", 0, &raw[..512])
                .block("Ref:1", 1, &raw[512..])
                .end()
        })
        .collect();
    let mut random = Random(1);
    for round in 0..20_000 {
        let mut archive = originals[round % originals.len()].clone();
        random.mutate(&mut archive);
        if round % 3 > 0 {
            sign_headers(&mut archive);
        }
        let mut parser = Parser::with_options(xva::Options::new().metadata_limit(1 << 16).block_limit(1 << 16));
        let mut rest = &archive[..];
        let mut blocks = 0;
        let mut step = |event: xva::Result<Option<Event<'_>>>| match event {
            Ok(None) => false,
            Ok(Some(Event::Block(block))) => {
                blocks += block.data.len();
                true
            }
            Ok(Some(_)) => true,
            Err(error) => error.is_recoverable(),
        };
        while step(parser.feed(&mut rest)) {}
        parser.end_of_input();
        while step(parser.next_event()) {}
        assert!(blocks <= archive.len());
    }
}

#[test]
fn mutated_metadata() {
    let original = ova(&[("Ref:1", 1000), ("Ref:2", 2000)]);
    let mut random = Random(2);
    for _ in 0..20_000 {
        let mut bytes = original.clone().into_bytes();
        random.mutate(&mut bytes);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Ok(ova) = Ova::parse(text) {
            let _ = ova.objects();
        }
    }
}
