//! What `ssh` writes when it does not come to a session, as an error.

use std::path::PathBuf;

use crate::Error;

pub(super) fn error(host: &str, said: &str) -> Error {
    let host = host.to_owned();
    if said.contains("REMOTE HOST IDENTIFICATION HAS CHANGED")
        && let Some((file, line)) = offending(said)
    {
        return Error::ChangedHostKey {
            host,
            fingerprint: fingerprint(said),
            file,
            line,
        };
    }
    if said.contains("Host key verification failed") || said.contains("host key is known for") {
        return Error::UnknownHostKey {
            host,
            fingerprint: fingerprint(said),
        };
    }
    if let Some(accepts) = denied(said) {
        return Error::Denied {
            host,
            tried: vec!["what the ssh program is configured to".into()],
            accepts,
        };
    }
    let last = said
        .lines()
        .last()
        .unwrap_or("the ssh program ended without a word")
        .trim()
        .to_owned();
    let unreachable = [
        "Connection refused",
        "timed out",
        "No route to host",
        "Network is unreachable",
        "Could not resolve",
    ];
    match unreachable.iter().any(|sign| said.contains(sign)) {
        true => Error::Connect { host, reason: last },
        false => Error::Handshake { host, reason: last },
    }
}

/// `Offending ED25519 key in /home/me/.ssh/known_hosts:7`
fn offending(said: &str) -> Option<(PathBuf, usize)> {
    let line = said
        .lines()
        .find(|line| line.starts_with("Offending") && line.contains(" key in "))?;
    let (_, place) = line.split_once(" key in ")?;
    let (file, line) = place.trim().rsplit_once(':')?;
    Some((file.into(), line.parse().ok()?))
}

fn fingerprint(said: &str) -> Option<String> {
    let start = said.find("SHA256:")?;
    let print = said[start..].split_whitespace().next()?;
    Some(print.trim_end_matches('.').to_owned())
}

/// `me@xs1: Permission denied (publickey,password).`
fn denied(said: &str) -> Option<Vec<String>> {
    let (_, methods) = said.rsplit_once("Permission denied (")?;
    let (methods, _) = methods.split_once(')')?;
    Some(methods.split(',').map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_key() {
        let said = "@@@@\r\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\r\n@@@@\r\nIT IS POSSIBLE ...\r\n\
            The fingerprint for the ED25519 key sent by the remote host is\nSHA256:Xh0SOHNHOiGmwSFHTvHBkDMIBfnTwJCoYJwDCl2FSWo.\r\n\
            Add correct host key in /home/me/kh to get rid of this message.\r\nOffending ED25519 key in /home/me:x/kh:7\r\n\
            Host key for [127.0.0.1]:22022 has changed and you have requested strict checking.\r\nHost key verification failed.";
        let Error::ChangedHostKey {
            file,
            line,
            fingerprint,
            ..
        } = error("xs1", said)
        else {
            panic!("{said}")
        };
        assert_eq!((file.to_str(), line), (Some("/home/me:x/kh"), 7));
        assert_eq!(
            fingerprint.as_deref(),
            Some("SHA256:Xh0SOHNHOiGmwSFHTvHBkDMIBfnTwJCoYJwDCl2FSWo")
        );
    }

    #[test]
    fn other_complaints() {
        let unknown = "No ED25519 host key is known for xs1 and you have requested strict checking.\nHost key verification failed.";
        assert!(matches!(error("xs1", unknown), Error::UnknownHostKey { .. }));
        let Error::Denied { accepts, .. } = error("xs1", "me@xs1: Permission denied (publickey,password).") else {
            panic!("denied")
        };
        assert_eq!(accepts, ["publickey", "password"]);
        let refused = error("xs1", "ssh: connect to host xs1 port 22: Connection refused");
        assert!(matches!(refused, Error::Connect { .. }));
        assert!(matches!(error("xs1", ""), Error::Handshake { .. }));
    }
}
