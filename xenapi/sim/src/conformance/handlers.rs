//! Checks of the HTTP handlers.

use xenapi::Value;

use super::host::Host;
use super::shape::{Age, Inspection};
use super::{Found, ensure};
use crate::tables::HTTP_ACTIONS;

pub(super) async fn authentication(host: &Host) -> Found {
    let mut inspection = Inspection::new(Age::of(host).await?);
    let reading = HTTP_ACTIONS
        .iter()
        .filter(|action| action.sdk && action.method == "GET");
    for action in reading {
        for query in ["", "?session_id=OpaqueRef:nobody"] {
            let answer = host.get_as_is(&format!("{}{query}", action.path)).await?;
            if answer.status == 404 {
                inspection.absent(format!("GET {}", action.path));
                continue;
            }
            let challenge = format!("Basic realm=\"{}\"", action.name);
            let told = answer.header("www-authenticate");
            if answer.status != 401 || told != challenge {
                let status = answer.status;
                inspection.problem(format!("GET {}{query} answered {status} and {told:?}", action.path));
            }
        }
    }
    inspection.found()
}

pub(super) async fn refusals(host: &Host) -> Found {
    const NOWHERE: &str = "00000000-0000-0000-0000-000000000000";
    for (target, status, page) in [
        ("/no_such_file".to_owned(), 404, ""),
        (format!("/export_metadata?uuid={NOWHERE}"), 500, "UUID_INVALID"),
        (format!("/export?uuid={NOWHERE}"), 500, "UUID_INVALID"),
    ] {
        let answer = host.get(&target).await?;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        ensure(answer.status == status && text.contains(page), || {
            format!("GET {target} answered {}: {}", answer.status, answer.excerpt())
        })?;
    }
    Ok(Vec::new())
}

pub(super) async fn metadata(host: &Host) -> Found {
    const NAME: &[u8] = b"ova.xml\0";
    let templates = host
        .call(
            "VM.get_all_records_where",
            [Value::String("field \"is_a_template\" = \"true\"".to_owned())],
        )
        .await?;
    let uuid = templates
        .as_struct()
        .and_then(|records| records.first()?.1.get("uuid")?.as_str());
    let Some(uuid) = uuid else {
        return Ok(vec!["there is no template whose metadata could be exported".to_owned()]);
    };
    let answer = host.get(&format!("/export_metadata?uuid={uuid}")).await?;
    let (status, length) = (answer.status, answer.body.len());
    ensure(status == 200, || {
        format!("GET /export_metadata answered {status}: {}", answer.excerpt())
    })?;
    ensure(answer.header("content-length") == length.to_string(), || {
        format!(
            "{length} bytes came, {:?} were announced",
            answer.header("content-length")
        )
    })?;
    ensure(answer.body.starts_with(NAME), || {
        format!("the archive starts with {:?}", answer.excerpt())
    })?;
    Ok(Vec::new())
}

pub(super) async fn metrics(host: &Host) -> Found {
    let xml = host.get("/rrd_updates?start=-60&host=true").await?;
    let text = String::from_utf8_lossy(&xml.body).into_owned();
    ensure(
        xml.status == 200 && text.contains("<xport>") && text.contains("<legend>"),
        || format!("GET /rrd_updates answered {}: {}", xml.status, xml.excerpt()),
    )?;
    let json = host.get("/rrd_updates?start=-60&host=true&json=true").await?;
    let text = String::from_utf8_lossy(&json.body).into_owned();
    let sound = json.status == 200 && text.trim_start().starts_with('{') && text.contains("\"legend\"");
    ensure(sound, || {
        format!("GET /rrd_updates as JSON answered {}: {}", json.status, json.excerpt())
    })?;
    let refused = host.get("/rrd_updates?host=true").await?;
    ensure(refused.status == 400, || {
        format!("without a start it answered {}", refused.status)
    })?;
    Ok(Vec::new())
}
