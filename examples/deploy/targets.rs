//! What the file names, as the pool has it.

use std::collections::BTreeMap;

use anyhow::bail;
use xenapi::{Map, Network, NetworkRecord, Object, Ref, Sr, Vdi, Vm};
use xenapi_examples::{Nameable, Pool, named};

use crate::file::{Block, Environment};
use crate::marks::{ENVIRONMENT, entry, unless_gone};

/// What a machine is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source {
    pub(crate) vm: Ref<Vm>,
    pub(crate) is_template: bool,
    pub(crate) sr: Option<Ref<Sr>>,
}

/// What the machines of a block need.
#[derive(Clone, Debug)]
pub(crate) struct Targets {
    pub(crate) source: Source,
    /// Of each further disk.
    pub(crate) srs: Vec<Ref<Sr>>,
    /// Of each NIC.
    pub(crate) networks: Vec<Ref<Network>>,
    pub(crate) iso: Option<Ref<Vdi>>,
}

/// Of all blocks, by their names.
pub(crate) type AllTargets = BTreeMap<String, Targets>;

/// A network that has to be made, or of which an interrupted run has made a half.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewNetwork {
    /// What there is of it.
    pub(crate) half: Option<Ref<Network>>,
    pub(crate) name: String,
    pub(crate) vlan: i64,
    pub(crate) device: String,
}

/// Looks everything up, and tells all that is missing at once. Networks that are to be made come back in place of those
/// that are there.
pub(crate) async fn look_up(pool: &Pool, environment: &Environment) -> anyhow::Result<(AllTargets, Vec<NewNetwork>)> {
    let (vms, srs, networks, pifs, isos, pools) = tokio::try_join!(
        pool.vms().all_records(),
        pool.srs().all_records(),
        pool.networks().all_records(),
        pool.pifs().all_records(),
        pool.isos(),
        pool.pools().all_records(),
    )?;
    let standard = pools.values().next().map(|pool| pool.default_sr);
    let mut missing = Vec::new();
    let mut new: Vec<NewNetwork> = Vec::new();
    let mut all = AllTargets::new();
    for block in &environment.blocks {
        let place = &block.name;
        let source = find(&vms, &block.template, place, &mut missing);
        let copy_to = block.sr.as_ref().map(|sr| find(&srs, sr, place, &mut missing));
        let mut of_disks = Vec::new();
        for disk in &block.disks {
            of_disks.push(match &disk.sr {
                Some(sr) => find(&srs, sr, place, &mut missing),
                None => {
                    let usable = standard.filter(|sr| !sr.is_null());
                    if usable.is_none() {
                        missing.push(format!(
                            "block {place:?}: the pool has no default SR for its disk; say which"
                        ));
                    }
                    usable
                }
            });
        }
        let of_nics: Vec<_> = block
            .nics
            .iter()
            .map(|nic| {
                let by_name = networks.iter().find(|(_, network)| is_called(network, &nic.network));
                let half = by_name.filter(|(_, record)| record.pifs.is_empty() && is_made(record));
                match (by_name, nic.vlan) {
                    (Some((&network, record)), vlan) if half.is_none() => {
                        let tags: Vec<_> = record.pifs.iter().filter_map(|pif| pifs.get(pif)).map(|pif| pif.vlan).collect();
                        let differs = |vlan: i64| tags.is_empty() || tags.iter().any(|tag| *tag != vlan);
                        if vlan.is_some_and(differs) {
                            missing.push(format!(
                                "block {place:?}: the network {:?} is not VLAN {}: give the NIC another network, or no vlan",
                                nic.network,
                                vlan.unwrap_or_default()
                            ));
                        }
                        Some(network)
                    }
                    (_, Some(vlan)) => {
                        let network = NewNetwork {
                            half: half.map(|(network, _)| *network),
                            name: nic.network.clone(),
                            vlan,
                            device: nic.device.clone(),
                        };
                        if !new.contains(&network) {
                            new.push(network);
                        }
                        None
                    }
                    (_, None) => {
                        missing.push(format!("block {place:?}: the pool has no network {:?}", nic.network));
                        None
                    }
                }
            })
            .collect();
        let iso = match &block.iso {
            Some(name) => {
                let found = isos
                    .iter()
                    .find(|(_, iso)| iso.name_label == *name || iso.uuid == *name);
                if found.is_none() {
                    missing.push(format!("block {place:?}: no ISO library has {name:?}"));
                }
                found.map(|(iso, _)| *iso)
            }
            None => None,
        };
        if let Some(vm) = source {
            let source = Source {
                vm,
                is_template: vms[&vm].is_a_template && !vms[&vm].is_a_snapshot,
                sr: copy_to.flatten(),
            };
            let targets = Targets {
                source,
                srs: of_disks.into_iter().flatten().collect(),
                networks: of_nics.into_iter().flatten().collect(),
                iso,
            };
            all.insert(place.clone(), targets);
        }
    }
    if missing.is_empty() {
        return Ok((all, new));
    }
    missing.dedup();
    bail!("{}", missing.join("\n  "))
}

