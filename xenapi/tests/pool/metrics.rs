//! Metrics of a pool, over all its hosts.

use std::time::Duration;

use xenapi::metrics::{Consolidation, Owner, Resolution, SourceKind, Traffic, Unit};
use xenapi::transport::RequestBody;
use xenapi::wire::Encoding;
use xenapi::wire::json;
use xenapi::{Client, Error, ErrorCode, Value};
use xenapi_sim::{Fault, Simulator};

use crate::detour::Detour;
use crate::{client, halted_and_running, pool};

#[tokio::test]
async fn all_hosts_answer_for_their_vms() {
    for bare in [false, true] {
        let builder = Simulator::builder().hosts(3).vms(9);
        let builder = if bare { builder.bare_metrics() } else { builder };
        let client = client(&builder.build().unwrap(), None).await;
        let metrics = client.metrics().last(Duration::from_secs(60)).await.unwrap();
        assert!(metrics.failures().is_empty());
        let vms = client.vms().all_records().await.unwrap();
        let running: Vec<_> = vms
            .values()
            .filter(|vm| vm.power_state == xenapi::vm::PowerState::Running)
            .collect();
        let hosts: std::collections::HashSet<_> = running.iter().map(|vm| vm.resident_on).collect();
        assert_eq!(hosts.len(), 3);
        for vm in running {
            let cpu = metrics
                .get(&Owner::Vm(vm.uuid.clone()), "cpu0")
                .expect("the VM's first CPU");
            assert_eq!((cpu.step, cpu.consolidation), (5, Consolidation::Average));
            assert!((11..=12).contains(&cpu.points.len()), "{}", cpu.points.len());
            assert!(cpu.points.is_sorted_by_key(|point| point.time), "oldest first");
            assert!((0.0..=1.0).contains(&cpu.latest().unwrap().value));
        }
        for host in client.hosts().all_records().await.unwrap().values() {
            let series = metrics.host(&host.uuid);
            let received = series.iter().find(|series| {
                matches!(
                    series.source.kind(),
                    SourceKind::Pif {
                        traffic: Traffic::Received,
                        ..
                    }
                )
            });
            assert_eq!(
                received.expect("a network interface").source.unit(),
                Unit::BytesPerSecond
            );
        }
    }
}

#[tokio::test]
async fn only_what_was_asked_for_comes() {
    let (_simulator, client) = pool(2, 6).await;
    let running: Vec<_> = client
        .vms()
        .all_records()
        .await
        .unwrap()
        .into_iter()
        .filter(|(_, vm)| vm.is_real_vm() && vm.power_state == xenapi::vm::PowerState::Running)
        .map(|(_, vm)| vm.uuid)
        .collect();
    for count in 1..=2 {
        let wanted = &running[..count];
        let metrics = client.metrics().vms(wanted).await.unwrap();
        assert!(wanted.iter().all(|uuid| !metrics.vm(uuid).is_empty()));
        assert!(
            metrics
                .series()
                .iter()
                .all(|series| wanted.iter().any(|uuid| uuid == series.owner.uuid()))
        );
    }
    let metrics = client.metrics().hosts().await.unwrap();
    assert!(!metrics.series().is_empty());
    assert!(
        metrics
            .series()
            .iter()
            .all(|series| matches!(series.owner, Owner::Host(_)))
    );
    let srs = client.srs().all_records().await.unwrap();
    let uuids: Vec<_> = srs.values().map(|sr| sr.uuid.clone()).take(2).collect();
    let metrics = client.metrics().srs(&uuids).await.unwrap();
    for uuid in &uuids {
        let size = metrics.get(&Owner::Sr(uuid.clone()), "size").expect("the SR's size");
        assert_eq!(size.source.unit(), Unit::Bytes);
        assert!(
            size.points.windows(2).all(|pair| pair[0].time < pair[1].time),
            "merged of two hosts"
        );
    }
    assert_eq!(metrics.series().len(), 4);
}

