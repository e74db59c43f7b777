//! A cache beside the tables that it is a copy of.

use std::collections::HashMap;

use xenapi::{Cache, Call, Class, Client, Error, ErrorCode, Map, Object, Record, Ref};
use xenapi_sim::Simulator;

/// Compares all classes with events, record by record, and answers with the number of objects in the cache.
macro_rules! compare_all {
    ($simulator:ident, $client:ident, $cache:ident: $($object:ident)*) => {{
        let mut compared = vec![$(Class::$object),*];
        // The server lists no messages, so no cache has those that are older than itself.
        compared.push(Class::Message);
        let is_left = |class: &&Class| !compared.contains(class);
        assert_eq!(Class::WITH_EVENTS.iter().find(is_left), None, "a class is not compared");
        Ok(0 $(+ same::<xenapi::$object>($simulator, $client, $cache).await?)*)
    }};
}

/// Compares a cache with the pool's tables, and answers with the number of objects in it.
///
/// # Panics
/// Where they differ.
pub(super) async fn compare(simulator: &Simulator, client: &Client, cache: &Cache) -> Result<usize, Error> {
    compare_all!(simulator, client, cache:
        Blob Bond Caller Certificate Cluster ClusterHost Console Crashdump DrTask DriverVariant Feature GpuGroup Host
        HostCpu HostCrashdump HostDriver HostMetrics HostPatch Lvhd Network NetworkSriov Observer Pbd Pci Pgpu Pif
        PifMetrics Pool PoolPatch PoolUpdate Pusb PvsCacheStorage PvsProxy PvsServer PvsSite RateLimit Repository
        SdnController Sm Sr Subject Task Tunnel UsbGroup Vbd VbdMetrics Vdi Vgpu VgpuType Vif VifMetrics Vlan Vm
        VmAppliance VmGroup VmGuestMetrics VmMetrics Vmpp Vmss Vtpm Vusb
    )
}

async fn same<T: Object>(simulator: &Simulator, client: &Client, cache: &Cache) -> Result<usize, Error> {
    let class = T::Record::CLASS;
    let held: HashMap<Ref<T>, _> = cache.all().into_iter().collect();
    let mut references: Vec<_> = held.keys().map(Ref::to_wire).collect();
    let mut there = simulator.refs(class);
    references.sort();
    there.sort();
    assert_eq!(references, there, "{class}");
    assert_eq!(cache.count::<T>(), there.len(), "{class}");
    for (reference, record) in &records::<T>(client).await? {
        assert_eq!(
            held.get(reference).map(|held| &**held),
            Some(record),
            "{class} {reference}"
        );
    }
    Ok(held.len())
}

/// The records of a class; of one that has only references left, none.
async fn records<T: Object>(client: &Client) -> Result<Map<Ref<T>, T::Record>, Error> {
    let method = format!("{}.get_all_records", T::Record::CLASS);
    let records = Call::new(client.connection(), method).await;
    let code = records.as_ref().err().and_then(Error::code);
    match code {
        Some(ErrorCode::MessageRemoved | ErrorCode::MessageMethodUnknown) => Ok(Map::default()),
        _ => records,
    }
}
