//! The generator's command line.

use std::error::Error;
use std::fs;
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use xenapi_codegen::{diff, import, store};

/// Generates the bindings from the datamodel.
#[derive(Parser)]
struct Options {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Subcommand)]
enum Action {
    /// Take over a newer dump of the server's datamodel, and print what changed.
    Import {
        /// The dump, in JSON.
        file: PathBuf,
    },
}

fn main() -> Result<(), Box<dyn Error>> {
    let datamodel = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../datamodel"));
    match Options::parse().action {
        Some(Action::Import { file }) => {
            let new = import::datamodel(&fs::read_to_string(file)?)?;
            match store::load(&datamodel) {
                Ok(old) => diff::changes(&old, &new).iter().for_each(|line| println!("{line}")),
                Err(error) => eprintln!("nothing to compare with: {error}"),
            }
            store::save(&datamodel, &new)?;
        }
        None => {}
    }
    Ok(())
}
