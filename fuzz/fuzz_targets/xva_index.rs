//! Any archive: reading anywhere gives what reading from start to end gives, the index survives being written down, and
//! a change in place does what it says, no more, and can be taken back.
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use xva::{Archive, Index, Options, Patch, ReadAt, Reader};

/// Where to read, what to write there, whether to sign headers, and the bytes.
type Input<'a> = (u16, u8, bool, &'a [u8]);

fuzz_target!(|input: Input<'_>| {
    let (offset, byte, sign, bytes) = input;
    let mut bytes = bytes.to_vec();
    if sign {
        bytes.chunks_exact_mut(512).for_each(sign_header);
    }
    let options = Options::new().metadata_limit(1 << 18).block_limit(1 << 18);
    let Ok(archive) = Archive::open_with(&bytes[..], options.clone()) else {
        return;
    };
    let images = images(&bytes, options.clone());
    let Ok(ids) = archive.disks() else {
        return;
    };
    for id in &ids {
        let Ok(disk) = archive.disk(id) else {
            continue;
        };
        let size = disk.size().expect("it is known");
        let mut some = [0; 700];
        if disk.read(u64::from(offset), &mut some).is_ok()
            && let Some(images) = &images
            && let Some((_, image)) = images.iter().find(|(name, _)| name == id)
        {
            let mut expected = image.get(usize::from(offset)..).unwrap_or_default().to_vec();
            expected.resize(700, 0);
            assert_eq!(some[..], expected[..700], "{id} at {offset} of {size}");
        }
        let Ok(patch) = disk.patch(u64::from(offset), &[byte; 3]) else {
            continue;
        };
        let kept: Patch = patch.undo().to_string().parse().expect("it reads what it wrote");
        let mut changed = Cursor::new(bytes.clone());
        patch.apply(&mut changed).expect("the bytes are as they were");
        let touched = bytes
            .iter()
            .zip(changed.get_ref())
            .filter(|(old, new)| old != new)
            .count();
        assert!(touched <= 3 + 40, "{touched} bytes for three and a checksum");
        kept.apply(&mut changed).expect("the bytes are as they were written");
        assert!(*changed.get_ref() == bytes);
    }
    if let Ok(index) = archive.index() {
        let read: Index = index.to_string().parse().expect("it reads what it wrote");
        let again = Archive::open_with(&bytes[..], options).and_then(|archive| archive.with_index(&read));
        assert_eq!(again.and_then(|archive| archive.disks()).ok(), Some(ids));
    }
    let text = String::from_utf8_lossy(&bytes);
    let _ = text.parse::<Index>();
    let _ = text.parse::<Patch>();
});

/// The disks as they come out one after the other, where the archive is whole and none is large.
fn images(bytes: &[u8], options: Options) -> Option<Vec<(String, Vec<u8>)>> {
    let mut reader = Reader::with_options(bytes, options);
    let mut images = Vec::new();
    while let Some(mut disk) = reader.next_disk().ok()? {
        if disk.virtual_size().is_none_or(|size| size > 1 << 22) {
            return None;
        }
        let id = disk.id().to_owned();
        let mut image = Cursor::new(Vec::new());
        disk.copy_to(&mut image).ok()?;
        images.push((id, image.into_inner()));
    }
    reader.finish().ok()?.is_complete().then_some(images)
}

/// Makes the checksum of a header hold, where its size looks like one.
fn sign_header(raw: &mut [u8]) {
    if raw[124..135].iter().all(u8::is_ascii_digit) {
        raw[148..156].fill(b' ');
        let sum: u32 = raw.iter().map(|&byte| u32::from(byte)).sum();
        raw[148..156].copy_from_slice(format!("{sum:07o}\0").as_bytes());
    }
}
