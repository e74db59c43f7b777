//! The hash that the entries of a log have: Marvin32, with the seed that Windows uses for them.

use crate::bytes::array;

const SEED: (u32, u32) = (0x7a4e_55c5, 0x82ef_4d88);

pub(super) fn hash(bytes: &[u8]) -> u64 {
    seeded(SEED, bytes)
}

fn seeded((mut low, mut high): (u32, u32), bytes: &[u8]) -> u64 {
    let mut add = |word: u32| {
        low = low.wrapping_add(word);
        high ^= low;
        low = low.rotate_left(20).wrapping_add(high);
        high = high.rotate_left(9) ^ low;
        low = low.rotate_left(27).wrapping_add(high);
        high = high.rotate_left(19);
    };
    let words = bytes.chunks_exact(4);
    let rest = words.remainder();
    for word in words {
        add(u32::from_le_bytes(array(word, 0)));
    }
    let mut last = [0; 4];
    last[..rest.len()].copy_from_slice(rest);
    last[rest.len()] = 0x80;
    add(u32::from_le_bytes(last));
    add(0);
    u64::from(high) << 32 | u64::from(low)
}

#[cfg(test)]
mod tests {
    use super::seeded;

    /// Values that implementations of Marvin32 are tested with.
    #[test]
    fn the_hash_is_marvin32() {
        let seed = (0x001b_dbcc, 0x004f_b61a);
        let known: [(&[u8], u64); 6] = [
            (&[], 0x30ed_35c1_00cd_3c7d),
            (&[0xaf], 0x48e7_3fc7_7d75_ddc1),
            (&[0xe7, 0x0f], 0xb5f6_e1fc_485d_bff8),
            (&[0x37, 0xf4, 0x95], 0xf0b0_7c78_9b8c_f7e8),
            (&[0x86, 0x42, 0xdc, 0x59], 0x7008_f2e8_7e9c_f556),
            (&[0x15, 0x3f, 0xb7, 0x98, 0x26], 0xe6c0_8c6d_a2af_a997),
        ];
        for (bytes, hash) in known {
            assert_eq!(seeded(seed, bytes), hash, "{bytes:x?}");
        }
    }
}
