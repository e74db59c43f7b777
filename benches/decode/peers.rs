//! Python's own decoders, in processes of their own.

use std::path::PathBuf;
use std::process::Command;

use crate::data::Replies;
use crate::table::Row;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/vs/decode.py");

/// Python's rows; none where it is missing, unless CI asks for all.
pub(crate) fn python(replies: &Replies, runs: usize) -> Vec<Row> {
    let decoders = [
        ("xml", "Python xmlrpc.client", &replies.xml),
        ("json", "Python json", &replies.json),
    ];
    decoders
        .into_iter()
        .filter_map(|(encoding, decoder, body)| {
            let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("reply.{encoding}"));
            std::fs::write(&file, body).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            let output = Command::new("python3")
                .arg(SCRIPT)
                .arg(encoding)
                .arg(&file)
                .arg(runs.to_string())
                .output();
            let _ = std::fs::remove_file(&file);
            match output {
                Ok(output) if output.status.success() => {
                    let text = String::from_utf8_lossy(&output.stdout);
                    let mut numbers = text.split_whitespace().map(|number| number.parse::<f64>());
                    let (Some(Ok(seconds)), Some(Ok(peak))) = (numbers.next(), numbers.next()) else {
                        panic!("{SCRIPT} printed {text:?}");
                    };
                    Some(Row {
                        encoding,
                        decoder,
                        seconds,
                        peak_bytes: peak as usize,
                    })
                }
                Ok(output) => panic!("{SCRIPT}: {}", String::from_utf8_lossy(&output.stderr)),
                Err(error) if std::env::var_os("CI").is_some() => panic!("python3: {error}"),
                Err(error) => {
                    eprintln!("skipped: {decoder}: {error}");
                    None
                }
            }
        })
        .collect()
}
