//! Replies of calls, decoded into their types.

use anyhow::{Context, bail, ensure};
use serde::de::{DeserializeOwned, IgnoredAny};
use xenapi::wire::{self, ReplyError};
use xenapi::*;

use crate::difference::Difference;
use crate::enums;
use crate::recording::Body;

/// Runs a generic function with the record type of a class that is known by name only.
macro_rules! with_record {
    ($class:expr, $function:ident($argument:expr), $($record:ident)*) => {
        match $class {
            $(name if name.eq_ignore_ascii_case(<$record as Record>::CLASS) => $function::<$record>($argument),)*
            unknown => bail!("there is no class {unknown:?}"),
        }
    };
}

macro_rules! with_every_record {
    ($class:expr, $($call:tt)*) => {
        with_record!($class, $($call)*,
            BlobRecord BondRecord CallerRecord CertificateRecord ClusterHostRecord ClusterRecord ConsoleRecord
            CrashdumpRecord DataSourceRecord DrTaskRecord DriverVariantRecord FeatureRecord GpuGroupRecord
            HostCpuRecord HostCrashdumpRecord HostDriverRecord HostMetricsRecord HostPatchRecord HostRecord
            LvhdRecord MessageRecord NetworkRecord NetworkSriovRecord ObserverRecord PbdRecord PciRecord PgpuRecord
            PifMetricsRecord PifRecord PoolPatchRecord PoolRecord PoolSecretRecord PoolUpdateRecord
            ProbeResultRecord PusbRecord PvsCacheStorageRecord PvsProxyRecord PvsServerRecord PvsSiteRecord
            RateLimitRecord RepositoryRecord RoleRecord SdnControllerRecord SessionRecord SmRecord SrRecord
            SrStatRecord SubjectRecord TaskRecord TunnelRecord UsbGroupRecord UserRecord VbdMetricsRecord VbdRecord
            VdiNbdServerInfoRecord VdiRecord VgpuRecord VgpuTypeRecord VifMetricsRecord VifRecord VlanRecord
            VmApplianceRecord VmGroupRecord VmGuestMetricsRecord VmMetricsRecord VmRecord VmppRecord VmssRecord
            VtpmRecord VusbRecord
        )
    };
}

/// Decodes what there is of a call, and compares the encodings.
pub(crate) fn compare(name: &str, bodies: &[Body]) -> anyhow::Result<String> {
    if name.starts_with("error-") || bodies.iter().any(is_failure) {
        return failure(bodies);
    }
    if let Some(class) = name.strip_suffix(".get_all_records") {
        return with_every_record!(class, records(bodies));
    }
    if name.starts_with("event-from-") {
        return events(bodies);
    }
    if name.ends_with("-get-data-sources") {
        let sources: Vec<DataSourceRecord> = equal(bodies)?;
        sources.iter().try_for_each(known)?;
        return Ok(format!("{} data sources", sources.len()));
    }
    if name == "listMethods" {
        return Ok(format!("{} methods", equal::<Vec<String>>(bodies)?.len()));
    }
    if let Some(class) = name.strip_suffix("-record").and_then(|rest| rest.split('-').next()) {
        return with_every_record!(class, record(bodies));
    }
    bail!("the name does not say what the call was")
}

fn decode<T: DeserializeOwned>(body: &Body) -> anyhow::Result<T> {
    wire::decode_reply(body.encoding, &body.bytes).with_context(|| format!("in {:?}", body.encoding))
}

/// The one value that all encodings hold.
fn equal<T: DeserializeOwned + PartialEq>(bodies: &[Body]) -> anyhow::Result<T> {
    let mut decoded = bodies
        .iter()
        .map(decode::<T>)
        .collect::<anyhow::Result<Vec<_>>>()?
        .into_iter();
    let first = decoded.next().context("no reply")?;
    for other in decoded {
        ensure!(first == other, "{}", difference(bodies));
    }
    Ok(first)
}

