use proptest::prelude::*;

use super::*;
use crate::{Consolidation, Owner};

const XML: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<xport><meta><start>10</start><step>5</step><end>20</end>\
    <rows>3</rows><columns>2</columns><legend><entry>AVERAGE:host:h:loadavg</entry><entry>AVERAGE:vm:v:cpu0</entry>\
    </legend></meta><data><row><t>20</t><v>0.5</v><v>NaN</v></row><row><t>15</t><v>0.0</v><v>Infinity</v></row>\
    <row><t>10</t><v>1e-05</v><v>-Infinity</v></row></data></xport>";

const TEXTS: &str = r#"{"meta":{"start":"10","step":"5","end":"20","rows":"3","columns":"2","legend":[
    "AVERAGE:host:h:loadavg","AVERAGE:vm:v:cpu0"]},"data":[{"t":"20","values":["0.5","NaN"]},
    {"t":"15","values":["0.0","Infinity"]},{"t":"10","values":["1e-05","-Infinity"]}]}"#;

/// The old form: everything that is a number stands bare.
fn bare() -> String {
    let mut text = TEXTS.to_owned();
    for number in [
        "10",
        "5",
        "20",
        "3",
        "2",
        "15",
        "0.5",
        "0.0",
        "1e-05",
        "NaN",
        "Infinity",
        "-Infinity",
    ] {
        text = text.replace(&format!("\"{number}\""), number);
    }
    text
}

fn times(series: &Series) -> Vec<i64> {
    series.points.iter().map(|point| point.time).collect()
}

#[test]
fn all_generations_say_the_same() {
    assert!(bare().contains("[0.5,NaN]"), "{}", bare());
    for document in [XML.to_owned(), TEXTS.to_owned(), bare()] {
        let updates = Updates::parse(document.as_bytes()).unwrap();
        assert_eq!((updates.start, updates.end, updates.step), (10, 20, 5));
        let [load, cpu] = &updates.series[..] else {
            panic!("{updates:?}")
        };
        assert_eq!(load.owner, Owner::Host("h".to_owned()));
        assert_eq!(load.consolidation, Consolidation::Average);
        assert_eq!((load.step, times(load)), (5, vec![10, 15, 20]), "oldest first");
        let values: Vec<_> = load.points.iter().map(|point| point.value).collect();
        assert_eq!(values, [1e-5, 0.0, 0.5]);
        assert_eq!(cpu.owner, Owner::Vm("v".to_owned()));
        assert_eq!(
            (cpu.points[0].value, cpu.points[1].value),
            (f64::NEG_INFINITY, f64::INFINITY)
        );
        assert!(cpu.points[2].value.is_nan());
    }
}

#[test]
fn rows_may_be_missing_short_or_out_of_order() {
    let document = r#"{"data":[{"values":[4,5],"t":25},{"t":5,"values":[1]},{"t":15,"values":[]},{"t":10,"values":[2,null]}],
        "meta":{"step":5,"legend":["MIN:vm:v:a","MAX:vm:v:b"],"more":{"x":[1]}}}"#;
    let updates = Updates::parse(document.as_bytes()).unwrap();
    assert_eq!((updates.start, updates.end), (5, 25));
    assert_eq!(times(&updates.series[0]), [5, 10, 25]);
    assert_eq!(times(&updates.series[1]), [10, 25]);
    assert!(updates.series[1].points[0].value.is_nan());
}

#[test]
fn nothing_is_an_answer_too() {
    let json = r#"{"meta":{"start":0,"step":5,"end":0,"rows":0,"columns":0,"legend":[]},"data":[]}"#;
    assert!(Updates::parse(json.as_bytes()).unwrap().series.is_empty());
    let xml = "<xport><meta><step>60</step><legend/></meta><data/></xport>";
    assert_eq!(Updates::parse(xml.as_bytes()).unwrap().step, 60);
}

#[test]
fn what_is_no_such_document_is_an_error() {
    let no_time = TEXTS.replace(r#""t":"20","#, "");
    let too_wide = TEXTS.replace(r#"["0.5","#, r#"["0.5","1","#);
    let no_step = XML.replace("<step>5</step>", "");
    let backwards = XML.replace("<step>5<", "<step>-5<");
    let word = XML.replace("<v>0.5<", "<v>half<");
    let legend = XML.replace("AVERAGE:vm", "SOME:vm");
    for document in [
        "",
        "Internal error",
        "<html><body>no</body></html>",
        "{",
        "{}",
        "[]",
        "{data:}",
        &XML[..XML.len() - 9],
        &TEXTS[..TEXTS.len() - 9],
        &no_time,
        &too_wide,
        &no_step,
        &backwards,
        &word,
        &legend,
    ] {
        let error = Updates::parse(document.as_bytes()).expect_err(document);
        assert!(error.to_string().len() < 400, "{error}");
    }
}

#[test]
fn deep_nesting_is_refused_and_not_followed() {
    for document in [format!("{{\"x\":{}", "[".repeat(1 << 16)), "<a>".repeat(1 << 16)] {
        Updates::parse(document.as_bytes()).unwrap_err();
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Updates::parse(&bytes);
    }

    #[test]
    fn any_change_of_a_document_is_read_or_refused(
        which in 0..3usize,
        at in any::<proptest::sample::Index>(),
        length in 0..20usize,
        by in proptest::collection::vec(any::<u8>(), 0..8),
    ) {
        let mut document = [XML.to_owned(), TEXTS.to_owned(), bare()][which].clone().into_bytes();
        let at = at.index(document.len());
        let end = (at + length).min(document.len());
        document.splice(at..end, by);
        if let Ok(updates) = Updates::parse(&document) {
            for series in &updates.series {
                prop_assert!(series.points.is_sorted_by_key(|point| point.time));
            }
        }
    }

    #[test]
    fn what_was_written_is_read(rows in proptest::collection::vec((any::<u32>(), any::<f64>()), 0..20)) {
        let rows: Vec<_> = rows.iter().map(|(time, value)| format!("{{\"t\":{time},\"values\":[{value}]}}")).collect();
        let document = format!(
            "{{\"meta\":{{\"step\":5,\"legend\":[\"LAST:sr:s:size\"]}},\"data\":[{}]}}",
            rows.join(",")
        );
        let updates = Updates::parse(document.as_bytes()).unwrap();
        prop_assert_eq!(updates.series[0].points.len(), rows.len());
    }
}
