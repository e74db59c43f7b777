use proptest::prelude::*;

use super::*;

const XML: &str = "<?xml version=\"1.0\"?><rrd><version>0003</version><step>5</step><lastupdate>1003.5</lastupdate>\
    <ds><name>cpu0</name><type>GAUGE</type><minimal_heartbeat>300</minimal_heartbeat><min>0.0</min><max>1</max>\
    <last_ds>0.5</last_ds><value>0.5</value><unknown_sec>0</unknown_sec></ds>\
    <ds><name>vif_0_rx</name><type>DERIVE</type><min>-Infinity</min><max>Infinity</max><last_ds>U</last_ds></ds>\
    <rra><cf>AVERAGE</cf><pdp_per_row>1</pdp_per_row><params><xff>0.5</xff></params><cdp_prep><ds><value>7</value></ds>\
    <ds><value>8</value></ds></cdp_prep><database><row><v>NaN</v><v>1</v></row><row><v>0.25</v><v>2</v></row></database>\
    </rra><rra><cf>MAX</cf><pdp_per_row>12</pdp_per_row><params><xff>1</xff></params><database/></rra></rrd>";

#[test]
fn a_database_is_taken_apart() {
    let rrd = Rrd::parse(XML.as_bytes()).unwrap();
    assert_eq!((rrd.step, rrd.last_update, rrd.archives.len()), (5, 1003, 2));
    let [cpu, received] = &rrd.sources[..] else {
        panic!("{rrd:?}")
    };
    assert_eq!((cpu.source.name(), cpu.last_sample, cpu.maximum), ("cpu0", 0.5, 1.0));
    assert_eq!(received.sampling, Sampling::Derive);
    assert!(received.last_sample.is_nan());
    let fine = rrd.archive(Consolidation::Average, Resolution::FiveSeconds).unwrap();
    assert_eq!((fine.rows(), fine.most_unknown), (2, 0.5));
    let points: Vec<_> = fine.points("vif_0_rx").map(|point| (point.time, point.value)).collect();
    assert_eq!(points, [(995, 1.0), (1000, 2.0)]);
    assert_eq!(fine.points("cpu9").len(), 0);
    let empty = rrd.archive(Consolidation::Maximum, Resolution::Minute).unwrap();
    assert_eq!((empty.rows(), empty.points("cpu0").len()), (0, 0));
    assert!(rrd.archive(Consolidation::Minimum, Resolution::Minute).is_none());
}

#[test]
fn what_is_no_database_is_an_error() {
    let narrow = XML.replace("<v>1</v>", "");
    let no_step = XML.replace("<step>5</step>", "");
    let frozen = XML.replace("<pdp_per_row>12<", "<pdp_per_row>0<");
    let mean = XML.replace("<cf>MAX<", "<cf>MEAN<");
    for document in ["", "{}", "<xport/>", &XML[..600], &narrow, &no_step, &frozen, &mean] {
        Rrd::parse(document.as_bytes()).expect_err(document);
    }
}

#[test]
fn absurd_times_do_not_overflow() {
    let step = i64::MAX.to_string();
    let document = XML
        .replace("<step>5<", &format!("<step>{step}<"))
        .replace("<lastupdate>1003.5<", "<lastupdate>-9000000000000000<");
    let rrd = Rrd::parse(document.as_bytes()).unwrap();
    assert_eq!(rrd.archives[0].points("cpu0").count(), 2);
}

proptest! {
    #[test]
    fn any_change_of_a_document_is_read_or_refused(
        at in any::<proptest::sample::Index>(),
        length in 0..20usize,
        by in proptest::collection::vec(any::<u8>(), 0..8),
    ) {
        let mut document = XML.as_bytes().to_vec();
        let at = at.index(document.len());
        let end = (at + length).min(document.len());
        document.splice(at..end, by);
        if let Ok(rrd) = Rrd::parse(&document) {
            for archive in &rrd.archives {
                prop_assert_eq!(archive.points("cpu0").count() % archive.rows().max(1), 0);
            }
        }
    }
}
