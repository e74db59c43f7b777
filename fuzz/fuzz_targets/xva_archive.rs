//! Any bytes, in pieces of any size: no panic, no hang, rising offsets, and the same as in one piece.
#![no_main]

use libfuzzer_sys::fuzz_target;
use xva::{Event, Options, Parser, Reader};

fuzz_target!(|input: (u8, &[u8])| {
    let (piece, archive) = input;
    let options = Options::new().metadata_limit(1 << 20).block_limit(1 << 20);
    let whole = parse(archive, archive.len().max(1), options.clone());
    assert_eq!(whole, parse(archive, usize::from(piece) + 1, options.clone()));
    let _ = Reader::with_options(archive, options).finish();
});

/// What the blocks covered, in order, and the error that ended it.
fn parse(archive: &[u8], piece: usize, options: Options) -> (Vec<(u64, usize)>, Option<String>) {
    let mut parser = Parser::with_options(options);
    let mut blocks = Vec::new();
    let mut end = 0;
    let mut take = |event: xva::Result<Option<Event<'_>>>| match event {
        Ok(Some(Event::DiskStart(_))) => {
            end = 0;
            Ok(true)
        }
        Ok(Some(Event::Block(block))) => {
            assert!(block.offset >= end);
            end = block.offset + block.data.len() as u64;
            blocks.push((block.offset, block.data.len()));
            Ok(true)
        }
        Ok(event) => Ok(event.is_some()),
        Err(error) if error.is_recoverable() => Ok(true),
        Err(error) => Err(error.to_string()),
    };
    let mut run = || {
        for mut piece in archive.chunks(piece) {
            while take(parser.feed(&mut piece))? {}
        }
        parser.end_of_input();
        while take(parser.next_event())? {}
        Ok(())
    };
    let error = run().err();
    (blocks, error)
}
