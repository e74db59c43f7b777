//! Any bytes behind some metadata: salvaging neither panics nor hangs, its maps have no gap, and a check finds damage
//! wherever salvaging leaves something in doubt.
#![no_main]

use libfuzzer_sys::fuzz_target;
use xva::Options;
use xva::salvage::{Damaged, Salvager};

/// Whether to sign headers, whether to leave damaged blocks out, and the bytes.
type Input<'a> = (bool, bool, &'a [u8]);

fuzz_target!(|input: Input<'_>| {
    let (sign, leave_out, bytes) = input;
    let mut archive = bytes.to_vec();
    if sign {
        archive.chunks_exact_mut(512).for_each(sign_header);
    }
    let options = Options::new().metadata_limit(1 << 18).block_limit(1 << 18);
    let damaged = if leave_out { Damaged::LeaveOut } else { Damaged::Keep };
    let mut written = 0;
    let report = Salvager::new()
        .options(options.clone())
        .damaged(damaged)
        .size_limit(1 << 24)
        .run(&archive[..], |piece| {
            assert!(piece.offset + piece.data.len() as u64 <= 1 << 24);
            written += piece.data.len();
            Ok(())
        })
        .expect("nothing here can fail but the archive");
    for disk in &report.disks {
        let mut at = 0;
        for extent in &disk.extents {
            assert_eq!(extent.range.start, at);
            assert!(extent.range.end > at);
            at = extent.range.end;
        }
        assert_eq!(at, disk.trusted() + disk.doubtful() + disk.unknown());
    }
    for finding in &report.findings {
        assert!(finding.to_string().len() < 1 << 16);
    }
    let compressed =
        archive.starts_with(&[0x1f, 0x8b]) || archive.starts_with(&[0x28, 0xb5]) || archive.get(1) == Some(&0x2a);
    assert!(compressed || written <= archive.len());
    let Ok(check) = xva::verify::Verifier::new().options(options).run(&archive[..]) else {
        return;
    };
    assert_eq!(check.disks.len(), report.disks.len());
    if check.is_sound()
        && check
            .disks
            .iter()
            .all(|disk| disk.unverified == 0 && disk.virtual_size.is_some_and(|s| s <= 1 << 24))
    {
        assert!(report.is_whole() || check.metadata_only, "{check:?} {report:?}");
    }
});

/// Makes the checksum of a header hold, where its size looks like one.
fn sign_header(raw: &mut [u8]) {
    if raw[124..135].iter().all(u8::is_ascii_digit) {
        raw[148..156].fill(b' ');
        let sum: u32 = raw.iter().map(|&byte| u32::from(byte)).sum();
        raw[148..156].copy_from_slice(format!("{sum:07o}\0").as_bytes());
    }
}
