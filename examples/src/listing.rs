//! One list of several pools.

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Args;
use serde_json::{Map, Value};

use crate::{Connection, Interrupted, Pool, Printable, note};

/// The flags of what only looks.
#[derive(Args, Clone, Copy, Debug)]
pub struct Listing {
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
    /// Every pool of the file of pools, one after the other
    #[arg(long, conflicts_with_all = ["url", "pool"])]
    all_pools: bool,
}

impl Listing {
    /// Lists what one pool has, or each of the file of pools under its name. A pool that cannot be asked is told on
    /// standard error and holds up no other.
    ///
    /// `work` writes to standard output; for `--json` it returns a document instead, which is printed here: as it is, or
    /// in an object with an entry for each pool.
    ///
    /// # Errors
    /// Where the only pool cannot be asked, or there is no file of pools.
    pub async fn run(
        self,
        connection: &Connection,
        tool: &str,
        work: impl AsyncFn(&Pool) -> anyhow::Result<Option<Value>>,
    ) -> anyhow::Result<ExitCode> {
        let mut out = io::stdout();
        if !self.all_pools {
            if let Some(document) = connection.run(tool, &work).await? {
                writeln!(out, "{document:#}")?;
            }
            return Ok(ExitCode::SUCCESS);
        }
        let mut documents = Map::new();
        let mut failed = false;
        for name in Connection::known_names()? {
            if !self.json {
                writeln!(out, "== {} ==", Printable(&name))?;
            }
            match connection.to(&name).run(tool, &work).await {
                Ok(document) => drop(documents.insert(name, document.unwrap_or_default())),
                Err(error) if error.is::<Interrupted>() || error.is::<io::Error>() => return Err(error),
                Err(error) => {
                    failed = true;
                    note(format!("error: {name}: {error:#}"));
                }
            }
        }
        if self.json {
            writeln!(out, "{:#}", Value::Object(documents))?;
        }
        Ok(ExitCode::from(u8::from(failed)))
    }
}
