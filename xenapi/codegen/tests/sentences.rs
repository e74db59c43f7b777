//! Our own sentences: about everything, nobody else's, and none that only says the name again.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use xenapi_codegen::docs::{Docs, Topic};
use xenapi_codegen::model::Datamodel;
use xenapi_codegen::phrases::{Phrases, words};
use xenapi_codegen::store;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../datamodel")
}

fn model() -> Datamodel {
    store::load(&folder()).unwrap()
}

fn docs(model: &Datamodel) -> Docs {
    Docs::load(&folder().join("docs"), model).unwrap()
}

/// What needs a sentence: getters, setters and the like are told by their fields.
fn wanted(model: &Datamodel) -> Vec<(Topic, String)> {
    let mut wanted = Vec::new();
    for class in &model.classes {
        let name = &class.name;
        wanted.push((Topic::Class(name.clone()), name.clone()));
        for field in &class.fields {
            wanted.push((Topic::Field(name.clone(), field.name.clone()), field.name.clone()));
        }
        for message in &class.messages {
            wanted.push((Topic::Message(name.clone(), message.name.clone()), message.name.clone()));
        }
    }
    for item in &model.enums {
        wanted.push((Topic::Enum(item.name.clone()), item.name.clone()));
        for value in &item.values {
            wanted.push((Topic::Value(item.name.clone(), value.clone()), value.clone()));
        }
    }
    let errors = model.errors.iter().map(|error| &error.name);
    wanted.extend(errors.map(|name| (Topic::Error(name.clone()), name.clone())));
    let actions = model.http_actions.iter().map(|action| &action.name);
    wanted.extend(actions.map(|name| (Topic::HttpAction(name.clone()), name.clone())));
    wanted
}

#[test]
fn everything_has_a_sentence() {
    let model = model();
    let docs = docs(&model);
    let wanted = wanted(&model);
    let missing: Vec<_> = wanted.iter().filter(|(topic, _)| docs.text(topic).is_none()).collect();
    assert!(
        missing.is_empty(),
        "{} of {}: {missing:#?}",
        missing.len(),
        wanted.len()
    );
    assert!(wanted.len() >= 72 + 921 + 551 + 73 + 360 + 605 + 57, "{}", wanted.len());
}

#[test]
fn no_sentence_only_says_the_name_again() {
    const FILLERS: &str = "a an and are as at by can for from has in is it its may no not of on or that the this to was \
                           what when where which whether with set sets value values field";
    let model = model();
    let docs = docs(&model);
    let fillers: BTreeSet<_> = words(FILLERS).into_iter().collect();
    let empty = |(topic, name): &(Topic, String)| {
        let known: BTreeSet<_> = words(name).into_iter().collect();
        let own: BTreeSet<_> = words(docs.text(topic).unwrap_or_default())
            .into_iter()
            .filter(|word| !known.contains(word) && !fillers.contains(word))
            .collect();
        own.len() < 2
    };
    let empty: Vec<_> = wanted(&model).into_iter().filter(empty).collect();
    assert!(empty.is_empty(), "{empty:#?}");
}

#[test]
fn every_sentence_is_our_own() {
    let model = model();
    let docs = docs(&model);
    let phrases = Phrases::load(&folder().join("phrases.hashes")).unwrap();
    assert!(phrases.len() > 10_000, "{}", phrases.len());
    let loans: Vec<_> = wanted(&model)
        .into_iter()
        .map(|(topic, _)| {
            let shared = phrases.shared(docs.text(&topic).unwrap_or_default());
            (topic, shared)
        })
        .filter(|(_, shared)| !shared.is_empty())
        .collect();
    assert!(loans.is_empty(), "{loans:#?}");
}

#[test]
fn the_manual_is_in_our_own_words() {
    let phrases = Phrases::load(&folder().join("phrases.hashes")).unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let readmes = ["README.md", "ARCHITECTURE.md", "examples/README.md", "xenapi/README.md"];
    let chapters = std::fs::read_dir(root.join("xenapi/src/manual")).unwrap();
    let chapters = chapters.map(|entry| entry.unwrap().path());
    let texts: Vec<_> = chapters
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .chain(readmes.map(|name| root.join(name)))
        .collect();
    assert!(texts.len() > 14 + readmes.len(), "{texts:?}");
    for path in texts {
        let shared = phrases.shared(&std::fs::read_to_string(&path).unwrap());
        assert!(shared.is_empty(), "{}: {shared:?}", path.display());
    }
}

#[test]
fn pages_show_what_a_class_hangs_on_and_how_to_use_it() {
    /// Without objects that a client could have.
    const WITHOUT_OBJECTS: [&str; 7] = [
        "auth",
        "data_source",
        "event",
        "probe_result",
        "sr_stat",
        "vdi_nbd_server_info",
        "LVHD",
    ];
    /// Gone from servers, or never filled by them.
    const LEFTOVERS: [&str; 4] = ["VBD_metrics", "VIF_metrics", "VMPP", "user"];
    let model = model();
    let docs = docs(&model);
    let names = model.classes.iter().map(|class| class.name.as_str());
    for name in names.filter(|name| !WITHOUT_OBJECTS.contains(name)) {
        let page = docs.page(name).unwrap_or_default();
        assert!(page.starts_with("```text\n"), "{name} has no picture");
        assert!(
            page.contains("xenapi_sim") || LEFTOVERS.contains(&name),
            "{name} has no example"
        );
    }
    let messages = model.classes.iter().flat_map(|class| {
        let topic = |name: &String| Topic::Message(class.name.clone(), name.clone());
        class.messages.iter().map(move |message| topic(&message.name))
    });
    let heard_of = messages.filter(|message| !docs.events(message).is_empty()).count();
    assert!(heard_of > 140, "{heard_of}");
}
