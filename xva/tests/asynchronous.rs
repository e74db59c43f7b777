//! The async reader does what the blocking one does.

mod common;

use common::{Builder, UNIT, ova, sparse};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use xva::{AsyncReader, Error, Run};

fn sample() -> (Vec<u8>, Vec<u8>) {
    let raw = sparse(5, 10, &[0, 1, 4]);
    let archive = Builder::xapi()
        .entry("ova.xml", ova(&[("Ref:1", raw.len())]).as_bytes())
        .disk("Ref:1", &raw)
        .end();
    (raw, archive)
}

#[tokio::test]
async fn the_first_block_is_there_before_the_rest_was_sent() {
    let (raw, archive) = sample();
    let (mut server, client) = tokio::io::duplex(600);
    let needed = Builder::xapi()
        .entry("ova.xml", ova(&[("Ref:1", raw.len())]).as_bytes())
        .block("Ref:1", 0, &raw[..UNIT])
        .bytes
        .len();
    // The server sends as much as is needed and then waits for ever.
    let sending = async move {
        server.write_all(&archive[..needed]).await.unwrap();
        server
    };
    let reading = async {
        let mut archive = AsyncReader::new(client);
        let disk = archive.next_disk().await?.unwrap();
        assert_eq!((disk.id(), disk.virtual_size()), ("Ref:1", Some(raw.len() as u64)));
        let block = disk.first_block().await?;
        assert_eq!(archive.bytes_read(), needed as u64);
        Ok::<_, Error>(block)
    };
    let (_server, block) = tokio::join!(sending, reading);
    assert_eq!(block.unwrap(), raw[..UNIT]);
}

#[tokio::test]
async fn runs_and_blocks() {
    let (raw, archive) = sample();
    let mut reader = AsyncReader::new(&archive[..]);
    assert_eq!(reader.ova().await.unwrap().unwrap().vms()[0].disks[0].id, "Ref:1");
    let mut disk = reader.next_disk().await.unwrap().unwrap();
    let mut image = Vec::new();
    while let Some(run) = disk.next_run().await.unwrap() {
        match run {
            Run::Data(block) => image.extend(block.data),
            Run::Hole { len, .. } => image.resize(image.len() + len as usize, 0),
        }
    }
    assert_eq!(image, raw);
    assert!(reader.next_disk().await.unwrap().is_none());
    assert!(reader.summary().unwrap().is_complete());

    let mut reader = AsyncReader::new(&archive[..]);
    let mut disk = reader.next_disk().await.unwrap().unwrap();
    let mut offsets = Vec::new();
    while let Some(block) = disk.next_block().await.unwrap() {
        offsets.push(block.offset / UNIT as u64);
    }
    assert_eq!(offsets, [0, 1, 4, 5]);
}

#[tokio::test]
async fn a_dropped_future_loses_nothing() {
    let (raw, archive) = sample();
    let (mut server, client) = tokio::io::duplex(64);
    let sender = tokio::spawn(async move {
        for piece in archive.chunks(61) {
            server.write_all(piece).await.unwrap();
            tokio::task::yield_now().await;
        }
    });
    let mut reader = AsyncReader::new(client);
    let mut disk = loop {
        tokio::select! {
            biased;
            disk = reader.next_disk() => break disk.unwrap().unwrap(),
            () = tokio::task::yield_now() => {}
        }
        // Borrowed again after each round; the bytes read so far are kept.
        tokio::task::yield_now().await;
    };
    let mut data = 0;
    while let Some(block) = disk.next_block().await.unwrap() {
        assert_eq!(block.data, &raw[block.offset as usize..][..block.data.len()]);
        data += block.data.len();
    }
    assert_eq!(data, 3 * UNIT + 10);
    sender.await.unwrap();
}

#[tokio::test]
async fn a_connection_that_breaks_off() {
    let (_, archive) = sample();
    let source = (&archive[..4000]).chain(&b""[..]);
    let mut reader = AsyncReader::new(source);
    assert!(matches!(
        reader.finish().await,
        Err(Error::Truncated { position: 4000, .. })
    ));
}
