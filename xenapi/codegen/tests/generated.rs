//! What is committed is what the generator writes.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use xenapi_codegen::docs::{Docs, Topic, topics};
use xenapi_codegen::{format, generate, store};

fn package() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn the_committed_files_are_current() {
    if !format::is_available() {
        assert!(std::env::var_os("CI").is_none(), "rustfmt is missing");
        eprintln!("skipped: rustfmt is missing");
        return;
    }
    let files = generate::files(&package()).unwrap();
    for (path, text) in &files {
        let committed = fs::read_to_string(package().join(path)).unwrap_or_default();
        assert!(
            committed == *text,
            "{} is not current: run `cargo run -p xenapi-codegen`",
            path.display()
        );
    }
    let written: BTreeSet<&Path> = files.iter().map(|(path, _)| path.as_path()).collect();
    for folder in ["src/classes", "wire/src/enums"].map(Path::new) {
        for entry in fs::read_dir(package().join(folder)).unwrap() {
            let path = folder.join(entry.unwrap().file_name());
            assert!(
                written.contains(path.as_path()),
                "{} is no longer generated: remove it",
                path.display()
            );
        }
    }
}

#[test]
fn passwords_and_sessions_go_the_hidden_way() {
    let text = |name: &str| fs::read_to_string(package().join("src/classes").join(name)).unwrap();
    let session = text("session.rs");
    assert!(session.contains(".secret_arg(pwd)") && !session.contains(".arg(pwd)"));
    let pool = text("pool.rs");
    assert!(pool.contains(".secret_arg(master_password)") && pool.contains(".secret_arg(wlb_password)"));
    assert!(text("host.rs").contains(".secret_arg(private_key)"));
    assert!(
        text("vm.rs").contains(".secret_arg(dest)"),
        "the destination holds a session of the other pool"
    );
}

#[test]
fn every_class_is_described() {
    let model = store::load(&package().join("datamodel")).unwrap();
    let docs = Docs::load(&package().join("datamodel/docs"), &model).unwrap();
    let silent = |class: &&str| docs.text(&Topic::Class((*class).to_owned())).is_none();
    let names: Vec<&str> = model.classes.iter().map(|class| class.name.as_str()).collect();
    assert_eq!(
        names.iter().filter(|class| silent(class)).collect::<Vec<_>>(),
        Vec::<&&str>::new()
    );
}

#[test]
fn a_heading_that_names_nothing_is_an_error() {
    let model = store::load(&package().join("datamodel")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("classes")).unwrap();
    for name in [
        "common.md",
        "enums.md",
        "errors.md",
        "http_actions.md",
        "units.md",
        "tools.md",
    ] {
        fs::write(folder.path().join(name), "").unwrap();
    }
    let load = |text: &str| {
        fs::write(folder.path().join("classes/VM.md"), text).unwrap();
        Docs::load(folder.path(), &model).map_err(|error| error.to_string())
    };
    let start = Topic::Message("VM".to_owned(), "start".to_owned());
    let docs = load(
        "# VM\n\nA machine.\n\n```pool\n# hidden\nlet vms = pool.vms();\n```\n\n## start()\n\nStarts it.\n\nEvents: domid, VBD.\n",
    );
    let docs = docs.unwrap();
    assert_eq!(docs.text(&Topic::Class("VM".to_owned())), Some("A machine."));
    let page = docs.page("VM").unwrap();
    assert!(
        page.ends_with("# hidden\nlet vms = pool.vms();\n# Ok(()) }\n```"),
        "{page}"
    );
    assert_eq!(docs.text(&start), Some("Starts it."));
    assert_eq!(
        docs.events(&start),
        [
            Topic::Field("VM".to_owned(), "domid".to_owned()),
            Topic::Class("VBD".to_owned())
        ]
    );
    let wrong = load("# VM\n\nA machine.\n\n## start()\n\nStarts it.\n\nEvents: energy.\n").unwrap_err();
    assert!(
        wrong.ends_with("line 5: the datamodel has nothing called \"energy\" here"),
        "{wrong}"
    );
    let wrong = load("# VM\n\nA machine.\n\n## begin()\n\nStarts it.\n").unwrap_err();
    assert!(
        wrong.ends_with("line 5: the datamodel has nothing called \"begin()\" here"),
        "{wrong}"
    );
    let twice = load("# VM\n\n# VM\n").unwrap_err();
    assert!(twice.ends_with("line 3: \"VM\" comes twice"), "{twice}");
    fs::write(folder.path().join("units.md"), "# bytes\n\n- VM.name\n").unwrap();
    assert!(
        load("")
            .unwrap_err()
            .ends_with("line 3: the datamodel has nothing called \"VM.name\" here")
    );
}

#[test]
fn everything_has_a_topic() {
    let model = store::load(&package().join("datamodel")).unwrap();
    let count = |of: fn(&Topic) -> bool| topics(&model).iter().filter(|topic| of(topic)).count();
    assert_eq!(count(|topic| matches!(topic, Topic::Message(..))), 2007);
    assert_eq!(count(|topic| matches!(topic, Topic::Value(..))), 360);
}

#[test]
fn records_and_options_with_secrets_say_so_and_do_not_print_them() {
    let text = |name: &str| fs::read_to_string(package().join("src/classes").join(name)).unwrap();
    let secret = text("secret.rs");
    assert!(secret.contains("impl fmt::Debug for PoolSecretRecord"));
    assert!(secret.contains("Holds the secret itself: `Debug` prints `(hidden)` in its place."));
    assert!(text("pool.rs").contains("impl fmt::Debug for SyncUpdatesOptions"));
    assert!(text("pbd.rs").contains("May hold the storage's password"));
}
