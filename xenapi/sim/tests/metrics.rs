//! Metrics, pictures and files of hosts.

mod common;

use bytes::Bytes;
use common::{Caller, args, fetch, pool};
use xenapi::transport::Transport;
use xenapi_sim::{Fault, Simulator};

async fn get(pool: &Simulator, caller: &Caller, host: usize, path: &str) -> (http::response::Parts, String) {
    let joint = if path.contains('?') { '&' } else { '?' };
    let url = format!(
        "https://{}{path}{joint}session_id={}",
        pool.addresses()[host],
        caller.session
    );
    let response = pool
        .transport()
        .send(http::Request::get(&url).body(Bytes::new().into()).unwrap())
        .await
        .unwrap();
    let (parts, _) = response.into_parts();
    let (_, body) = fetch(
        &pool.transport(),
        http::Request::get(url).body(Bytes::new().into()).unwrap(),
    )
    .await
    .unwrap();
    (parts, String::from_utf8_lossy(&body).into_owned())
}

#[tokio::test]
async fn updates_hold_the_rows_since_a_time() {
    let (pool, caller) = pool(|builder| builder.hosts(2).vms(2)).await;
    let (head, xml) = get(&pool, &caller, 0, "/rrd_updates?start=-300&host=true").await;
    assert_eq!(
        (head.status.as_u16(), head.headers["content-type"].to_str().unwrap()),
        (200, "text/xml")
    );
    let (_, json) = get(&pool, &caller, 0, "/rrd_updates?start=-300&host=true&json=false").await;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let rows: usize = json["meta"]["rows"].as_str().unwrap().parse().unwrap();
    assert!((59..=60).contains(&rows), "{rows}");
    assert_eq!(json["data"].as_array().unwrap().len(), rows);
    let columns = json["meta"]["legend"].as_array().unwrap();
    assert_eq!(json["data"][0]["values"].as_array().unwrap().len(), columns.len());
    assert_eq!(xml.matches("<entry>").count(), columns.len());
    let host = pool.find("host", "host-01").unwrap();
    let uuid = caller.text("host.get_uuid", args![host]).await;
    assert!(
        xml.contains(&format!("<entry>AVERAGE:host:{uuid}:cpu_avg</entry>")),
        "{xml:.400}"
    );
    let here = caller
        .text("VM.get_uuid", args![pool.find("VM", "web-01").unwrap()])
        .await;
    assert!(xml.contains(&format!("AVERAGE:vm:{here}:cpu0")));
    let newest = |row: usize| json["data"][row]["t"].as_str().unwrap().parse::<i64>().unwrap();
    assert_eq!(newest(0) - newest(1), 5);
}

#[tokio::test]
async fn an_interval_chooses_the_archive_and_unknown_values_are_told() {
    let (pool, caller) = pool(|builder| builder.vms(0)).await;
    let path = "/rrd_updates?start=0&interval=86400&host=true&json&cf=MAX";
    let (_, json) = get(&pool, &caller, 0, path).await;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!([&json["meta"]["step"], &json["meta"]["rows"]], ["86400", "366"]);
    assert_eq!(json["data"][365]["values"][0], "NaN");
    assert!(json["meta"]["legend"][0].as_str().unwrap().starts_with("MAX:host:"));
    let (old, caller) = common::pool(|builder| builder.vms(0).bare_metrics()).await;
    let (_, text) = get(&old, &caller, 0, path).await;
    assert!(text.contains(",NaN,") && serde_json::from_str::<serde_json::Value>(&text).is_err());
    assert_eq!(
        get(&old, &caller, 0, "/rrd_updates?host=true").await.0.status,
        400,
        "no start"
    );
}