#[tokio::test]
async fn the_span_and_the_functions_decide_the_archive() {
    let (_simulator, client) = pool(1, 1).await;
    let minutes = client
        .metrics()
        .hosts()
        .last(Duration::from_secs(3600))
        .minimum()
        .maximum();
    let minutes = minutes.await.unwrap();
    let functions: std::collections::BTreeSet<_> = minutes
        .series()
        .iter()
        .map(|series| (series.consolidation, series.step))
        .collect();
    let expected = [(Consolidation::Minimum, 60), (Consolidation::Maximum, 60)];
    assert_eq!(functions.into_iter().collect::<Vec<_>>(), expected);
    let newest = minutes.series()[0].points.last().unwrap().time;
    let days = client
        .metrics()
        .hosts()
        .since(newest - 86_400 * 30)
        .average()
        .await
        .unwrap();
    assert_eq!(days.series()[0].step, 86_400);
    assert!((29..=31).contains(&days.series()[0].points.len()));
    let hours = client
        .metrics()
        .hosts()
        .interval(Resolution::Hour)
        .average()
        .await
        .unwrap();
    assert_eq!(hours.series().iter().map(|series| series.step).max(), Some(3600));
}

#[tokio::test]
async fn a_host_that_fails_is_named_beside_the_others() {
    let simulator = Simulator::builder().hosts(3).vms(6).build().unwrap();
    let broken = simulator.addresses()[1].clone();
    let transport = Detour::new(&simulator, move |request| {
        let is_broken = request.uri().host() == Some(&broken) && request.uri().path() == "/rrd_updates";
        is_broken.then(|| {
            (
                200,
                ("content-type", "text/html".to_owned()),
                b"Internal error".to_vec(),
            )
        })
    });
    let connect = Client::connect(simulator.url()).transport(transport);
    let client = connect.login("root", "xensource").await.unwrap();
    let metrics = client.metrics().await.unwrap();
    let [failure] = metrics.failures() else {
        panic!("{:?}", metrics.failures())
    };
    assert_eq!(failure.name, client.host(failure.host).name_label().await.unwrap());
    assert!(matches!(failure.error, Error::Decode(_)), "{}", failure.error);
    assert!(
        failure.error.to_string().contains("Internal error"),
        "{}",
        failure.error
    );
    let owners: std::collections::HashSet<_> = metrics
        .series()
        .iter()
        .filter(|series| matches!(series.owner, Owner::Host(_)))
        .map(|series| series.owner.uuid())
        .collect();
    assert_eq!(owners.len(), 2);
}

#[tokio::test]
async fn a_pool_where_no_host_answers_is_an_error() {
    let simulator = Simulator::builder().hosts(2).vms(1).build().unwrap();
    let transport = Detour::new(&simulator, |request| {
        let page = (500, ("content-type", "text/html".to_owned()), b"<p>no</p>".to_vec());
        (request.uri().path() == "/rrd_updates").then_some(page)
    });
    let connect = Client::connect(simulator.url()).transport(transport);
    let client = connect.login("root", "xensource").await.unwrap();
    let error = client.metrics().await.unwrap_err();
    assert!(matches!(&error, Error::Http(http) if http.status() == 500), "{error}");
}

#[tokio::test]
async fn an_old_server_may_answer_in_xml_all_the_same() {
    let simulator = Simulator::builder().vms(1).build().unwrap();
    let document = "<xport><meta><start>0</start><step>5</step><end>5</end><legend>\
        <entry>AVERAGE:host:h:loadavg</entry></legend></meta><data><row><t>5</t><v>0.5</v></row></data></xport>";
    let transport = Detour::new(&simulator, move |request| {
        let answer = (200, ("content-type", "text/xml".to_owned()), document.into());
        (request.uri().path() == "/rrd_updates").then_some(answer)
    });
    let connect = Client::connect(simulator.url()).transport(transport);
    let client = connect.login("root", "xensource").await.unwrap();
    let metrics = client.metrics().await.unwrap();
    assert_eq!(metrics.host("h")[0].latest().unwrap().value, 0.5);
}

