//! The generator's command line.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand};
use xenapi_codegen::phrases::Phrases;
use xenapi_codegen::{diff, generate, import, store};

/// Generates the bindings and the simulator's tables from the datamodel.
#[derive(Parser)]
struct Options {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Subcommand)]
enum Action {
    /// Write the Rust files again (what happens without a command).
    Generate,
    /// Take over a newer dump of the server's datamodel, and print what changed.
    Import {
        /// The dump, in JSON.
        file: PathBuf,
    },
}

fn main() -> Result<(), Box<dyn Error>> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .ok_or("the crate has no folder above it")?;
    match Options::parse().action.unwrap_or(Action::Generate) {
        Action::Generate => write(package),
        Action::Import { file } => take_over(&file, &package.join("datamodel")),
    }
}

fn write(package: &Path) -> Result<(), Box<dyn Error>> {
    for (path, text) in generate::files(package)? {
        let path = package.join(path);
        if fs::read_to_string(&path).is_ok_and(|known| known == text) {
            continue;
        }
        println!("{}", path.display());
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(path, text)?;
    }
    Ok(())
}

fn take_over(dump: &Path, datamodel: &Path) -> Result<(), Box<dyn Error>> {
    let dump = fs::read_to_string(dump)?;
    let new = import::datamodel(&dump)?;
    Phrases::of_dump(&dump)?.save(&datamodel.join("phrases.hashes"))?;
    match store::load(datamodel) {
        Ok(old) => diff::changes(&old, &new).iter().for_each(|line| println!("{line}")),
        Err(error) => eprintln!("nothing to compare with: {error}"),
    }
    Ok(store::save(datamodel, &new)?)
}
