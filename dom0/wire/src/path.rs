use std::fmt;
use std::str::FromStr;

/// A text that is no path of xenstore.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path:?} is no path of xenstore: {reason}")]
pub struct PathError {
    /// The text, shortened.
    pub path: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// A path in xenstore, or the name of one of its special watches. It is absolute but for [`own`](Self::own).
///
/// ```
/// use xenstore_wire::XenStorePath;
///
/// let tty = XenStorePath::domain(7).child("serial/0/tty")?;
/// assert_eq!(tty.as_str(), "/local/domain/7/serial/0/tty");
/// assert!("/local/../etc".parse::<XenStorePath>().is_err(), "a dot");
/// # Ok::<(), xenstore_wire::PathError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct XenStorePath(String);

/// XENSTORE_ABS_PATH_MAX
const LONGEST: usize = 3072;

impl XenStorePath {
    /// The folder of a domain.
    pub fn domain(id: u32) -> Self {
        Self(format!("/local/domain/{id}"))
    }

    /// Watched, this tells of every domain that appears.
    pub fn domain_introduced() -> Self {
        Self("@introduceDomain".into())
    }

    /// Watched, this tells of every domain that goes.
    pub fn domain_released() -> Self {
        Self("@releaseDomain".into())
    }

    /// What lies below.
    pub fn child(&self, name: &str) -> Result<Self, PathError> {
        let below = format!("{}/{name}", self.0.trim_end_matches('/'));
        match self.0.starts_with(['/', '@']) {
            true => below.parse(),
            false => Self::own(&below),
        }
    }

    /// What a guest has of its own, such as `domid` or `data/x`: xenstore looks below the guest's folder.
    pub fn own(name: &str) -> Result<Self, PathError> {
        let Self(below) = format!("/{name}").parse()?;
        Ok(Self(below[1..].into()))
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for XenStorePath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        let wrong = |reason| {
            Err(PathError {
                path: text.chars().take(200).collect(),
                reason,
            })
        };
        if text == "@introduceDomain" || text == "@releaseDomain" || text == "/" {
            return Ok(Self(text.into()));
        }
        if !text.starts_with('/') {
            return wrong("it does not begin with a slash");
        }
        if text.len() > LONGEST {
            return wrong("it is longer than 3072 bytes");
        }
        if text.ends_with('/') || text.contains("//") {
            return wrong("a part of it is empty");
        }
        if !text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-/_@".contains(&byte))
        {
            return wrong("only ASCII letters, digits and -/_@ are allowed");
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for XenStorePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_path() {
        for good in ["/", "/local/domain/0/name", "/vm/a-b_c@d", "@releaseDomain"] {
            assert_eq!(good.parse::<XenStorePath>().unwrap().as_str(), good);
        }
        for bad in ["", "local", "-h", "/a/", "/a//b", "/a b", "/ä", "/a\n", "/a$(x)"] {
            assert!(bad.parse::<XenStorePath>().is_err(), "{bad}");
        }
        assert!(format!("/{}", "a".repeat(3072)).parse::<XenStorePath>().is_err());
        assert_eq!(XenStorePath::own("data/x").unwrap().as_str(), "data/x");
        assert_eq!(
            XenStorePath::own("data").unwrap().child("x").unwrap().as_str(),
            "data/x"
        );
        assert!(XenStorePath::own("/data").is_err() && XenStorePath::own("a b").is_err());
        let root: XenStorePath = "/".parse().unwrap();
        assert_eq!(root.child("vm").unwrap().as_str(), "/vm");
    }
}
