//! The folder that holds the datamodel.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::model::{Class, Datamodel};
use crate::parse::{self, ParseError};
use crate::print;

const CLASSES: &str = "classes";
const ENUMS: &str = "enums.model";
const ERRORS: &str = "errors.model";
const HTTP_ACTIONS: &str = "http_actions.model";
const RELEASES: &str = "releases.model";

/// Why a file of the datamodel cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
pub struct StoreError {
    path: PathBuf,
    source: Reason,
}

#[derive(Debug, thiserror::Error)]
enum Reason {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Parse(#[from] ParseError),
    #[error("a class called {0} belongs in a file of that name")]
    Misnamed(String),
}

/// Reads the whole folder.
///
/// # Errors
/// Where a file is missing or not what it should be.
pub fn load(folder: &Path) -> Result<Datamodel, StoreError> {
    Ok(Datamodel {
        classes: classes(&folder.join(CLASSES))?,
        enums: file(folder.join(ENUMS), parse::enums)?,
        errors: file(folder.join(ERRORS), parse::errors)?,
        http_actions: file(folder.join(HTTP_ACTIONS), parse::http_actions)?,
        releases: file(folder.join(RELEASES), parse::releases)?,
    })
}

/// The files that hold the datamodel, with their paths in the folder.
pub fn files(model: &Datamodel) -> Vec<(PathBuf, String)> {
    let class = |class: &Class| {
        (
            Path::new(CLASSES).join(&class.name).with_extension("model"),
            print::class(class),
        )
    };
    let mut files: Vec<_> = model.classes.iter().map(class).collect();
    files.push((ENUMS.into(), print::enums(&model.enums)));
    files.push((ERRORS.into(), print::errors(&model.errors)));
    files.push((HTTP_ACTIONS.into(), print::http_actions(&model.http_actions)));
    files.push((RELEASES.into(), print::releases(&model.releases)));
    files
}

/// Writes the whole folder, and removes the files of classes that are gone.
///
/// # Errors
/// Where the file system does not let it.
pub fn save(folder: &Path, model: &Datamodel) -> Result<(), StoreError> {
    let known = |path: &Path| {
        model
            .classes
            .iter()
            .any(|class| path.file_stem().is_some_and(|stem| *stem == *class.name))
    };
    for path in class_files(&folder.join(CLASSES))?
        .into_iter()
        .filter(|path| !known(path))
    {
        fs::remove_file(&path).map_err(|error| StoreError {
            path,
            source: error.into(),
        })?;
    }
    for (path, text) in files(model) {
        let path = folder.join(path);
        fs::write(&path, text).map_err(|error| StoreError {
            path,
            source: error.into(),
        })?;
    }
    Ok(())
}

fn classes(folder: &Path) -> Result<Vec<Class>, StoreError> {
    let mut classes = Vec::new();
    for path in class_files(folder)? {
        let class = file(path.clone(), parse::class)?;
        if path.file_stem().is_none_or(|stem| *stem != *class.name) {
            return Err(StoreError {
                path,
                source: Reason::Misnamed(class.name),
            });
        }
        classes.push(class);
    }
    classes.sort_by_key(|class| class.name.to_lowercase());
    Ok(classes)
}

fn class_files(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let wrong = |error: io::Error| StoreError {
        path: folder.to_owned(),
        source: error.into(),
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(wrong)? {
        let path = entry.map_err(wrong)?.path();
        if path.extension().is_some_and(|extension| extension == "model") {
            files.push(path);
        }
    }
    Ok(files)
}

fn file<T>(path: PathBuf, parse: impl FnOnce(&str) -> Result<T, ParseError>) -> Result<T, StoreError> {
    let read = || Ok(parse(&fs::read_to_string(&path)?)?);
    read().map_err(|source| StoreError {
        path: path.clone(),
        source,
    })
}
