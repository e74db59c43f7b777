//! A tool's flags, and what is made out of their description.

use std::ffi::OsString;
use std::io;
use std::path::Path;

use clap::{Command, CommandFactory, Parser, ValueEnum};
use clap_complete::Shell;

/// What every tool's help ends with.
const EXIT_CODES: &str = "Exit codes: 0 all went well, 1 something failed and was said on standard error, \
                          2 the flags make no sense, 130 ctrl-c";

/// The flags that a tool was started with. It ends here where they ask for help, or make no sense.
///
/// Every tool takes `--generate bash` (or another shell, or `man`) as its only arguments, and prints the completions of
/// that shell or its manual page.
pub fn arguments<T: Parser>() -> T {
    let given: Vec<OsString> = std::env::args_os().collect();
    let command = described::<T>(&given);
    if let [_, flag, wanted] = given.as_slice()
        && flag == "--generate"
    {
        generate(command, &wanted.to_string_lossy());
    }
    let parsed = T::from_arg_matches(&command.get_matches_from(given));
    parsed.unwrap_or_else(|error| error.format(&mut T::command()).exit())
}

fn described<T: CommandFactory>(given: &[OsString]) -> Command {
    let name = given.first().and_then(|path| Path::new(path).file_stem()?.to_str());
    let name = name.unwrap_or("tool").to_owned();
    T::command()
        .display_name(name.clone())
        .bin_name(name)
        .after_help(EXIT_CODES)
}

/// Prints what was asked for, and ends.
fn generate(mut command: Command, wanted: &str) -> ! {
    let name = command.get_bin_name().unwrap_or_default().to_owned();
    let mut made = Vec::new();
    let written = match (wanted, Shell::from_str(wanted, true)) {
        ("man", _) => clap_mangen::Man::new(command).render(&mut made),
        (_, Ok(shell)) => {
            clap_complete::generate(shell, &mut command, name, &mut made);
            Ok(())
        }
        (_, Err(_)) => command
            .error(
                clap::error::ErrorKind::InvalidValue,
                format!("--generate takes man, bash, zsh, fish, elvish or powershell, not {wanted:?}"),
            )
            .exit(),
    };
    let shown = written.and_then(|()| io::Write::write_all(&mut io::stdout(), &made));
    std::process::exit(i32::from(
        shown.is_err_and(|error| error.kind() != io::ErrorKind::BrokenPipe),
    ))
}