#[tokio::test]
async fn a_vms_metrics_are_where_it_runs() {
    let (pool, caller) = pool(|builder| builder.hosts(2).vms(3)).await;
    for name in ["web-01", "db-01", "app-01"] {
        let vm = pool.find("VM", name).unwrap();
        let uuid = caller.text("VM.get_uuid", args![vm]).await;
        let resident = caller.text("VM.get_resident_on", args![vm]).await;
        let home = usize::from(Some(resident) == pool.find("host", "host-02"));
        let path = format!("/vm_rrd?uuid={uuid}");
        let (head, xml) = get(&pool, &caller, home, &path).await;
        assert_eq!(head.status, 200, "{name}");
        assert!(xml.contains("<rrd><version>0003</version><step>5</step>") && xml.contains("<v>NaN</v>"));
        assert_eq!(xml.matches("<rra>").count(), 10);
        let (head, _) = get(&pool, &caller, 1 - home, &path).await;
        assert_eq!(head.status, 302, "{name}");
        let there = format!("https://{}{path}", pool.addresses()[home]);
        assert!(head.headers["location"].to_str().unwrap().starts_with(&there));
    }
    assert_eq!(get(&pool, &caller, 0, "/vm_rrd?uuid=none").await.0.status, 404);
    let (_, json) = get(&pool, &caller, 1, "/host_rrd?json=true").await;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["rra"][0]["database"].as_array().unwrap().len(), 120);
    let sr = caller
        .text("SR.get_uuid", args![pool.find("SR", "Shared storage").unwrap()])
        .await;
    assert!(
        get(&pool, &caller, 0, &format!("/sr_rrd?uuid={sr}"))
            .await
            .1
            .contains("<name>size</name>")
    );
}

#[tokio::test]
async fn the_other_handlers_send_something_plausible() {
    let (pool, caller) = pool(|builder| builder.hosts(2).vms(2)).await;
    let vm = pool.find("VM", "web-01").unwrap();
    let picture = get(&pool, &caller, 0, &format!("/vncsnapshot?ref={vm}")).await;
    assert_eq!(picture.0.headers["content-type"], "image/jpeg");
    let halted = pool.find("VM", "db-01").unwrap();
    let refused = get(&pool, &caller, 0, &format!("/vncsnapshot?ref={halted}")).await;
    assert!(refused.0.status == 500 && refused.1.contains("VM_BAD_POWER_STATE"));
    for (path, part) in [
        ("/host_backup", "etc/xensource-inventory"),
        ("/host_logs_download", "var/log/xensource.log"),
        ("/pool/xmldbdump", "<table name=\"VM\"><row ref=\"OpaqueRef:"),
        ("/system-status", "xensource.log"),
        ("/system-status?list=true", "<capabilities>"),
        ("/audit_log?since=20260101T00:00:00Z", "'root' 'ALLOWED'"),
        ("/updates", "\"hash\""),
        ("/host_updates", "livepatches"),
    ] {
        let (head, body) = get(&pool, &caller, 0, path).await;
        assert_eq!(head.status, 200, "{path}");
        assert!(body.contains(part), "{path}: {body:.300}");
    }
    assert_eq!(
        get(&pool, &caller, 1, "/updates").await.0.status,
        404,
        "members do not have it"
    );
    let stranger = Caller {
        session: "OpaqueRef:none".to_owned(),
        ..caller.clone()
    };
    assert_eq!(get(&pool, &stranger, 0, "/host_backup").await.0.status, 401);
    pool.fault(Fault::on("/host_backup").error_in_body(100));
    assert!(get(&pool, &caller, 0, "/host_backup").await.1[100..].starts_with("HTTP/1.1 500"));
}

#[tokio::test]
async fn a_blob_keeps_its_bytes() {
    let (pool, caller) = pool(|builder| builder.vms(0)).await;
    let blob = caller.text("blob.create", args!["text/plain", false]).await;
    let url = format!("{}/blob?ref={blob}&session_id={}", caller.url, caller.session);
    let put = http::Request::put(&url)
        .body(Bytes::from_static(b"kept").into())
        .unwrap();
    assert_eq!(fetch(&pool.transport(), put).await.unwrap().0, 200);
    assert_eq!(caller.ok("blob.get_size", args![blob]).await.as_int(), Some(4));
    assert_eq!(get(&pool, &caller, 0, &format!("/blob?ref={blob}")).await.1, "kept");
}
