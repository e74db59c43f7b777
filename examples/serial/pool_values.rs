//! A VM's values in xenstore, through its pool alone: no SSH, and nothing of the host's.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use futures_util::StreamExt as _;
use serial_link::reach::Values;
use xenapi::{AnyRecord, Change, Changes, Client, Map, Ref, Vm, VmRecord};

/// What `VM.set_xenstore_data` writes: all below `vm-data`, where the guest's own are, too. So what the guest has there is
/// written again with each set; what it wrote in that moment is lost, and the guest writes it again by itself.
pub(crate) struct PoolValues {
    client: Client,
    vm: Ref<Vm>,
    folder: String,
    changes: Changes,
    /// As the pool has them.
    known: Map<String, String>,
    /// What was written here.
    own: BTreeMap<String, String>,
}

impl PoolValues {
    pub(crate) async fn open(client: Client, vm: Ref<Vm>, folder: String) -> io::Result<Self> {
        let record = client.vm(vm).record().await.map_err(io::Error::other)?;
        if record.resident_on.is_null() {
            let state = record.power_state.as_str().to_lowercase();
            return Err(io::Error::new(io::ErrorKind::NotConnected, format!("it is {state}")));
        }
        Ok(Self {
            changes: client.watch().object(vm).start(),
            client,
            vm,
            folder,
            known: Map::default(),
            own: BTreeMap::new(),
        })
    }

    /// Keeps what the guest has now, and tells the names of what differs from before.
    fn take(&mut self, record: &Arc<VmRecord>) -> Vec<String> {
        let before = std::mem::replace(&mut self.known, record.xenstore_data.clone());
        let name = |path: &str| Some(path.strip_prefix(&self.folder)?.strip_prefix('/')?.to_owned());
        let now = self.known.iter();
        let differs = now.filter(|(path, value)| before.get(path.as_str()) != Some(value));
        differs.filter_map(|(path, _)| name(path)).collect()
    }
}

impl Values for PoolValues {
    async fn changed(&mut self) -> io::Result<Vec<String>> {
        loop {
            match self.changes.next().await {
                Some(Ok(Change::Apply {
                    record: AnyRecord::Vm(record),
                    ..
                })) => {
                    let names = self.take(&record);
                    if record.resident_on.is_null() {
                        return Err(io::ErrorKind::NotConnected.into());
                    }
                    if !names.is_empty() {
                        return Ok(names);
                    }
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(io::Error::other(error)),
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
    }

    async fn read(&mut self, names: Vec<String>) -> io::Result<Vec<(String, String)>> {
        let values = names.into_iter().filter_map(|name| {
            let value = self.known.get(format!("{}/{name}", self.folder).as_str())?.clone();
            Some((name, value))
        });
        Ok(values.collect())
    }

    async fn write(&mut self, values: Vec<(String, String)>) -> io::Result<()> {
        let values = values
            .into_iter()
            .map(|(name, value)| (format!("{}/{name}", self.folder), value));
        self.own.extend(values);
        let vm = self.client.vm(self.vm);
        // As late as can be: whatever the guest writes between this and the next is lost to it.
        let all = vm.xenstore_data().await.map_err(io::Error::other)?;
        let theirs = all.into_iter().filter(|(path, _)| !self.own.contains_key(path));
        let all: Map<String, String> = theirs.chain(self.own.clone()).collect();
        vm.set_xenstore_data(&all).await.map_err(io::Error::other)
    }
}
