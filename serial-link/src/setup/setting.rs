/// The key in VM.platform, and in VM.other_config.
const KEY: &str = "hvm_serial";

/// What a VM's serial port is set to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Setting {
    /// The text that QEMU gets at the next start.
    pub value: String,
    /// Where it stands.
    pub origin: Origin,
}

/// Where a setting stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// In VM.platform, which wins.
    Platform,
    /// In VM.other_config.
    OtherConfig,
    /// Nowhere: it is `pty`.
    Default,
}

impl Setting {
    /// The key in VM.platform and VM.other_config. It takes a pool administrator to set it in either.
    pub const KEY: &str = KEY;

    /// What the toolstack makes of both maps.
    pub fn of<K: AsRef<str>, V: AsRef<str>>(
        platform: impl IntoIterator<Item = (K, V)>,
        other_config: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let found = |value: V, origin| Self {
            value: value.as_ref().into(),
            origin,
        };
        let platform = platform.into_iter().find(|(key, _)| key.as_ref() == KEY);
        let other = || other_config.into_iter().find(|(key, _)| key.as_ref() == KEY);
        match platform {
            Some((_, value)) => found(value, Origin::Platform),
            None => other().map_or_else(
                || Self {
                    value: "pty".into(),
                    origin: Origin::Default,
                },
                |(_, value)| found(value, Origin::OtherConfig),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_platform_wins() {
        let (platform, other) = ([("a", "b"), ("hvm_serial", "none")], [("hvm_serial", "null")]);
        assert_eq!(Setting::of(platform, other).value, "none");
        let setting = Setting::of([("a", "b")], other);
        assert_eq!((setting.value.as_str(), setting.origin), ("null", Origin::OtherConfig));
        let nothing: [(&str, &str); 0] = [];
        assert_eq!(Setting::of(nothing, nothing).value, "pty");
    }
}
