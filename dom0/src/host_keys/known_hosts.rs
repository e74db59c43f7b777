//! One line of a known_hosts file: whether it speaks of a host, and with which key.

use ring::hmac;
use russh::keys::ssh_key::PublicKey;
use russh::keys::ssh_key::known_hosts::{Entry, HostPatterns, Marker};

/// A line that speaks of the host.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) line: usize,
    pub(super) key: PublicKey,
    pub(super) revoked: bool,
}

/// The lines of a file that speak of a host. Lines that cannot be read, of authorities, and of key types unknown here
/// are passed over, as OpenSSH does.
pub(super) fn of_host(text: &str, host: &str, port: u16) -> Vec<Known> {
    let name = name_of(host, port);
    text.lines()
        .enumerate()
        .filter_map(|(index, line)| {
            let fields: Vec<_> = line.split_ascii_whitespace().collect();
            if fields.first()?.starts_with('#') {
                return None;
            }
            let entry: Entry = fields.join(" ").parse().ok()?;
            let revoked = match entry.marker() {
                None => false,
                Some(Marker::Revoked) => true,
                Some(Marker::CertAuthority) => return None,
            };
            let known = || Known {
                line: index + 1,
                key: entry.public_key().clone(),
                revoked,
            };
            speaks_of(entry.host_patterns(), &name).then(known)
        })
        .collect()
}

/// How the file calls a host: with the port only where it is not 22.
pub(super) fn name_of(host: &str, port: u16) -> String {
    let host = host.to_lowercase();
    if port == 22 { host } else { format!("[{host}]:{port}") }
}

fn speaks_of(patterns: &HostPatterns, name: &str) -> bool {
    match patterns {
        HostPatterns::Patterns(patterns) => {
            let matches = |pattern: &str| wildcard(pattern.to_lowercase().as_bytes(), name.as_bytes());
            let (not, yes): (Vec<_>, Vec<_>) = patterns.iter().partition(|pattern| pattern.starts_with('!'));
            yes.iter().any(|pattern| matches(pattern)) && !not.iter().any(|pattern| matches(&pattern[1..]))
        }
        HostPatterns::HashedName { salt, hash } => {
            let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, salt);
            hmac::verify(&key, name.as_bytes(), hash).is_ok()
        }
    }
}

/// `*` is any text, `?` any character; linear but for the last star.
fn wildcard(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut read) = (0, 0);
    let mut star = None;
    while read < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, read));
                at += 1;
            }
            Some(&byte) if byte == b'?' || byte == text[read] => {
                at += 1;
                read += 1;
            }
            _ => match &mut star {
                Some((behind, taken)) => {
                    *taken += 1;
                    (at, read) = (*behind + 1, *taken);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|&byte| byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";

    fn lines(text: &str, host: &str, port: u16) -> Vec<usize> {
        of_host(text, host, port).iter().map(|known| known.line).collect()
    }

    #[test]
    fn names_ports_patterns_and_comments() {
        let text = format!(
            "# xs1 {KEY}\n\nxs1,10.0.0.2 {KEY}\n[xs1]:2222\t{KEY}  a comment\n*.lab,!bad.lab {KEY}\nXS? {KEY}\nnonsense\n"
        );
        assert_eq!(lines(&text, "xs1", 22), [3, 6]);
        assert_eq!(lines(&text, "10.0.0.2", 22), [3]);
        assert_eq!(lines(&text, "XS1", 2222), [4]);
        assert_eq!(lines(&text, "a.b.lab", 22), [5]);
        assert_eq!(lines(&text, "bad.lab", 22), [0; 0]);
        assert_eq!(lines(&text, "xs", 22), [0; 0]);
    }

    #[test]
    fn hashed_names() {
        // Of example.com, as `ssh-keygen -H` writes it.
        let text = format!("|1|O33ESRMWPVkMYIwJ1Uw+n877jTo=|nuuC5vEqXlEZ/8BXQR7m619W6Ak= {KEY}\n");
        assert_eq!(lines(&text, "example.com", 22), [1]);
        assert_eq!(lines(&text, "example.com", 23), [0; 0]);
        assert_eq!(lines(&text, "example.org", 22), [0; 0]);
    }

    #[test]
    fn markers() {
        let text = format!("@revoked xs1 {KEY}\n@cert-authority xs1 {KEY}\n");
        let known = of_host(&text, "xs1", 22);
        assert_eq!(known.len(), 1);
        assert!(known[0].revoked);
    }

    #[test]
    fn many_stars_take_no_time() {
        assert!(!wildcard(
            &[b"*a".repeat(200), b"b".to_vec()].concat(),
            &b"a".repeat(4000)
        ));
    }
}