/// Says where the encodings differ.
fn difference(bodies: &[Body]) -> String {
    let values: anyhow::Result<Vec<Value>> = bodies.iter().map(decode).collect();
    let first = match values.as_deref() {
        Ok([left, right]) => Difference::first(left, right),
        _ => None,
    };
    first.map_or("the encodings differ".to_owned(), |first| {
        format!("the encodings differ at {first}")
    })
}

fn records<R: Record>(bodies: &[Body]) -> anyhow::Result<String> {
    let records: Map<String, R> = equal(bodies)?;
    records.values().try_for_each(known)?;
    for body in bodies {
        let raw: Map<String, Value> = decode(body)?;
        raw.values().try_for_each(|record| enums::known(R::CLASS, record))?;
    }
    Ok(format!("{} records", records.len()))
}

fn record<R: Record>(bodies: &[Body]) -> anyhow::Result<String> {
    known(&equal::<R>(bodies)?)?;
    bodies
        .iter()
        .try_for_each(|body| enums::known(R::CLASS, &decode(body)?))?;
    Ok(format!("one {} record", R::CLASS))
}

/// No field may be left that the bindings do not know.
fn known<R: Record>(record: &R) -> anyhow::Result<()> {
    let unknown: Vec<_> = record.unknown_fields().keys().cloned().collect();
    ensure!(
        unknown.is_empty(),
        "unknown fields of {}: {}",
        R::CLASS,
        unknown.join(", ")
    );
    Ok(())
}

fn events(bodies: &[Body]) -> anyhow::Result<String> {
    let mut batches = bodies
        .iter()
        .map(decode::<EventBatch>)
        .collect::<anyhow::Result<Vec<_>>>()?
        .into_iter();
    let first = batches.next().context("no reply")?;
    let snapshots = first.events.iter().map(snapshot).collect::<anyhow::Result<Vec<_>>>()?;
    for other in batches {
        let others = other.events.iter().map(snapshot).collect::<anyhow::Result<Vec<_>>>()?;
        let head = |event: &Event| (event.class.clone(), event.operation.clone(), event.reference.clone());
        ensure!(
            first.events.iter().map(head).eq(other.events.iter().map(head)),
            "{}",
            difference(bodies)
        );
        ensure!(snapshots == others, "{}", difference(bodies));
        ensure!(
            first.valid_ref_counts == other.valid_ref_counts,
            "{}",
            difference(bodies)
        );
    }
    Ok(format!(
        "{} events, {} with a typed snapshot",
        first.events.len(),
        snapshots.iter().flatten().count()
    ))
}

fn snapshot(event: &Event) -> anyhow::Result<Option<AnyRecord>> {
    ensure!(event.operation.is_known(), "unknown operation {}", event.operation);
    let Some(value) = &event.snapshot else { return Ok(None) };
    let class = Class::from_event_name(&event.class);
    with_every_record!(class.as_str(), known_in(value))?;
    enums::known(class.as_str(), value)?;
    Ok(Some(AnyRecord::decode(&class, value)?))
}

fn known_in<R: Record>(value: &Value) -> anyhow::Result<()> {
    known(&wire::from_value::<R>(value)?)
}

fn is_failure(body: &Body) -> bool {
    matches!(
        wire::decode_reply::<IgnoredAny>(body.encoding, &body.bytes),
        Err(ReplyError::Api { .. })
    )
}

/// Messages can fail for good: one that was removed, or one that needs another power state.
fn failure(bodies: &[Body]) -> anyhow::Result<String> {
    let mut said = Vec::new();
    for body in bodies {
        match wire::decode_reply::<Value>(body.encoding, &body.bytes) {
            Err(ReplyError::Api { code, params }) => {
                let known = ErrorCode::from(code.as_str());
                ensure!(known.is_known(), "unknown error code {code}");
                said.push((known, params));
            }
            Err(ReplyError::Decode(error)) => return Err(error.into()),
            _ => bail!("a success where a failure was recorded"),
        }
    }
    let (code, params) = said.first().context("no reply")?;
    ensure!(
        said.iter().all(|other| other == &said[0]),
        "the encodings fail differently: {said:?}"
    );
    Ok(format!("failed with {code} and {} parameters", params.len()))
}
