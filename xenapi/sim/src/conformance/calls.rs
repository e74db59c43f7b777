//! Checks of calls and their errors.

use std::collections::BTreeSet;

use xenapi::wire::Encoding;
use xenapi::{ToValue, Value};

use super::host::Host;
use super::shape::{Age, Inspection};
use super::{Found, ensure};
use crate::schema;

const NOBODY: &str = "xenapi-conformance";
const NOWHERE: &str = "OpaqueRef:00000000-0000-0000-0000-000000000000";

pub(super) async fn wrong_password(host: &Host) -> Found {
    for encoding in [Encoding::Json, Encoding::Xml] {
        let login = "session.login_with_password";
        let params = [NOBODY, NOBODY, "1.0", NOBODY].map(|text| text.to_value()).into();
        let answer = host.raw(encoding, login, params).await?;
        let refused = answer
            .as_ref()
            .is_err_and(|error| error[0] == "SESSION_AUTHENTICATION_FAILED");
        ensure(refused, || format!("{login} over {encoding:?} answered {answer:?}"))?;
    }
    Ok(Vec::new())
}

pub(super) async fn listed(host: &Host) -> Found {
    let mut inspection = Inspection::new(Age::of(host).await?);
    let listed = host.raw(Encoding::Json, "system.listMethods", Vec::new()).await?;
    let listed = listed.map_err(|error| format!("system.listMethods: {error:?}"))?;
    let names = listed.as_array().unwrap_or_default().iter().filter_map(Value::as_str);
    let names: BTreeSet<_> = names.collect();
    let known: BTreeSet<_> = schema::method_names().into_iter().collect();
    for name in known.iter().filter(|name| !names.contains(name.as_str())) {
        inspection.absent(name.clone());
    }
    for name in names.into_iter().filter(|name| !known.contains(*name)) {
        inspection.unknown(name.to_owned());
    }
    inspection.found()
}

pub(super) async fn errors(host: &Host) -> Found {
    let mismatch = |counts: [&str; 2]| {
        vec![
            "MESSAGE_PARAMETER_COUNT_MISMATCH".to_owned(),
            "VM.get_record".to_owned(),
            counts[0].to_owned(),
            counts[1].to_owned(),
        ]
    };
    let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
    // What is checked before the session comes first.
    let without_session = [
        ("VM.fly", vec![], texts(&["MESSAGE_METHOD_UNKNOWN", "VM.fly"])),
        ("VM.get_record", vec![NOWHERE.to_value()], mismatch(["1", "0"])),
        (
            "VM.get_all",
            vec!["garbage".to_value()],
            texts(&["SESSION_INVALID", "garbage"]),
        ),
    ];
    for encoding in [Encoding::Json, Encoding::Xml] {
        for (method, params, expected) in &without_session {
            let answer = host.raw(encoding, method, params.clone()).await?;
            ensure(answer.as_ref() == Err(expected), || {
                format!("{method} over {encoding:?} answered {answer:?}, not {expected:?}")
            })?;
        }
    }
    let with_session = [
        ("VM.get_record", NOWHERE, texts(&["HANDLE_INVALID", "VM", NOWHERE])),
        ("VM.get_by_uuid", NOBODY, texts(&["UUID_INVALID", "VM", NOBODY])),
    ];
    for (method, param, expected) in with_session {
        let answer = host.attempt(method, vec![param.to_value()]).await?;
        ensure(answer.as_ref() == Err(&expected), || {
            format!("{method} answered {answer:?}, not {expected:?}")
        })?;
    }
    let answer = host
        .attempt("Async.VM.get_name_label", vec![NOWHERE.to_value()])
        .await?;
    let refused = answer
        .as_ref()
        .is_err_and(|error| matches!(error[0].as_str(), "Fault" | "MESSAGE_METHOD_UNKNOWN"));
    ensure(refused, || {
        format!("Async.VM.get_name_label, which does not exist, answered {answer:?}")
    })?;
    Ok(Vec::new())
}

/// The identity of the pool does not change between two calls.
pub(super) async fn encodings(host: &Host) -> Found {
    let pool = host.pool().await?;
    let mut answers = Vec::new();
    for encoding in [Encoding::Json, Encoding::Xml] {
        let mut seen = Vec::new();
        for field in ["uuid", "name_label", "master", "other_config", "ha_enabled"] {
            let method = format!("pool.get_{field}");
            let answer = host.in_session(encoding, &method, vec![pool.to_value()]).await?;
            seen.push(answer.map_err(|error| format!("{method} over {encoding:?}: {error:?}"))?);
        }
        answers.push(seen);
    }
    ensure(answers[0] == answers[1], || {
        format!("JSON tells {:?}, XML {:?}", answers[0], answers[1])
    })?;
    Ok(Vec::new())
}
