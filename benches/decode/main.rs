//! How fast replies become values, beside other ways to read them.
//!
//! The input is the reply to `VM.get_all_records` in both encodings. Times are Criterion's medians, memory is what the
//! heap grew by while the reply was read (the reply itself not counted); Python tells its own. `--quick`, or the
//! variable `BENCH_QUICK`, runs everything on a small input.

mod data;
mod measure;
mod peers;
mod plain;
mod table;

use std::collections::BTreeMap;

use peak_alloc::PeakAlloc;
use xenapi::wire::{self, Encoding};
use xenapi::{Map, Ref, Value, Vm, VmRecord};

use crate::data::Replies;
use crate::measure::Bench;
use crate::plain::Plain;
use crate::table::Row;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

fn main() {
    // `cargo test --benches` asks with `--test` for a run that only shows that it works.
    let quick =
        std::env::args().any(|arg| arg == "--quick" || arg == "--test") || std::env::var_os("BENCH_QUICK").is_some();
    let sizes: &[usize] = if quick { &[100] } else { &[5_000, 20_000] };
    for &size in sizes {
        let replies = Replies::new(size);
        let mut bench = Bench::new(size, quick);
        let mut rows = xml(&mut bench, &replies);
        rows.extend(json(&mut bench, &replies));
        rows.extend(peers::python(&replies, if size > 5_000 { 1 } else { 3 }));
        table::print(&replies, &rows);
    }
}

fn xml(bench: &mut Bench, replies: &Replies) -> Vec<Row> {
    let body = &replies.xml;
    let text = std::str::from_utf8(body).expect("the generated reply is UTF-8");
    vec![
        bench.run("xml", "xenapi, VmRecord", body, || {
            wire::decode_reply::<Map<Ref<Vm>, VmRecord>>(Encoding::Xml, body).expect("the reply is read")
        }),
        bench.run("xml", "xenapi, plain record", body, || {
            wire::decode_reply::<BTreeMap<String, Plain>>(Encoding::Xml, body).expect("the reply is read")
        }),
        bench.run("xml", "xenapi, Value", body, || {
            wire::decode_reply::<Value>(Encoding::Xml, body).expect("the reply is read")
        }),
        bench.run("xml", "serde_xmlrpc, plain record", body, || {
            serde_xmlrpc::response_from_str::<plain::Envelope>(text).expect("the reply is read")
        }),
    ]
}

fn json(bench: &mut Bench, replies: &Replies) -> Vec<Row> {
    let body = &replies.json;
    vec![
        bench.run("json", "xenapi, VmRecord", body, || {
            wire::decode_reply::<Map<Ref<Vm>, VmRecord>>(Encoding::Json, body).expect("the reply is read")
        }),
        bench.run("json", "xenapi, Value", body, || {
            wire::decode_reply::<Value>(Encoding::Json, body).expect("the reply is read")
        }),
        bench.run("json", "serde_json, its own Value", body, || {
            serde_json::from_slice::<serde_json::Value>(body).expect("the reply is read")
        }),
    ]
}
