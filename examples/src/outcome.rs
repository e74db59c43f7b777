//! How a tool ends.

use std::io::{self, Write as _};
use std::process::ExitCode;

use crate::{Interrupted, Printable};

/// Says on standard error why a tool failed, if it did, and answers with its exit code.
///
/// Standard output that nobody reads any more, as behind `| head`, is no failure: whoever closed it has seen enough.
pub fn finish(outcome: anyhow::Result<ExitCode>) -> ExitCode {
    let error = match outcome {
        Ok(code) => return code,
        Err(error) => error,
    };
    if error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    {
        return ExitCode::SUCCESS;
    }
    note(format!("error: {error:#}"));
    if error.is::<Interrupted>() {
        return ExitCode::from(Interrupted::EXIT_CODE);
    }
    ExitCode::FAILURE
}

/// Says something on standard error, whether or not anybody reads it.
pub fn note(text: impl AsRef<str>) {
    let mut err = io::stderr().lock();
    for line in text.as_ref().lines() {
        let _ = writeln!(err, "{}", Printable(line));
    }
}
