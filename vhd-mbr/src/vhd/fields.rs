//! Big-endian fields of a sector that has been checked to be long enough; short input reads as zero.

use crate::bytes::array;

pub(super) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes(array(bytes, at))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(array(bytes, at))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_be_bytes(array(bytes, at))
}

/// Puts a field into a sector that is long enough for it.
pub(super) fn put<const N: usize>(bytes: &mut [u8], at: usize, field: [u8; N]) {
    bytes[at..at + N].copy_from_slice(&field);
}

/// The complement of the sum of all bytes, those of the checksum itself at `at` left out.
pub(super) fn checksum(bytes: &[u8], at: usize) -> u32 {
    let own = array::<4>(bytes, at);
    !sum(bytes).wrapping_sub(sum(&own))
}

/// The sum of all bytes.
pub(super) fn sum(bytes: &[u8]) -> u32 {
    let bytes = bytes.iter().map(|&byte| u32::from(byte));
    bytes.fold(0, u32::wrapping_add)
}
