//! The replies: a VM of a running pool, its maps filled as they are in production, and varied.

use xenapi::wire::{json, xml};
use xenapi::{DateTime, Value};

/// One reply in both encodings.
pub(crate) struct Replies {
    pub(crate) records: usize,
    pub(crate) xml: Vec<u8>,
    pub(crate) json: Vec<u8>,
}

impl Replies {
    pub(crate) fn new(records: usize) -> Self {
        let pattern: Value = serde_json::from_str(include_str!("vm.json")).expect("the pattern is JSON");
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        let all = Value::Struct(
            (0..records)
                .map(|number| (random.reference(), vm(&pattern, number, &mut random)))
                .collect(),
        );
        Self {
            records,
            xml: xml::success(&all),
            json: json::success(json::Version::V2, &json::Id::Int(1), &all),
        }
    }
}

/// A VM like the pattern. One in ten has UEFI variables (16 KiB), three in twenty are snapshots, a third of these with
/// the metadata of their VM (9 KiB).
fn vm(pattern: &Value, number: usize, random: &mut Random) -> Value {
    let is_snapshot = number % 20 < 3;
    let has_metadata = number.is_multiple_of(20);
    let members = pattern
        .as_struct()
        .expect("the pattern is a record")
        .iter()
        .map(|(name, value)| {
            let value = match (name.as_str(), value) {
                ("uuid", _) => Value::String(random.uuid()),
                ("name_label", _) => Value::String(format!("web server {number} – Zürich")),
                ("power_state", _) if number.is_multiple_of(4) => Value::String("Halted".to_owned()),
                ("is_a_template" | "is_a_snapshot", _) => Value::Bool(is_snapshot),
                ("snapshot_time", _) => Value::DateTime(DateTime::from_unix_seconds(if is_snapshot {
                    1_700_000_000 + number as i64
                } else {
                    0
                })),
                ("snapshot_metadata", _) if has_metadata => {
                    Value::String("('struct' ('uuid' '') ('name_label' 'a & b'))".repeat(200))
                }
                ("NVRAM", _) if number % 10 == 5 => Value::Struct(vec![(
                    "EFI-variables".to_owned(),
                    Value::String(random.base64(16 << 10)),
                )]),
                ("memory_target" | "memory_static_max" | "memory_dynamic_max" | "memory_dynamic_min", _) => {
                    Value::Int((1 + number as i64 % 64) << 30)
                }
                (_, value) => varied(value, random),
            };
            (name.clone(), value)
        });
    Value::Struct(members.collect())
}

/// The value with other references in it.
fn varied(value: &Value, random: &mut Random) -> Value {
    match value {
        Value::String(text) if text.starts_with("OpaqueRef:") && text != "OpaqueRef:NULL" => {
            Value::String(random.reference())
        }
        Value::Array(items) => Value::Array(items.iter().map(|item| varied(item, random)).collect()),
        other => other.clone(),
    }
}

/// Xorshift: the same numbers in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn uuid(&mut self) -> String {
        let (high, low) = (self.next(), self.next());
        format!(
            "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
            high >> 32,
            high >> 16 & 0xffff,
            high & 0xfff,
            low >> 48 & 0xfff,
            low & 0xffff_ffff_ffff
        )
    }

    fn reference(&mut self) -> String {
        format!("OpaqueRef:{}", self.uuid())
    }

    fn base64(&mut self, length: usize) -> String {
        const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        (0..length)
            .map(|_| char::from(DIGITS[(self.next() >> 40) as usize % DIGITS.len()]))
            .collect()
    }
}
