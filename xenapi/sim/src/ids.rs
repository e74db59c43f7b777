//! References, UUIDs and MAC addresses, the same again for the same seed.

#[derive(Clone, Debug)]
pub(crate) struct Ids {
    random: fastrand::Rng,
}

impl Ids {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            random: fastrand::Rng::with_seed(seed),
        }
    }

    pub(crate) fn uuid(&mut self) -> String {
        // Version 4, variant 1, as a random UUID has them.
        let id = self.random.u128(..) & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
        let part = |low: u32, digits: u32| (id >> low) & ((1u128 << (digits * 4)) - 1);
        format!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            part(96, 8),
            part(80, 4),
            part(64, 4),
            part(48, 4),
            part(0, 12)
        )
    }

    pub(crate) fn number(&mut self) -> u128 {
        self.random.u128(..)
    }

    pub(crate) fn reference(&mut self) -> String {
        format!("OpaqueRef:{}", self.uuid())
    }

    /// A locally administered unicast address.
    pub(crate) fn mac(&mut self) -> String {
        let bytes = self.random.u64(..).to_be_bytes();
        let first = bytes[0] & 0xfe | 0x02;
        let rest: Vec<_> = bytes[1..6].iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{first:02x}:{}", rest.join(":"))
    }

    /// Whether something of this probability happens.
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.random.f64() < probability
    }
}
