//! Domains and xenstore, with programs in the place of Xen's that keep their values in files and escape as Xen's do.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use common::{Sshd, both, error_of, needs};
use dom0::xen::{XenError, XenStorePath};
use dom0::{Error, Target};

/// Values lie as they are escaped, a file each.
const READ: &str = r#"[ "$1" = -- ] && shift
if [ -f "$STORE$1/value" ]; then cat "$STORE$1/value"; echo; else echo "xenstore-read: couldn't read path $1" >&2; exit 1; fi"#;
const WRITE: &str = r#"[ "$1" = -- ] && shift
mkdir -p "$STORE$1" && printf '%s' "$2" > "$STORE$1/value""#;
const LIST: &str = r#"[ "$1" = -- ] && shift
if [ -d "$STORE$1" ]; then ls "$STORE$1" | grep -vx value; exit 0; fi
echo "xenstore-list: could not list path $1" >&2; exit 1"#;
const LS: &str = r#"[ "$2" = -- ] && shift
[ -d "$STORE$2" ] || { echo "xenstore-ls: xs_directory ($2): No such file or directory" >&2; exit 1; }
cd "$STORE" && find ".$2" -mindepth 2 -name value | sort | while read -r file; do
path=${file#.}; printf '%s = "%s"\n' "${path%/value}" "$(cat "$file")"; done"#;
const RM: &str = r#"[ "$1" = -- ] && shift
[ -e "$STORE/forbidden" ] || [ ! -d "$STORE${1%/*}" ] && { echo "xenstore-rm: could not remove path $1" >&2; exit 1; }
rm -rf "$STORE$1""#;
const WATCH: &str = r#"[ "$1" = -- ] && shift
echo "$1"; echo "$1/below"; exec sleep 65"#;

fn install(bin: &Path) {
    for (name, script) in [
        ("read", READ),
        ("write", WRITE),
        ("list", LIST),
        ("ls", LS),
        ("rm", RM),
        ("watch", WATCH),
    ] {
        let file = bin.join(format!("xenstore-{name}"));
        fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn xenstore_and_domains() {
    if !needs(&["sshd", "ssh", "ssh-keygen"]) {
        return;
    }
    let (bin, store) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    install(bin.path());
    let environment = format!(
        "SetEnv PATH={}:/usr/bin:/bin STORE={}",
        bin.path().display(),
        store.path().display()
    );
    let sshd = Sshd::with(&environment);
    for (name, dom0) in both(&sshd).await {
        let xenstore = dom0.xenstore();
        let path = |below: &str| XenStorePath::domain(7).child(below).unwrap();
        assert_eq!(xenstore.read(&path("absent")).await.expect(name), None);
        assert_eq!(xenstore.list(&path("absent")).await.expect(name), None);
        assert_eq!(xenstore.tree(&path("absent")).await.expect(name), None);
        xenstore.remove(&path("absent")).await.expect(name);
        for value in [&b"plain"[..], b"", b"-5", b"$(x) ; ' \" \\ \n", b"\x00\x07\xff\xc3\xa4"] {
            xenstore.write(&path("data/x"), value).await.expect(name);
            assert_eq!(
                xenstore.read(&path("data/x")).await.expect(name).as_deref(),
                Some(value)
            );
        }
        let large = error_of(xenstore.write(&path("data/x"), &[b'x'; 2049]).await);
        assert!(
            matches!(
                large,
                Error::Xen {
                    source: XenError::ValueSize { size: 2049, .. },
                    ..
                }
            ),
            "{large}"
        );

        let vm = b"/vm/0c0ffee0-1111-2222-3333-444444444444";
        xenstore.write(&path("vm"), vm).await.expect(name);
        xenstore
            .write(&path("name"), "; rm -rf $(x) \"'\nä".as_bytes())
            .await
            .expect(name);
        let domains = dom0.domains().await.expect(name);
        assert_eq!((domains.len(), domains[0].id), (1, 7));
        assert_eq!(domains[0].uuid.as_deref(), Some("0c0ffee0-1111-2222-3333-444444444444"));
        assert_eq!(domains[0].name.as_deref(), Some("; rm -rf $(x) \"'\nä"));

        let mut names = xenstore.list(&XenStorePath::domain(7)).await.expect(name).unwrap();
        names.sort();
        assert_eq!(names, ["data", "name", "vm"]);
        let tree = xenstore.tree(&XenStorePath::domain(7)).await.expect(name).unwrap();
        assert!(
            tree.iter()
                .any(|entry| entry.path == path("vm") && entry.value.as_deref() == Some(vm))
        );

        let mut watch = xenstore.watch(&path("data")).await.expect(name);
        assert_eq!(watch.next().await.expect(name), Some(path("data")));
        xenstore.write(&path("data/below"), b"new").await.expect(name);
        assert_eq!(watch.next().await.expect(name), Some(path("data/below")));
        drop(watch);
        fs::write(store.path().join("forbidden"), "").unwrap();
        let forbidden = error_of(xenstore.remove(&path("vm")).await);
        assert!(matches!(forbidden, Error::Failed { .. }), "{forbidden}");
        fs::remove_file(store.path().join("forbidden")).unwrap();
        xenstore.remove(&XenStorePath::domain(7)).await.expect(name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_without_xen() {
    if !needs(&["sshd", "ssh", "ssh-keygen"]) || common::find("xenstore-read").is_some() {
        return;
    }
    let sshd = Sshd::start();
    let dom0 = sshd.builtin().await.unwrap();
    let name = XenStorePath::domain(0).child("name").unwrap();
    let missing = error_of(dom0.xenstore().read(&name).await);
    assert!(
        matches!(&missing, Error::CommandNotFound { program, .. } if program == "xenstore-read"),
        "{missing}"
    );
    let missing = error_of(dom0.xenstore().watch(&name).await.unwrap().next().await);
    assert!(
        matches!(&missing, Error::CommandNotFound { program, .. } if program == "xenstore-watch"),
        "{missing}"
    );
    let missing = error_of(dom0.domains().await);
    assert!(missing.to_string().contains("xenstore-list"), "{missing}");
    assert_eq!(Target::unix("/run/x").to_string(), "/run/x");
}