#[tokio::test]
async fn whole_databases_of_hosts_vms_and_srs() {
    let (_simulator, client) = pool(2, 4).await;
    let (halted, running) = halted_and_running(&client).await;
    for (host, record) in client.hosts().all_records().await.unwrap() {
        let rrd = client.host(host).rrd().await.unwrap();
        assert_eq!((rrd.step, rrd.archives.len()), (5, 10), "{}", record.name_label);
        let week = rrd.archive(Consolidation::Maximum, Resolution::Hour).unwrap();
        assert_eq!((week.rows(), week.points("cpu_avg").len()), (168, 168));
        let newest = week.points("cpu_avg").next_back().unwrap().time;
        assert!(newest <= rrd.last_update && rrd.last_update - newest < 3600);
    }
    for vm in [halted, running] {
        let rrd = client.vm(vm).rrd().await.unwrap();
        let memory = rrd
            .sources
            .iter()
            .find(|known| known.source.name() == "memory_internal_free");
        assert_eq!(memory.expect("its memory").source.unit(), Unit::Kibibytes);
    }
    let sr = client.srs().all().await.unwrap()[0];
    let rrd = client.sr(sr).rrd().await.unwrap();
    assert_eq!(rrd.sources.len(), 2);
}

#[tokio::test]
async fn live_values_of_many_at_once() {
    let simulator = Simulator::builder().hosts(1).vms(4).build().unwrap();
    let (halted, running) = halted_and_running(&client(&simulator, None).await).await;
    let transport = Detour::new(&simulator, move |request| {
        let RequestBody::Whole(body) = request.body() else {
            return None;
        };
        let call = json::parse_request(body).ok()?;
        if call.method != "VM.query_data_source" {
            return None;
        }
        let value = if call.params.get(1)?.as_str() == Some(&running.to_wire()) {
            0.25
        } else {
            f64::NAN
        };
        let reply = json::success(call.version, &call.id, &Value::Float(value));
        Some((200, ("content-type", "application/json".to_owned()), reply))
    });
    let connect = Client::connect(simulator.url()).transport(transport);
    let client = connect.login("root", "xensource").await.unwrap();
    let values = client.vms().query_data_source([running, halted], "cpu0").run().await;
    assert_eq!((values[0].0, *values[0].1.as_ref().unwrap()), (running, 0.25));
    assert!(values[1].0 == halted && values[1].1.as_ref().unwrap().is_nan());
    simulator.fault(Fault::on("host.query_data_source").error("INTERNAL_ERROR", ["no"]));
    let hosts = client.hosts().all().await.unwrap();
    let values = client.hosts().query_data_source(hosts, "loadavg").run().await;
    assert!(values[0].1.is_err());
}

#[tokio::test]
async fn what_is_measured_can_be_listed_and_asked_for() {
    let simulator = Simulator::builder().hosts(1).vms(4).build().unwrap();
    for encoding in [Encoding::Json, Encoding::Xml] {
        let client = client(&simulator, Some(encoding)).await;
        let (halted, running) = halted_and_running(&client).await;
        let sources = client.vm(running).data_sources().await.unwrap();
        let cpu = sources.iter().find(|source| source.name_label == "cpu0").unwrap();
        assert_eq!((cpu.units.as_str(), cpu.min, cpu.max), ("(fraction)", 0.0, 1.0));
        let memory = sources.iter().find(|source| source.name_label == "memory").unwrap();
        assert!(memory.max.is_infinite() && memory.units == "B");
        let busy = client.vm(running).query_data_source("cpu0").await.unwrap();
        assert!((0.0..=1.0).contains(&busy), "{busy}");
        let error = client.vm(running).query_data_source("cpu99").await.unwrap_err();
        assert_eq!(error.code(), Some(&ErrorCode::InternalError));
        let error = client.vm(halted).query_data_source("cpu0").await.unwrap_err();
        assert_eq!(error.code(), Some(&ErrorCode::VmBadPowerState));
        let host = client.hosts().all().await.unwrap()[0];
        assert!(client.host(host).query_data_source("memory_free_kib").await.unwrap() > 0.0);
    }
}
