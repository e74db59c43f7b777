//! Checks that change something, and change it back.

use xenapi::{ToValue, Value};

use super::events::{self, Batch};
use super::host::{Host, text};
use super::{Found, ensure};

const KEY: &str = "xenapi-conformance";
/// How often listeners look for what they wait for, a second or more each time.
const LOOKS: usize = 20;

/// Waits for an event of a class that is the one looked for.
async fn wait(host: &Host, class: &str, token: &str, wanted: impl Fn(&Value) -> bool) -> Result<Batch, String> {
    let mut token = token.to_owned();
    for _ in 0..LOOKS {
        let batch = events::from(host, &[class], &token, 1.0).await?;
        if batch.events.iter().any(&wanted) {
            return Ok(batch);
        }
        token = batch.token;
    }
    Err(format!("no event of {class} told of the change"))
}

pub(super) async fn other_config(host: &Host) -> Found {
    let pool = host.pool().await?;
    let key = |value: Option<&str>| -> Vec<Value> {
        [pool.as_str(), KEY]
            .into_iter()
            .chain(value)
            .map(|text| text.to_value())
            .collect()
    };
    let token = events::from(host, &["pool"], "", 0.0).await?.token;
    host.call("pool.remove_from_other_config", key(None)).await?;
    host.call("pool.add_to_other_config", key(Some("here"))).await?;
    let told = wait(host, "pool", &token, |event| {
        let entry = event
            .get("snapshot")
            .and_then(|snapshot| snapshot.get("other_config")?.get(KEY));
        entry.and_then(Value::as_str) == Some("here") && text(event, "operation") == Ok("mod")
    });
    let told = told.await.map(drop);
    let again = host.attempt("pool.add_to_other_config", key(Some("again"))).await?;
    host.call("pool.remove_from_other_config", key(None)).await?;
    told?;
    let expected = ["MAP_DUPLICATE_KEY", "pool", "other_config", pool.as_str(), KEY];
    ensure(again.as_ref().is_err_and(|error| error[..] == expected), || {
        format!("the second pool.add_to_other_config of a key answered {again:?}, not {expected:?}")
    })?;
    Ok(Vec::new())
}

pub(super) async fn network(host: &Host) -> Found {
    let before = events::from(host, &["network"], "", 0.0).await?;
    let record = [
        ("name_label", KEY.to_value()),
        ("name_description", "".to_value()),
        ("other_config", Value::Struct(Vec::new())),
        ("tags", Value::Array(Vec::new())),
    ];
    let record = record.map(|(name, value)| (name.to_owned(), value)).into();
    let made = host.call("network.create", [Value::Struct(record)]).await?;
    let made = made.as_str().unwrap_or_default().to_owned();
    let is =
        |event: &Value, operation: &str| text(event, "ref") == Ok(&made) && text(event, "operation") == Ok(operation);
    let added = wait(host, "network", &before.token, |event| is(event, "add")).await;
    host.call("network.destroy", [made.to_value()]).await?;
    let added = added?;
    let deleted = wait(host, "network", &added.token, |event| is(event, "del")).await?;
    let count = |batch: &Batch| batch.counts.get("network").and_then(Value::as_int).unwrap_or_default();
    ensure(
        count(&added) == count(&before) + 1 && count(&deleted) == count(&before),
        || {
            format!(
                "{} networks became {} and {}",
                count(&before),
                count(&added),
                count(&deleted)
            )
        },
    )?;
    let bare = deleted
        .events
        .iter()
        .filter(|event| is(event, "del"))
        .all(|event| event.get("snapshot").is_none());
    ensure(bare, || "the event of a deletion has a snapshot".to_owned())?;
    Ok(Vec::new())
}
