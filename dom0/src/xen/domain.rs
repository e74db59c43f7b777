use super::{XenError, unescape};
use crate::{Command, Dom0, Error};

/// A domain that runs on the host; the control domain itself is number 0.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Domain {
    /// Its number, which changes at every start.
    pub id: u32,
    /// The VM's UUID; some that are being built or torn down have none.
    pub uuid: Option<String>,
    /// The VM's name.
    pub name: Option<String>,
}

/// Three lines a domain; `xenstore-read` escapes what would break a line. All that call themselves a host of Xen have these
/// programs and keys: XenServer, XCP-ng and Xen with `xl`.
const SCRIPT: &str = "list=$(xenstore-list /local/domain) || exit\n\
    for id in $list; do\n\
    echo \"domain $id\"\n\
    xenstore-read \"/local/domain/$id/vm\" 2>/dev/null || echo\n\
    xenstore-read \"/local/domain/$id/name\" 2>/dev/null || echo\n\
    done";

impl Dom0 {
    /// The domains that run on the host.
    pub async fn domains(&self) -> Result<Vec<Domain>, Error> {
        let printed = self.run(&Command::raw(SCRIPT)).await?;
        parse_domains(&printed).map_err(|source| Error::Xen {
            host: self.host(),
            source,
        })
    }
}

/// Reads what [`Dom0::domains`] has the control domain print: `domain` with the number, `/vm/UUID` and the name, a line
/// each, the latter two empty where there are none.
pub fn parse_domains(printed: &[u8]) -> Result<Vec<Domain>, XenError> {
    const PROGRAM: &str = "the list of domains";
    let mut lines = printed
        .strip_suffix(b"\n")
        .unwrap_or(printed)
        .split(|&byte| byte == b'\n');
    let mut domains = Vec::new();
    while let Some(line) = lines.next() {
        if line.is_empty() && domains.is_empty() && printed.len() < 2 {
            break;
        }
        let id = std::str::from_utf8(line)
            .ok()
            .and_then(|line| line.strip_prefix("domain ")?.parse().ok());
        let id = id.ok_or_else(|| XenError::line(PROGRAM, line))?;
        let (Some(vm), Some(name)) = (lines.next(), lines.next()) else {
            return Err(XenError::line(PROGRAM, line));
        };
        let name = String::from_utf8_lossy(&unescape(name)).into_owned();
        domains.push(Domain {
            id,
            uuid: uuid(vm),
            name: Some(name).filter(|name| !name.is_empty()),
        });
    }
    Ok(domains)
}

/// `/vm/UUID`, with a number behind it in old toolstacks.
fn uuid(vm: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(vm).ok()?.strip_prefix("/vm/")?;
    let uuid = text.get(..36)?;
    let fits = uuid.bytes().enumerate().all(|(at, byte)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    });
    fits.then(|| uuid.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_host_with_odd_names() {
        let printed = b"domain 0\n/vm/9b1f8fa6-0f4b-4b39-a6d5-6ac0a5e4a9b3\nDomain-0\n\
            domain 7\n/vm/0C0FFEE0-1111-2222-3333-444444444444-1\n; rm -rf $(x) \"'\\n\\xc3\\xa4\ndomain 8\n\n\n";
        let domains = parse_domains(printed).unwrap();
        assert_eq!(domains.len(), 3);
        assert_eq!(domains[0].name.as_deref(), Some("Domain-0"));
        assert_eq!(domains[1].uuid.as_deref(), Some("0c0ffee0-1111-2222-3333-444444444444"));
        assert_eq!(domains[1].name.as_deref(), Some("; rm -rf $(x) \"'\nä"));
        assert_eq!(
            domains[2],
            Domain {
                id: 8,
                uuid: None,
                name: None
            }
        );
    }

    #[test]
    fn nothing_runs_and_nonsense() {
        assert_eq!(parse_domains(b"").unwrap(), []);
        assert!(parse_domains(b"domain 1\n").is_err(), "cut off");
        assert!(parse_domains(b"domain x\n\n\n").is_err());
        assert!(parse_domains(b"\n\n\n").is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_break_it(printed: Vec<u8>) {
            let _ = parse_domains(&printed);
        }
    }
}
