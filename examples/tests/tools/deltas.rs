//! A copy of a disk that is kept up to date.

use bytes::Bytes;
use xenapi::{DiskFormat, Ref, Source, Vdi, Vm};
use xenapi_sim::VmSpec;

use crate::harness::{Folder, Pool, complained, dense_disk};

/// Writes to a VM's only disk, and answers with it.
pub(crate) async fn change(pool: &Pool, vm: &str, places: &[u64]) -> Ref<Vdi> {
    let client = pool.client().await;
    let vm: Ref<Vm> = vm.parse().unwrap();
    let vbd = client.vm(vm).vbds().await.unwrap()[0];
    let vdi = client.vbd(vbd).vdi().await.unwrap();
    if !places.is_empty() {
        let ranges: Vec<_> = places.iter().map(|&place| place..place + 4096).collect();
        let source = Source::sparse(ranges, |range| async move {
            Ok(Bytes::from(vec![0xee; (range.end - range.start) as usize]))
        });
        client.vdi(vdi).import_raw(DiskFormat::Raw, source).await.unwrap();
    }
    client.logout().await.unwrap();
    vdi
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_has_changed_comes_over() {
    let folder = Folder(tempfile::tempdir().unwrap());
    let pool = Pool::new(0).await;
    if pool.tool("vdi-delta").is_none() {
        return;
    }
    let disk = dense_disk(24);
    let vm = pool
        .simulator
        .add_vm(VmSpec::new("db").halted().disk(disk.clone()))
        .unwrap();
    pool.simulator
        .add_vm(VmSpec::new("other").halted().disk(dense_disk(1)))
        .unwrap();
    let copy = folder.path("copy");
    let delta = async |more: &[&str]| {
        let mut delta = pool.tool("vdi-delta").unwrap();
        delta.arg(&copy).args(more).output().await.unwrap()
    };
    let mut expected = vec![0; 24 << 20];
    disk.read(0, &mut expected).unwrap();
    let moved = |output: &std::process::Output| {
        let said = complained(output);
        assert!(output.status.success(), "{said}");
        let line = said
            .lines()
            .find_map(|line| line.strip_suffix(" MiB of 24 MiB came over."));
        line.unwrap_or_else(|| panic!("{said}")).parse::<f64>().unwrap()
    };

    let dry = delta(&["--vm", "db", "--dry-run"]).await;
    assert!(
        complained(&dry).contains("All of the disk") && !copy.exists(),
        "{dry:?}"
    );
    assert!(moved(&delta(&["--vm", "db", "--verify"]).await) > 23.0);
    assert!(std::fs::read(copy.join("disk.raw")).unwrap() == expected);

    for places in [&[5 << 20, 20 << 20][..], &[4096], &[]] {
        change(&pool, &vm, places).await;
        for &place in places {
            expected[place as usize..place as usize + 4096].fill(0xee);
        }
        let output = delta(&["--vm", "db", "--verify", "--way", "vhd"]).await;
        let said = complained(&output);
        assert!(output.status.success() && said.contains("byte for byte"), "{said}");
        if !places.is_empty() {
            assert!(moved(&output) < 5.0, "{said}");
        }
        assert!(std::fs::read(copy.join("disk.raw")).unwrap() == expected, "{places:?}");
    }
    let vdi = change(&pool, &vm, &[]).await;
    let snapshots = pool.client().await;
    let left = snapshots.vdi(vdi).snapshots().await.unwrap();
    assert_eq!(left.len(), 1, "one snapshot stays, for the next time");
    let other = delta(&["--vm", "other"]).await;
    assert!(complained(&other).contains("a copy of another disk"), "{other:?}");
    // Somebody has taken the image away: what was left would be no copy.
    std::fs::remove_file(copy.join("disk.raw")).unwrap();
    let whole = delta(&["--vm", "db"]).await;
    assert!(
        moved(&whole) > 23.0 && complained(&whole).contains("not as it was left"),
        "{whole:?}"
    );
    assert!(std::fs::read(copy.join("disk.raw")).unwrap() == expected);
    let left = snapshots.vdi(vdi).snapshots().await.unwrap();
    assert_eq!(left.len(), 1, "one snapshot stays, for the next time");
    snapshots.vdi(left[0]).destroy().await.unwrap();
    snapshots.logout().await.unwrap();
    let again = delta(&["--vm", "db"]).await;
    assert!(
        moved(&again) > 23.0 && complained(&again).contains("is gone"),
        "{again:?}"
    );
    assert!(std::fs::read(copy.join("disk.raw")).unwrap() == expected);
    // An image that is no copy of ours stays what it is.
    std::fs::remove_file(copy.join("vdi-delta.json")).unwrap();
    let other = delta(&["--vm", "db"]).await;
    assert!(complained(&other).contains("cannot write"), "{other:?}");
    assert!(std::fs::read(copy.join("disk.raw")).unwrap() == expected);
    pool.assert_tidy().await;
}
