//! Which release has a message, by the datamodel.

use super::messages::{MESSAGES, RELEASES};

/// What is known of a server's version.
#[derive(Clone, Debug)]
pub(super) struct Version {
    pub(super) api: (i64, i64),
    pub(super) xapi: Option<String>,
}

/// What the datamodel says about a message.
pub(super) struct Facts {
    pub(super) least_role: &'static str,
    pub(super) since: &'static str,
    removed: &'static str,
}

pub(super) fn facts(method: &str) -> Option<Facts> {
    let mut facts = MESSAGES
        .lines()
        .filter_map(|line| line.strip_prefix(method)?.strip_prefix(' '));
    let mut words = facts.next()?.split(' ');
    Some(Facts {
        least_role: words.next()?,
        since: words.next()?,
        removed: words.next().unwrap_or_default(),
    })
}

impl Facts {
    pub(super) fn is_there_in(&self, version: &Version) -> bool {
        !self.is_removed_in(version) && has_reached(version, self.since).unwrap_or(false)
    }

    pub(super) fn is_removed_in(&self, version: &Version) -> bool {
        !self.removed.is_empty() && has_reached(version, self.removed).unwrap_or(false)
    }
}

/// Whether a server is of this release or a later one, where that can be told.
fn has_reached(version: &Version, release: &str) -> Option<bool> {
    if let Some((_, api)) = RELEASES.iter().find(|(name, _)| *name == release) {
        return Some(version.api >= *api);
    }
    let wanted = numbers(release)?;
    Some(numbers(version.xapi.as_deref()?)? >= wanted)
}

/// A version such as `22.5.0` in numbers; what follows the first three (a build) does not count.
fn numbers(version: &str) -> Option<[u64; 3]> {
    let mut numbers = [0; 3];
    let parts = version.split(['.', '-']).take(3);
    for (number, part) in numbers.iter_mut().zip(parts) {
        *number = part.parse().ok()?;
    }
    Some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(api: (i64, i64), xapi: &str) -> Version {
        Version {
            api,
            xapi: Some(xapi.to_owned()),
        }
    }

    #[test]
    fn releases_are_compared_by_name_and_by_version() {
        let (old, new) = (server((2, 5), "1.9"), server((2, 21), "26.17.0"));
        assert_eq!(
            (has_reached(&old, "rio"), has_reached(&old, "falcon")),
            (Some(true), Some(false))
        );
        assert_eq!(
            (has_reached(&new, "22.5.0"), has_reached(&old, "22.5.0")),
            (Some(true), Some(false))
        );
        assert_eq!(has_reached(&server((2, 21), "unknown"), "22.5.0"), None);
    }

    #[test]
    fn messages_are_found_and_removed_ones_are_gone() {
        let new = server((2, 21), "26.17.0");
        assert!(facts("VM.start").is_some_and(|facts| facts.is_there_in(&new) && facts.since == "rio"));
        assert!(facts("VMPP.create").is_some_and(|facts| facts.is_removed_in(&new)));
        assert!(facts("VM.levitate").is_none());
    }
}
