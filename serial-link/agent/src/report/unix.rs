use std::fs;
use std::time::Duration;

use serial_link_protocol::Report;

pub(crate) fn system() -> Report {
    let names = rustix::system::uname();
    let kernel = format!(
        "{} {}",
        names.sysname().to_string_lossy(),
        names.release().to_string_lossy()
    );
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    Report {
        system: pretty_name(&release).unwrap_or_else(|| names.sysname().to_string_lossy().into_owned()),
        kernel,
        hostname: names.nodename().to_string_lossy().into_owned(),
        users: users(&fs::read("/run/utmp").unwrap_or_default()),
        uptime: fs::read_to_string("/proc/uptime").ok().and_then(|text| uptime(&text)),
        ..Report::default()
    }
}

fn pretty_name(release: &str) -> Option<String> {
    let value = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(value.trim_matches(['"', '\'']).to_owned())
}

fn uptime(text: &str) -> Option<Duration> {
    let seconds: f64 = text.split_whitespace().next()?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// Who is logged in, by the records of glibc on 64-bit systems: 384 bytes, of which the first two say that it is a user,
/// and those from 44 on are the name.
fn users(records: &[u8]) -> Vec<String> {
    const USER: [u8; 2] = 7_i16.to_ne_bytes();
    let mut users: Vec<String> = records
        .chunks_exact(384)
        .filter(|record| record[..2] == USER)
        .map(|record| record[44..76].split(|&byte| byte == 0).next().unwrap_or_default())
        .filter(|name| !name.is_empty())
        .map(|name| String::from_utf8_lossy(name).into_owned())
        .collect();
    users.sort();
    users.dedup();
    users
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_in_quotes_or_not() {
        let debian = "NAME=\"Debian\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n";
        assert_eq!(pretty_name(debian).as_deref(), Some("Debian GNU/Linux 12 (bookworm)"));
        assert_eq!(pretty_name("PRETTY_NAME=Alpine\n").as_deref(), Some("Alpine"));
        assert_eq!(pretty_name(""), None);
    }

    #[test]
    fn users_are_the_records_that_say_so() {
        let mut records = vec![0; 3 * 384 + 10];
        for (at, kind, name) in [(0, 7, "root"), (384, 8, "gone"), (768, 7, "root")] {
            records[at] = kind;
            records[at + 44..at + 48].copy_from_slice(name.as_bytes());
        }
        assert_eq!(users(&records), ["root"]);
    }

    #[test]
    fn an_uptime_that_is_none_is_absent() {
        assert_eq!(uptime("12.5 3.0\n"), Some(Duration::from_millis(12_500)));
        assert_eq!((uptime(""), uptime("-1 0")), (None, None));
    }
}
