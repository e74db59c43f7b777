//! The line of values against a store that loses, repeats and delays what is written, and forgets it now and then.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use serial_link_protocol::{Agent, Board, Host, Role};

#[derive(Default)]
struct Store {
    values: BTreeMap<String, String>,
}

impl Store {
    fn write(&mut self, random: &mut fastrand::Rng, noise: u32, values: Vec<(String, String)>) {
        for (name, value) in values {
            assert!(value.len() <= 1024 && value.is_ascii(), "{} characters", value.len());
            if random.u32(..100) >= noise {
                self.values.insert(name, value);
            }
        }
    }

    fn show<R: Role>(&self, random: &mut fastrand::Rng, noise: u32, to: &mut Board<R>) {
        for name in Board::<R>::theirs() {
            if let Some(value) = self.values.get(&name).filter(|_| random.u32(..100) >= noise) {
                to.see(&name, value);
            }
        }
    }
}

/// Moves both texts through, and gives back what arrived.
fn carry(seed: u64, noise: u32, to_guest: &[u8], to_host: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut host, mut guest) = (Board::<Host>::new(7), Board::<Agent>::new(8));
    let mut store = Store::default();
    let (mut down, mut up) = (to_guest, to_host);
    let (mut at_guest, mut at_host) = (Vec::new(), Vec::new());
    let mut now = Duration::ZERO;
    while at_guest.len() < to_guest.len() || at_host.len() < to_host.len() {
        now += Duration::from_millis(100);
        assert!(now < Duration::from_secs(36_000), "it stands still");
        down = &down[host.write(down)..];
        up = &up[guest.write(up)..];
        store.write(&mut random, noise, host.post(now));
        store.write(&mut random, noise, guest.post(now));
        if random.u32(..100) < noise / 4 {
            store.values.clear();
        }
        store.show(&mut random, noise, &mut host);
        store.show(&mut random, noise, &mut guest);
        at_guest.extend(guest.read(random.usize(1..4000)));
        at_host.extend(host.read(random.usize(1..4000)));
    }
    (at_guest, at_host)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn bytes_come_in_order_once(seed: u64, noise in 0_u32..40, down in 0_usize..60_000, up in 0_usize..60_000) {
        let to_guest: Vec<u8> = (0..down).map(|at| (at ^ (at >> 8)) as u8).collect();
        let to_host: Vec<u8> = (0..up).map(|at| (at ^ (at >> 7)) as u8).collect();
        let (at_guest, at_host) = carry(seed, noise, &to_guest, &to_host);
        prop_assert!(at_guest == to_guest && at_host == to_host);
    }

    #[test]
    fn no_values_harm_it(values in proptest::collection::vec(("[gh][0-9a]{1,3}", "[0-9a-f]{0,9} [0-9]{0,11} ?[A-Za-z0-9+/=]{0,2000}"), 0..40)) {
        let mut host = Board::<Host>::new(7);
        for (name, value) in &values {
            host.see(name, value);
        }
        prop_assert!(host.read(usize::MAX).len() <= 40 * 2000);
        host.post(Duration::ZERO);
    }
}

#[test]
fn an_end_that_starts_anew_is_heard() {
    let mut store = Store::default();
    let mut random = fastrand::Rng::with_seed(1);
    let mut guest = Board::<Agent>::new(8);
    for number in [1, 2, 3] {
        let mut host = Board::<Host>::new(number);
        let text = vec![number as u8; 40_000];
        let mut rest = &text[..];
        let (mut now, mut got) = (Duration::ZERO, Vec::new());
        while got.len() < text.len() {
            now += Duration::from_millis(10);
            assert!(now < Duration::from_secs(60), "{number} is not heard");
            rest = &rest[host.write(rest)..];
            store.write(&mut random, 0, host.post(now));
            store.show(&mut random, 0, &mut guest);
            store.write(&mut random, 0, guest.post(now));
            store.show(&mut random, 0, &mut host);
            got.extend(guest.read(usize::MAX));
        }
        assert!(got == text);
    }
}

#[test]
fn a_reader_that_does_not_read_stops_the_writer() {
    let (mut host, mut guest) = (Board::<Host>::new(1), Board::<Agent>::new(2));
    let mut accepted = 0;
    for round in 0..1000 {
        accepted += host.write(&[0; 4096]);
        for (name, value) in host.post(Duration::from_millis(round)) {
            guest.see(&name, &value);
        }
        for (name, value) in guest.post(Duration::from_millis(round)) {
            host.see(&name, &value);
        }
    }
    assert!(accepted < 120_000, "{accepted}");
}
