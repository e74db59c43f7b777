//! How tcpdump is called, and what it says.

use dom0::{Command, Dom0};

use super::{Error, Options};

/// The tcpdump of a control domain.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tcpdump {
    /// Whether it can hand packets out at once (since 4.7); otherwise they are half a second late.
    is_immediate: bool,
    /// Whether it says its counts when it is asked to. Others may end at the signal.
    says_counts: bool,
}

/// What a tcpdump says at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) received: u64,
    pub(super) dropped: u64,
}

/// Stands for the devices of VMs that are not there yet: it is Ethernet as well.
const ANY_DEVICE: &str = "lo";

impl Tcpdump {
    /// Looks whether there is one, and which.
    pub(super) async fn probe(dom0: &Dom0) -> Result<Self, Error> {
        let output = dom0.output(&Command::new("tcpdump").arg("--version")).await?;
        if output.exit.code() == Some(127) {
            return Err(Error::NoTcpdump { host: dom0.host() });
        }
        // Older ones print it to standard error.
        let said = [&output.stdout[..], &output.stderr].concat();
        let version = version(&String::from_utf8_lossy(&said));
        Ok(Self {
            is_immediate: version.is_none_or(|version| version >= (4, 7)),
            says_counts: version.is_some_and(|version| version >= (4, 9)),
        })
    }

    /// Has the filter compiled, and the device opened, without capturing.
    pub(super) async fn check(&self, dom0: &Dom0, device: Option<&str>, options: &Options) -> Result<(), Error> {
        let device = device.unwrap_or(ANY_DEVICE);
        let compile = |filter: &str| {
            let command = self.words(Command::new("tcpdump").arg("-d"), device, options);
            with_filter(command, filter)
        };
        let output = dom0.output(&compile(&options.filter)).await?;
        if output.exit.success() {
            return Ok(());
        }
        let reason = complaint(&output.stderr);
        let host = dom0.host();
        // Whatever fails without a filter is not the filter's fault.
        if options.filter.is_empty() || !dom0.output(&compile("")).await?.exit.success() {
            return Err(Error::Tcpdump {
                host,
                device: device.into(),
                reason,
            });
        }
        Err(Error::Filter {
            host,
            filter: options.filter.clone(),
            reason,
        })
    }

    /// Captures a device until it is told to end, or the connection dies.
    pub(super) fn capture(&self, device: &str, options: &Options) -> Command {
        let mut command = Command::new("tcpdump").args(["-n", "-U"]);
        if self.is_immediate {
            command = command.arg("--immediate-mode");
        }
        let command = command.arg("-B").arg(options.ring_kib.to_string()).args(["-w", "-"]);
        with_filter(self.words(command, device, options), &options.filter).end_with_connection()
    }

    /// Has the tcpdump of a process group say its counts, if it can.
    pub(super) fn ask_for_counts(&self, process: u32) -> Option<Command> {
        let ask = Command::new("pkill")
            .args(["-USR1", "-x", "-g"])
            .arg(process.to_string());
        self.says_counts.then(|| ask.arg("tcpdump"))
    }

    fn words(&self, command: Command, device: &str, options: &Options) -> Command {
        let length = options.snapshot_length.to_string();
        command.arg("-s").arg(length).arg("-i").arg(device)
    }
}

/// A filter may begin with a minus, and must not become an option.
fn with_filter(command: Command, filter: &str) -> Command {
    match filter.is_empty() {
        true => command,
        false => command.arg("--").arg(filter),
    }
}

/// `tcpdump version 4.99.3`, also with a vendor's letters behind the numbers.
fn version(said: &str) -> Option<(u32, u32)> {
    let numbers = said.split_once("tcpdump version ")?.1;
    let mut numbers = numbers.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// The last `12 packets received by filter` and `0 packets dropped by kernel`: at its end in lines of their own, and with
/// commas in one where it was asked.
pub(super) fn counts(said: &[u8]) -> Option<Counts> {
    let said = String::from_utf8_lossy(said);
    let count = |of: &str| {
        let mut parts = said.lines().rev().flat_map(|line| line.rsplit(','));
        parts.find_map(|part| {
            let (number, rest) = part.trim_start().split_once(' ')?;
            let rest = rest.strip_prefix("packets ").or_else(|| rest.strip_prefix("packet "))?;
            (rest == of).then(|| number.parse().ok())?
        })
    };
    Some(Counts {
        received: count("received by filter")?,
        dropped: count("dropped by kernel")?,
    })
}

/// What went wrong, without the lines that tcpdump prints anyway.
pub(super) fn complaint(said: &[u8]) -> String {
    let said = String::from_utf8_lossy(said);
    let usual = |line: &&str| {
        let line = line.trim();
        !line.is_empty() && !line.contains("listening on") && !line.contains(" packets ") && !line.contains(" packet ")
    };
    let lines: Vec<_> = said
        .lines()
        .filter(usual)
        .map(|line| line.trim_start_matches("tcpdump: "))
        .collect();
    match lines.is_empty() {
        true => "it gave no reason".into(),
        false => lines.join("; ").chars().take(500).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_as_they_have_to_be() {
        let options = Options {
            filter: "-w /etc/passwd".into(),
            ..Options::default()
        };
        let tcpdump = Tcpdump {
            is_immediate: true,
            says_counts: true,
        };
        assert_eq!(
            tcpdump.capture("vif7.0", &options).to_string(),
            "tcpdump -n -U --immediate-mode -B 65536 -w - -s 262144 -i vif7.0 -- '-w /etc/passwd'"
        );
    }

    #[test]
    fn versions_are_read() {
        assert_eq!(version("tcpdump version 4.99.3\nlibpcap 1.10"), Some((4, 99)));
        assert_eq!(version("tcpdump version 4.9.2-3.el7"), Some((4, 9)));
        assert_eq!(version("usage"), None);
    }

    #[test]
    fn counts_are_read() {
        let said = b"tcpdump: listening on vif7.0\n10 packets captured\n12 packets received by filter\n1 packet dropped by kernel\n";
        assert_eq!(
            counts(said),
            Some(Counts {
                received: 12,
                dropped: 1
            })
        );
        assert_eq!(counts(b"10 packets captured\n"), None);
        let asked = b"tcpdump: 9 packets captured, 11 packets received by filter, 2 packets dropped by kernel\n";
        let counted = counts(&[&said[..], asked].concat()).unwrap();
        assert_eq!((counted.received, counted.dropped), (11, 2));
        assert_eq!(complaint(said), "it gave no reason");
        assert_eq!(complaint(b"tcpdump: vif7.0: gone\n1 packet captured\n"), "vif7.0: gone");
    }
}
