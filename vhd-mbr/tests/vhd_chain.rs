//! Chains of files: how parents are found, and what is refused.
#![cfg(unix)]

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use vhd_mbr::Guid;
use vhd_mbr::vhd::{Chain, ChainError, ChainOptions, Parent, Vhd, Writer};
use vhd_mbr::xen_disk::ReadAt;

const SIZE: usize = 64 << 10;

fn write(path: &Path, writer: Writer<Vec<u8>>) {
    let mut file = File::create(path).unwrap();
    writer.plan().unwrap().write_to(&mut file).unwrap();
}

fn parent(path: &Path, named: &str) -> Parent {
    let vhd = Vhd::open(File::open(path).unwrap()).unwrap();
    Parent::vhd(vhd.footer()).path(named)
}

/// A child that has 1 where its parent has 0.
fn child_of(parent: Parent) -> Writer<Vec<u8>> {
    Writer::differencing(vec![1; SIZE], parent, Some(512..1024))
}

fn base(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    write(&path, Writer::dynamic(vec![7; SIZE]));
    path
}

fn assert_is_chain(chain: &Chain, files: &[&Path]) {
    assert_eq!(chain.files(), files);
    let mut bytes = vec![0; SIZE];
    chain.read_exact_at(0, &mut bytes).unwrap();
    assert!(bytes[512..1024].iter().all(|&byte| byte == 1));
    assert!(bytes[..512].iter().chain(&bytes[1024..]).all(|&byte| byte == 7));
}

#[test]
fn parents_are_found_in_the_folders_that_are_searched_and_nowhere_else() {
    let (one, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let base = base(other.path(), "base of all.vhd");
    let child = one.path().join("child.vhd");
    for named in [
        format!(
            "../{}/base of all.vhd",
            other.path().file_name().unwrap().to_str().unwrap()
        ),
        base.to_str().unwrap().to_owned(),
    ] {
        write(&child, child_of(parent(&base, &named)));
        let alone = Chain::open(&child).unwrap_err();
        let ChainError::ParentNotFound { named: tried, .. } = &alone else {
            panic!("{alone}");
        };
        assert!(tried.contains(&named), "{tried:?}");
        let options = ChainOptions::new().search_in(other.path());
        assert_is_chain(&options.open(&child).unwrap(), &[&child, &base]);
    }
    fs::create_dir(one.path().join("sub")).unwrap();
    let inside = one.path().join("sub/base.vhd");
    fs::copy(&base, &inside).unwrap();
    write(&child, child_of(parent(&base, "sub/base.vhd")));
    assert_is_chain(&Chain::open(&child).unwrap(), &[&child, &inside]);
}

#[test]
fn a_parent_with_another_id_is_taken_only_when_told_so() {
    let folder = TempDir::new().unwrap();
    let base = base(folder.path(), "base.vhd");
    let child = folder.path().join("child.vhd");
    write(&child, child_of(parent(&base, "base.vhd")));
    assert_is_chain(&Chain::open(&child).unwrap(), &[&child, &base]);
    write(&base, Writer::dynamic(vec![7; SIZE]).id(Guid::from_u128(5)));
    let error = Chain::open(&child).unwrap_err();
    let ChainError::ParentNotFound { rejected, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(*rejected, Some((base.clone(), Guid::from_u128(5))));
    assert_is_chain(
        &ChainOptions::new().ignore_ids().open(&child).unwrap(),
        &[&child, &base],
    );
    // With the right one elsewhere, that is the parent.
    let other = TempDir::new().unwrap();
    let right = other.path().join("base.vhd");
    let id = Vhd::open(File::open(&child).unwrap()).unwrap().parent_id();
    write(&right, Writer::dynamic(vec![7; SIZE]).id(id));
    let options = ChainOptions::new().search_in(other.path());
    assert_is_chain(&options.open(&child).unwrap(), &[&child, &right]);
}

#[test]
fn the_base_can_be_a_raw_image() {
    let folder = TempDir::new().unwrap();
    let raw = folder.path().join("base.raw");
    fs::write(&raw, vec![7; SIZE]).unwrap();
    let child = folder.path().join("child.vhd");
    write(&child, child_of(Parent::raw().path("base.raw")));
    assert_is_chain(&Chain::open(&child).unwrap(), &[&child, &raw]);
    fs::remove_file(&raw).unwrap();
    fs::create_dir(&raw).unwrap();
    assert!(matches!(Chain::open(&child), Err(ChainError::ParentNotFound { .. })));
}

#[test]
fn loops_and_endless_chains_are_refused() {
    let folder = TempDir::new().unwrap();
    let path = |number: usize| folder.path().join(format!("{number}.vhd"));
    let id = |number: usize| Guid::from_u128(number as u128 + 1);
    let named = |number: usize| {
        let mut footer = Vhd::open(File::open(path(0)).unwrap()).unwrap().footer().clone();
        footer.id = id(number);
        Parent::vhd(&footer).path(format!("{number}.vhd"))
    };
    write(&path(0), Writer::dynamic(vec![7; SIZE]).id(id(0)));
    for number in 1..129 {
        write(&path(number), child_of(named(number - 1)).id(id(number)));
    }
    let files: Vec<_> = (0..128).rev().map(path).collect();
    let files: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    assert_is_chain(&Chain::open(path(127)).unwrap(), &files);
    assert!(matches!(Chain::open(path(128)), Err(ChainError::TooDeep)));

    write(&path(1), child_of(named(3)).id(id(1)));
    let error = Chain::open(path(3)).unwrap_err();
    assert!(
        matches!(&error, ChainError::Loop { path: found } if *found == path(3)),
        "{error}"
    );
    write(&path(1), child_of(named(1)).id(id(1)));
    assert!(matches!(Chain::open(path(1)), Err(ChainError::Loop { .. })));
}

#[test]
fn several_threads_can_read_one_chain() {
    fn shared<T: Send + Sync>() {}
    shared::<Chain>();
    shared::<Vhd<File>>();
}
