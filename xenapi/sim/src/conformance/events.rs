//! Checks of `event.from`.

use std::collections::BTreeMap;

use xenapi::{ToValue, Value};

use super::host::{Host, text};
use super::shape::{Age, Inspection};
use super::{Found, ensure};
use crate::schema;

/// Classes of which no object comes or goes just so.
const STEADY: [&str; 6] = ["pool", "host", "sr", "network", "pif", "pbd"];

/// One reply of `event.from`.
pub(super) struct Batch {
    pub(super) events: Vec<Value>,
    pub(super) counts: Value,
    pub(super) token: String,
}

/// Asks for events, which come within so many seconds or not at all.
pub(super) async fn from(host: &Host, classes: &[&str], token: &str, seconds: f64) -> Result<Batch, String> {
    let reply = host
        .call("event.from", [classes.to_value(), token.to_value(), seconds.to_value()])
        .await?;
    let events = reply.get("events").and_then(Value::as_array);
    let counts = reply
        .get("valid_ref_counts")
        .filter(|counts| counts.as_struct().is_some());
    let token = text(&reply, "token")?.to_owned();
    let numbers: Vec<_> = token.split(',').collect();
    let sound = numbers.len() == 2
        && numbers
            .iter()
            .all(|part| part.len() == 20 && part.parse::<u64>().is_ok());
    ensure(sound, || format!("the token {token:?} is not two numbers of 20 digits"))?;
    match (events, counts) {
        (Some(events), Some(counts)) => Ok(Batch {
            events: events.to_vec(),
            counts: counts.clone(),
            token,
        }),
        _ => Err("event.from answered without \"events\" or \"valid_ref_counts\"".to_owned()),
    }
}

pub(super) async fn full_list(host: &Host) -> Found {
    let mut inspection = Inspection::new(Age::of(host).await?);
    let batch = from(host, &["*"], "", 0.0).await?;
    let mut counted = BTreeMap::<&str, i64>::new();
    for event in &batch.events {
        let class = text(event, "class")?;
        let operation = text(event, "operation")?;
        ensure(operation == "add", || {
            format!("the first list has the event {operation:?} of {class}")
        })?;
        ensure(*class == class.to_ascii_lowercase(), || {
            format!("an event spells its class {class:?}")
        })?;
        text(event, "ref")?;
        match (schema::class_by_event_name(class), event.get("snapshot")) {
            (Some(info), Some(snapshot)) => inspection.record(info, snapshot),
            (None, _) => inspection.unknown(format!("the class {class}")),
            // What goes while it is read has none.
            (Some(_), None) => {}
        }
        *counted.entry(class).or_default() += 1;
    }
    for class in STEADY {
        let valid = batch.counts.get(class).and_then(Value::as_int);
        let listed = counted.get(class).copied().unwrap_or_default();
        ensure(valid == Some(listed), || {
            format!("{listed} {class} are listed, {valid:?} counted")
        })?;
    }
    let later = from(host, &["*"], &batch.token, 0.0).await?;
    ensure(later.token >= batch.token, || {
        format!("{} was followed by {}", batch.token, later.token)
    })?;
    inspection.found()
}

pub(super) async fn filters(host: &Host) -> Found {
    let pool = host.pool().await?;
    let one = format!("POOL/{pool}");
    let batch = from(host, &[&one], "", 0.0).await?;
    let refs: Vec<_> = batch
        .events
        .iter()
        .filter_map(|event| event.get("ref")?.as_str())
        .collect();
    ensure(refs == [pool.as_str()], || format!("the list of {one:?} has {refs:?}"))?;
    let nothing = from(host, &["no_such_class"], "", 0.0).await?;
    ensure(nothing.events.is_empty(), || {
        "a class that does not exist has events".to_owned()
    })?;
    let quiet = from(host, &["pool_patch"], &batch.token, 0.5).await?;
    let strange = quiet
        .events
        .iter()
        .find(|event| text(event, "class") != Ok("pool_patch"));
    ensure(strange.is_none(), || format!("asked for pool_patch, got {strange:?}"))?;
    Ok(Vec::new())
}

pub(super) async fn refusals(host: &Host) -> Found {
    for (class, token, code) in [
        ("vm", "garbage", "EVENT_FROM_TOKEN_PARSE_FAILURE"),
        ("", "", "EVENT_SUBSCRIPTION_PARSE_FAILURE"),
    ] {
        let params = vec![[class].as_slice().to_value(), token.to_value(), 0.0.to_value()];
        let answer = host.attempt("event.from", params).await?;
        let refused = answer.as_ref().is_err_and(|error| error[0] == code);
        ensure(refused, || {
            format!("event.from of {class:?} since {token:?} answered {answer:?}, not {code}")
        })?;
    }
    Ok(Vec::new())
}