fn find<T: Object>(
    objects: &Map<Ref<T>, T::Record>,
    wanted: &str,
    block: &str,
    missing: &mut Vec<String>,
) -> Option<Ref<T>>
where
    T::Record: Nameable,
{
    match named(objects, wanted) {
        Ok((found, _)) => Some(found),
        Err(error) => {
            missing.push(format!("block {block:?}: {error}"));
            None
        }
    }
}

fn is_called(network: &NetworkRecord, name: &str) -> bool {
    [&network.name_label, &network.uuid].contains(&&name.to_owned())
}

/// Whether a network was made by `up`, for whatever environment.
fn is_made(network: &NetworkRecord) -> bool {
    entry(&network.other_config, ENVIRONMENT).is_some()
}

/// The networks that were made for an environment and that no NIC uses.
pub(crate) fn lone_networks<'a>(
    networks: &'a Map<Ref<Network>, NetworkRecord>,
    environment: &str,
) -> impl Iterator<Item = (Ref<Network>, &'a NetworkRecord)> {
    let is_one = move |record: &NetworkRecord| {
        entry(&record.other_config, ENVIRONMENT) == Some(environment) && record.vifs.is_empty()
    };
    networks
        .iter()
        .filter(move |(_, record)| is_one(record))
        .map(|(network, record)| (*network, record))
}

/// Removes a network with its VLAN.
pub(crate) async fn remove_network(pool: &Pool, network: Ref<Network>) -> anyhow::Result<()> {
    for pif in pool.network(network).pifs().await? {
        let vlan = pool.pif(pif).vlan_master_of().await?;
        if !vlan.is_null() {
            unless_gone(pool.vlan(vlan).destroy().await)?;
        }
    }
    Ok(unless_gone(pool.network(network).destroy().await)?)
}

/// Makes the networks that are missing. Two that run at once make each once or fail: nobody but the pool decides.
pub(crate) async fn make_networks(pool: &Pool, environment: &Environment, new: &[NewNetwork]) -> anyhow::Result<()> {
    for network in new {
        let made = match network.half {
            Some(half) => half,
            None => {
                let mut record = NetworkRecord::default();
                record.name_label.clone_from(&network.name);
                record.other_config = [(ENVIRONMENT.to_owned(), environment.name.clone())]
                    .into_iter()
                    .collect();
                pool.networks().create(&record).await?
            }
        };
        let tagged = pool.pools().create_vlan(&network.device, made, network.vlan).await;
        if let Err(error) = tagged {
            pool.network(made).destroy().await?;
            return Err(anyhow::Error::from(error).context(format!("the VLAN {} cannot be made", network.vlan)));
        }
    }
    Ok(())
}

/// The steps of a block's machines need what was looked up for it.
pub(crate) fn of<'a>(all: &'a AllTargets, block: &Block) -> anyhow::Result<&'a Targets> {
    use anyhow::Context as _;
    all.get(&block.name).context("nothing was looked up for this block")
}
