//! xenstore's protocol against a stand-in that keeps its values in memory, and has the limits of oxenstored: it refuses a
//! value above 2048 bytes, and after a message above 4096 never answers again.

use std::collections::BTreeMap;

use dom0::xen::wire::{Decoder, Kind, Message, Refusal, Request, RequestError, WireError};
use dom0::xen::{Store, StoreError, XenStorePath};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

const QUOTA: usize = 20;

async fn serve(mut stream: DuplexStream) {
    let mut values: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut watches: Vec<(String, String)> = Vec::new();
    let (mut pending, mut writes) = (Vec::new(), 0_u32);
    let mut started = (0, 0);
    let (mut held, mut piece) = (Vec::new(), [0; 777]);
    while let Ok(length @ 1..) = stream.read(&mut piece).await {
        held.extend_from_slice(&piece[..length]);
        while held.len() >= 16 {
            let word = |at: usize| u32::from_le_bytes(held[at..at + 4].try_into().unwrap());
            let (kind, request, transaction, length) = (Kind::from(word(0)), word(4), word(8), word(12) as usize);
            if length > 4096 {
                // Wedged: whatever follows is taken, and nothing is said.
                while let Ok(1..) = stream.read(&mut piece).await {}
                return;
            }
            if held.len() < 16 + length {
                break;
            }
            let payload: Vec<u8> = held.drain(..16 + length).skip(16).collect();
            let mut parts = payload.splitn(2, |&byte| byte == 0);
            let first = String::from_utf8(parts.next().unwrap_or_default().to_vec()).unwrap();
            let second = parts.next().unwrap_or_default().to_vec();
            let mut told = Vec::new();
            let answer = match kind {
                Kind::Read => values.get(&first).cloned().ok_or("ENOENT"),
                Kind::Directory => {
                    let below = format!("{first}/");
                    let mut names: Vec<_> = values.keys().filter_map(|path| path.strip_prefix(&below)).collect();
                    names.retain(|name| !name.contains('/'));
                    match names.is_empty() {
                        true => Err("ENOENT"),
                        false => Ok(names
                            .iter()
                            .flat_map(|name| [name.as_bytes(), b"\0"].concat())
                            .collect()),
                    }
                }
                Kind::Write if second.len() > 2048 => Err("E2BIG"),
                Kind::Write if values.len() >= QUOTA && !values.contains_key(&first) => Err("EQUOTA"),
                Kind::Write if transaction > 0 => {
                    pending.push((first, second));
                    Ok(b"OK\0".to_vec())
                }
                Kind::Write => {
                    writes += 1;
                    told.push(first.clone());
                    values.insert(first, second);
                    Ok(b"OK\0".to_vec())
                }
                Kind::Remove if first.ends_with("/forbidden") => Err("EACCES"),
                Kind::Remove => values.remove(&first).map(|_| b"OK\0".to_vec()).ok_or("ENOENT"),
                Kind::Watch => {
                    let token = String::from_utf8(second).unwrap().trim_end_matches('\0').to_owned();
                    told.push(first.clone());
                    watches.push((first, token));
                    Ok(b"OK\0".to_vec())
                }
                Kind::Unwatch => {
                    watches.retain(|(path, _)| *path != first);
                    Ok(b"OK\0".to_vec())
                }
                Kind::TransactionStart => {
                    started = (started.0 + 1, writes);
                    Ok(format!("{}\0", started.0).into_bytes())
                }
                Kind::TransactionEnd if first == "T" && started.1 != writes => {
                    pending.clear();
                    Err("EAGAIN")
                }
                Kind::TransactionEnd => {
                    let changes = std::mem::take(&mut pending);
                    values.extend(changes.into_iter().filter(|_| first == "T"));
                    Ok(b"OK\0".to_vec())
                }
                _ => Err("ENOSYS"),
            };
            let (kind, payload) = match answer {
                Ok(payload) => (kind, payload),
                Err(name) => (Kind::Error, format!("{name}\0").into_bytes()),
            };
            let mut out = Vec::new();
            // Events come before the answer, to see that they are told apart.
            for path in told {
                for (_, token) in watches.iter().filter(|(watched, _)| path.starts_with(watched.as_str())) {
                    let payload = format!("{path}\0{token}\0").into_bytes();
                    out.extend(
                        Message {
                            kind: Kind::WatchEvent,
                            request: 0,
                            transaction: 0,
                            payload,
                        }
                        .encode(),
                    );
                }
            }
            out.extend(
                Message {
                    kind,
                    request,
                    transaction,
                    payload,
                }
                .encode(),
            );
            stream.write_all(&out).await.unwrap();
        }
    }
}

fn store() -> Store {
    let (ours, theirs) = tokio::io::duplex(300);
    tokio::spawn(serve(theirs));
    let (from, to) = tokio::io::split(ours);
    Store::new(from, to)
}

fn path(below: &str) -> XenStorePath {
    XenStorePath::domain(7).child(below).unwrap()
}

