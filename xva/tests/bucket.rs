//! A disk of an archive in a bucket.

mod common;

use std::sync::Arc;

use common::{Builder, UNIT, ova, sparse};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use xva::{Archive, ObjectAt, ReadAt};

/// Blocking works anywhere, also where a runtime is being driven by the only thread there is.
#[tokio::test]
async fn a_disk_is_read_out_of_a_bucket_until_the_object_is_replaced() {
    let raw = sparse(40, 0, &[0, 5, 6, 7, 30, 39]);
    let bytes = Builder::xapi()
        .entry("ova.xml", ova(&[("Ref:1", raw.len())]).as_bytes())
        .disk("Ref:1", &raw)
        .end();
    let bucket: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let path = Path::from("machine.xva");
    assert!(
        ObjectAt::open(Arc::clone(&bucket), path.clone()).is_err(),
        "it is not there yet"
    );
    bucket.put(&path, bytes.clone().into()).await.unwrap();
    let object = ObjectAt::open(Arc::clone(&bucket), path.clone()).unwrap();
    assert!(object.read_exact_at(bytes.len() as u64 - 1, &mut [0; 2]).is_err());
    let disk = Archive::open(object).unwrap().disk("Ref:1").unwrap();
    let mut back = vec![0; raw.len()];
    disk.read(0, &mut back).unwrap();
    assert!(back == raw);
    bucket.put(&path, vec![0; bytes.len()].into()).await.unwrap();
    assert!(
        disk.read(30 * UNIT as u64, &mut [0; 10]).is_ok(),
        "a block that was kept"
    );
    assert!(disk.read(0, &mut [0; 10]).is_err(), "another object now");
}
