//! Runs commands and copies files in a virtual machine, asked over its serial port.

mod arguments;
mod command;
mod download;
mod failure;
mod port;
mod process;
mod report;
mod secret_file;
mod service;
mod upload;
mod way;
mod work;
#[cfg(target_os = "linux")]
mod xenstore;

use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use serial_link_protocol::{Config, Entropy};

use crate::arguments::{Arguments, HELP};
use crate::service::Service;

/// Between two attempts to open the port, or whatever is in its place.
const PAUSE: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args_os().skip(1)) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(error) => return complain(&error),
    };
    match serve(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&*error),
    }
}

fn complain(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("serial-agent: {error}");
    ExitCode::FAILURE
}

fn serve(arguments: &Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let secret = secret_file::read(&arguments.secret)?;
    let service = Service::new(Config::new(secret, Entropy::system()?));
    // The first time, somebody may be watching who has mistyped the name.
    let mut opened = way::open(arguments)?;
    loop {
        let (reader, writer) = opened;
        if let Err(error) = service.run(reader, writer) {
            eprintln!("serial-agent: {} broke off: {error}", way::name(arguments));
        }
        opened = loop {
            thread::sleep(PAUSE);
            if let Ok(way) = way::open(arguments) {
                break way;
            }
        };
    }
}