#[tokio::test]
async fn values_names_and_limits() {
    let mut store = store();
    assert_eq!(store.read(&path("data/x")).await.unwrap(), None);
    assert_eq!(store.list(&path("data")).await.unwrap(), None);
    store.remove(&path("data/x")).await.expect("it is gone already");
    let largest: Vec<u8> = (0..2048).map(|at| at as u8).collect();
    for value in [&b""[..], b"plain", b"\0\xff\0", &largest] {
        store.write(&path("data/x"), value).await.unwrap();
        assert_eq!(store.read(&path("data/x")).await.unwrap().as_deref(), Some(value));
    }
    let large = store.write(&path("data/x"), &[b'x'; 2049]).await.unwrap_err();
    assert!(
        matches!(
            large,
            StoreError::Request {
                source: RequestError::Value { size: 2049 },
                ..
            }
        ),
        "{large}"
    );
    let deep = path(&"d".repeat(3000));
    let long = store.write(&deep, &[b'x'; 2048]).await.unwrap_err();
    assert!(
        matches!(
            long,
            StoreError::Request {
                source: RequestError::Message { .. },
                ..
            }
        ),
        "{long}"
    );
    assert_eq!(
        store.read(&path("data/x")).await.unwrap(),
        Some(largest),
        "nothing was sent, and it still answers"
    );

    store.write(&path("data/y"), b"").await.unwrap();
    assert_eq!(store.list(&path("data")).await.unwrap().unwrap(), ["x", "y"]);
    let forbidden = store.remove(&path("forbidden")).await.unwrap_err();
    assert!(
        matches!(
            forbidden,
            StoreError::Refused {
                source: Refusal::Forbidden,
                ..
            }
        ),
        "{forbidden}"
    );
    let mut full = Ok(());
    for number in 0..QUOTA {
        full = store.write(&path(&format!("data/{number}")), b"").await;
    }
    assert!(
        matches!(
            full,
            Err(StoreError::Refused {
                source: Refusal::Quota,
                ..
            })
        ),
        "{full:?}"
    );
}

#[tokio::test]
async fn watches_and_transactions() {
    let (mut one, data) = (store(), path("data"));
    one.watch(&data, "token").await.unwrap();
    let first = one.event().await.unwrap();
    assert_eq!((first.path.as_str(), first.token.as_str()), (data.as_str(), "token"));
    for name in ["a", "b"] {
        one.write(&data.child(name).unwrap(), b"1").await.unwrap();
    }
    assert_eq!(one.event().await.unwrap().path, data.child("a").unwrap().as_str());
    assert_eq!(one.event().await.unwrap().path, data.child("b").unwrap().as_str());
    one.unwatch(&data, "token").await.unwrap();
    assert!(matches!(
        one.watch(&data, "a\0b").await,
        Err(StoreError::Request {
            source: RequestError::Token,
            ..
        })
    ));

    let a = data.child("a").unwrap();
    let within = one.begin().await.unwrap();
    one.write_in(within, &a, b"2").await.unwrap();
    assert_eq!(one.read(&a).await.unwrap().unwrap(), b"1", "not yet");
    assert!(one.commit(within).await.unwrap());
    assert_eq!(one.read(&a).await.unwrap().unwrap(), b"2");
    let within = one.begin().await.unwrap();
    one.write_in(within, &a, b"3").await.unwrap();
    one.write(&a, b"another").await.unwrap();
    assert!(!one.commit(within).await.unwrap(), "another was faster");
    let within = one.begin().await.unwrap();
    one.write_in(within, &a, b"4").await.unwrap();
    one.abort(within).await.unwrap();
    assert_eq!(one.read(&a).await.unwrap().unwrap(), b"another");
}

#[tokio::test]
async fn what_goes_wrong_is_told_and_stays_so() {
    // That the stand-in is as strict as oxenstored, or the limits would not have been tested.
    let (mut ours, theirs) = tokio::io::duplex(300);
    tokio::spawn(serve(theirs));
    let long = [2_u32, 1, 0, 4097].map(u32::to_le_bytes).concat();
    ours.write_all(&[long, vec![b'x'; 4097], Request::read(&path("a")).encode(2, 0).unwrap()].concat())
        .await
        .unwrap();
    let silence = tokio::time::timeout(std::time::Duration::from_millis(100), ours.read_u8()).await;
    assert!(silence.is_err());

    let (ours, mut theirs) = tokio::io::duplex(300);
    let (from, to) = tokio::io::split(ours);
    let mut lied = Store::new(from, to);
    theirs
        .write_all(&[2_u32, 1, 0, 4097].map(u32::to_le_bytes).concat())
        .await
        .unwrap();
    let error = lied.read(&path("a")).await.unwrap_err();
    assert!(
        matches!(error, StoreError::Wire(WireError::Length { length: 4097 })),
        "{error}"
    );
    assert!(matches!(lied.read(&path("a")).await, Err(StoreError::Broken)));
    assert!(matches!(lied.event().await, Err(StoreError::Broken)));
}

proptest! {
    #[test]
    fn no_bytes_break_it(bytes: Vec<u8>, piece in 1_usize..40) {
        let mut decoder = Decoder::new();
        for piece in bytes.chunks(piece) {
            decoder.feed(piece);
            while let Ok(Some(message)) = decoder.message() {
                let _ = (dom0::xen::wire::names(&message), dom0::xen::wire::event(&message));
                let _ = (dom0::xen::wire::transaction(&message), dom0::xen::wire::refusal(&message));
            }
        }
    }

    #[test]
    fn messages_survive(kind: u32, request: u32, transaction: u32, payload in prop::collection::vec(any::<u8>(), 0..4097)) {
        let message = Message { kind: kind.into(), request, transaction, payload };
        let mut decoder = Decoder::new();
        for piece in [message.encode(), message.encode()].concat().chunks(1000) {
            decoder.feed(piece);
        }
        prop_assert_eq!(decoder.message(), Ok(Some(message.clone())));
        prop_assert_eq!(decoder.message(), Ok(Some(message)));
        prop_assert_eq!(decoder.message(), Ok(None));
    }
}
