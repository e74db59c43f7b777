//! What an environment is to be.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context as _, bail};
use serde::Deserialize;

use crate::bytes::Bytes;

/// Machines that belong together.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Environment {
    /// Its name, by which its machines are known in the pool.
    pub(crate) name: String,
    #[serde(rename = "block", default)]
    pub(crate) blocks: Vec<Block>,
}

/// Machines that are alike.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Block {
    /// The name of the machine, or the start of their names.
    pub(crate) name: String,
    #[serde(default = "one")]
    pub(crate) count: u32,
    /// The template, VM or snapshot that they are clones of.
    pub(crate) template: String,
    /// Their disks are full copies on this SR in place of clones.
    pub(crate) sr: Option<String>,
    /// Blocks whose machines have to be ready before.
    #[serde(default)]
    pub(crate) after: Vec<String>,
    pub(crate) cpus: Option<u32>,
    pub(crate) memory: Option<Bytes>,
    /// Which devices are booted from, in order: c for disks, d for the CD drive, n for the network.
    pub(crate) boot: Option<String>,
    /// Disks beside those of the template.
    #[serde(rename = "disk", default)]
    pub(crate) disks: Vec<Disk>,
    /// NICs in place of those of the template, where there are any here.
    #[serde(rename = "nic", default)]
    pub(crate) nics: Vec<Nic>,
    /// The ISO in the CD drive.
    pub(crate) iso: Option<String>,
    /// Values for the guest, such as `vm-data/role`.
    #[serde(default)]
    pub(crate) xenstore: BTreeMap<String, String>,
    #[serde(default = "yes")]
    pub(crate) start: bool,
    /// How many seconds the guest's agent may take to tell an address; without it nobody waits.
    pub(crate) address: Option<u64>,
    /// A command for the guest, over SSH.
    pub(crate) run: Option<Run>,
    /// A snapshot at the end, by this name.
    pub(crate) snapshot: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Disk {
    pub(crate) size: Bytes,
    /// Where; the pool's default SR if absent.
    pub(crate) sr: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nic {
    pub(crate) network: String,
    /// The network is made with this tag where it does not exist.
    pub(crate) vlan: Option<i64>,
    /// On this device of the hosts.
    #[serde(default = "first_device")]
    pub(crate) device: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Run {
    /// Who logs in in the guest.
    pub(crate) user: String,
    /// A line for his shell.
    pub(crate) command: String,
}

fn one() -> u32 {
    1
}

fn yes() -> bool {
    true
}

fn first_device() -> String {
    "eth0".to_owned()
}

impl Block {
    /// The names of its machines.
    pub(crate) fn machines(&self) -> impl Iterator<Item = String> {
        let width = self.count.to_string().len().max(2);
        (1..=self.count).map(move |number| match self.count {
            1 => self.name.clone(),
            _ => format!("{}-{number:0width$}", self.name),
        })
    }
}

impl Environment {
    pub(crate) fn read(file: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
        let environment: Self =
            toml::from_str(&text).with_context(|| format!("{} is no description of an environment", file.display()))?;
        let mistakes = environment.mistakes();
        if mistakes.is_empty() {
            return Ok(environment);
        }
        bail!("{}:\n  {}", file.display(), mistakes.join("\n  "))
    }

    /// All that is wrong with it, whatever the pool has.
    fn mistakes(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        let is_plain = |name: &str| {
            !name.is_empty()
                && name
                    .chars()
                    .all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'))
        };
        if !is_plain(&self.name) {
            mistakes.push(format!("name = {:?}: letters, digits and -_. only", self.name));
        }
        if self.blocks.is_empty() {
            mistakes.push("there is no [[block]]".to_owned());
        }
        let mut machines = BTreeSet::new();
        for block in &self.blocks {
            let name = &block.name;
            if !is_plain(name) {
                mistakes.push(format!("block {name:?}: letters, digits and -_. only"));
            }
            if !(1..=1000).contains(&block.count) {
                mistakes.push(format!("block {name:?}: count is 1 to 1000"));
            }
            for machine in block.machines().take(1000) {
                if !machines.insert(machine.clone()) {
                    mistakes.push(format!("block {name:?}: another machine is called {machine:?} already"));
                }
            }
            for other in &block.after {
                if !self.blocks.iter().any(|known| known.name == *other) {
                    mistakes.push(format!("block {name:?}: after = {other:?}, which is no block"));
                }
            }
            let is_order = |boot: &String| !boot.is_empty() && boot.chars().all(|c| "cdn".contains(c));
            if !block.boot.as_ref().is_none_or(is_order) {
                mistakes.push(format!("block {name:?}: boot is made of c, d and n"));
            }
            if block.cpus == Some(0) {
                mistakes.push(format!("block {name:?}: cpus is at least 1"));
            }
            if block.run.is_some() && block.address.is_none() {
                mistakes.push(format!(
                    "block {name:?}: run needs address = SECONDS to wait for the guest's address"
                ));
            }
            if block.address.is_some() && !block.start {
                mistakes.push(format!(
                    "block {name:?}: a machine that is not started tells no address"
                ));
            }
        }
        if let Some(block) = self.blocks.iter().find(|block| self.waits_for_itself(block)) {
            mistakes.push(format!("block {:?} waits for itself", block.name));
        }
        mistakes
    }

    fn waits_for_itself(&self, block: &Block) -> bool {
        let mut reached = BTreeSet::new();
        let mut next: Vec<&str> = block.after.iter().map(String::as_str).collect();
        while let Some(name) = next.pop() {
            if reached.insert(name) {
                let others = self.blocks.iter().filter(|other| other.name == name);
                next.extend(others.flat_map(|other| other.after.iter().map(String::as_str)));
            }
        }
        reached.contains(block.name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(text: &str) -> Vec<String> {
        toml::from_str::<Environment>(text).unwrap().mistakes()
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        let text = r#"
            name = "a b"
            [[block]]
            name = "web"
            template = "x"
            count = 2
            after = ["db", "none"]
            boot = "cx"
            [[block]]
            name = "db"
            template = "x"
            after = ["web"]
            run = { user = "root", command = "true" }
            [[block]]
            name = "web-01"
            template = "x"
            address = 5
            start = false
        "#;
        let told = mistakes(text).join("\n");
        for mistake in [
            "name = \"a b\"",
            "\"none\", which is no block",
            "made of c, d and n",
            "waits for itself",
            "run needs address",
            "called \"web-01\" already",
            "tells no address",
        ] {
            assert!(told.contains(mistake), "{mistake} is not in {told}");
        }
    }

    #[test]
    fn machines_are_numbered() {
        let text = "name = \"e\"\n[[block]]\nname = \"web\"\ntemplate = \"x\"\ncount = 3\n[[block]]\nname = \"db\"\ntemplate = \"x\"";
        let environment: Environment = toml::from_str(text).unwrap();
        assert_eq!(environment.mistakes(), [""; 0]);
        let names: Vec<_> = environment.blocks.iter().flat_map(Block::machines).collect();
        assert_eq!(names, ["web-01", "web-02", "web-03", "db"]);
    }
}
