//! The datamodel's files hold what they should, in the one form that reading and writing leaves as it is.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use xenapi_codegen::expand::{self, Operation};
use xenapi_codegen::model::{Change, Datamodel, LeastRole, Lifecycle, Literal, Type};
use xenapi_codegen::{diff, import, parse, print, store};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../datamodel")
}

fn model() -> Datamodel {
    store::load(&folder()).unwrap()
}

fn lifecycles(model: &Datamodel) -> impl Iterator<Item = &Lifecycle> {
    model.classes.iter().flat_map(|class| {
        let fields = class.fields.iter().map(|field| &field.lifecycle);
        let messages = class.messages.iter().map(|message| &message.lifecycle);
        fields.chain(messages).chain([&class.lifecycle])
    })
}

fn types(model: &Datamodel) -> impl Iterator<Item = Type> {
    let messages = model.classes.iter().flat_map(expand::messages);
    let of_messages = messages.flat_map(|message| {
        message
            .params
            .into_iter()
            .map(|param| param.ty)
            .chain(message.result)
            .collect::<Vec<_>>()
    });
    model
        .classes
        .iter()
        .flat_map(|class| class.fields.iter().map(|field| field.ty.clone()))
        .chain(of_messages)
}

#[test]
fn nothing_got_lost() {
    let model = model();
    let messages: Vec<_> = model.classes.iter().flat_map(expand::messages).collect();
    let written = messages
        .iter()
        .filter(|message| matches!(message.operation, Operation::Written(_)));
    assert_eq!(model.classes.len(), 72);
    assert_eq!(messages.len(), 2007);
    assert_eq!(written.count(), 551);
    assert_eq!(messages.iter().filter(|message| message.has_async).count(), 439);
    assert_eq!(model.classes.iter().map(|class| class.fields.len()).sum::<usize>(), 921);
    assert_eq!(model.enums.len(), 73);
    assert_eq!(model.enums.iter().map(|item| item.values.len()).sum::<usize>(), 360);
    assert_eq!(model.errors.len(), 605);
    assert_eq!(model.http_actions.len(), 57);
    assert_eq!(model.releases.len(), 35);
    let optional = messages
        .iter()
        .flat_map(|message| &message.params)
        .filter(|param| param.default.is_some());
    assert_eq!(optional.count(), 80);
    let defaults = model
        .classes
        .iter()
        .flat_map(|class| &class.fields)
        .filter(|field| field.default.is_some());
    assert_eq!(defaults.count(), 539);
    let root_only = messages
        .iter()
        .filter(|message| message.role.least == LeastRole::LocalRoot);
    assert_eq!(root_only.count(), 12);
}

#[test]
fn every_file_is_in_its_one_form() {
    let model = model();
    for (path, text) in store::files(&model) {
        assert_eq!(
            fs::read_to_string(folder().join(&path)).unwrap(),
            text,
            "{}",
            path.display()
        );
    }
    for class in &model.classes {
        assert_eq!(parse::class(&print::class(class)).as_ref(), Ok(class));
    }
}

#[test]
fn everything_that_is_named_is_there() {
    let model = model();
    let enums: BTreeSet<&str> = model.enums.iter().map(|item| item.name.as_str()).collect();
    let errors: BTreeSet<&str> = model.errors.iter().map(|error| error.name.as_str()).collect();
    for ty in types(&model) {
        ty.walk(&mut |part| match part {
            Type::Enum(name) => assert!(enums.contains(name.as_str()), "no enum {name}"),
            Type::Ref(name) | Type::Record(name) => assert!(model.class(name).is_some(), "no class {name}"),
            _ => {}
        });
    }
    for (class, message) in model
        .classes
        .iter()
        .flat_map(|class| class.messages.iter().map(move |each| (class, each)))
    {
        for code in &message.errors {
            assert!(
                errors.contains(code.as_str()),
                "{}.{}: no error {code}",
                class.name,
                message.name
            );
        }
    }
}

#[test]
fn every_release_is_a_code_name_or_a_version() {
    let model = model();
    let is_version =
        |name: &str| name.split('.').count() == 3 && name.starts_with(|first: char| first.is_ascii_digit());
    for step in lifecycles(&model).flat_map(|lifecycle| &lifecycle.0) {
        let name = step.release.as_str();
        assert!(model.release(name).is_some() || is_version(name), "no release {name}");
    }
}

#[test]
fn a_life_ends_with_its_last_change_of_state() {
    let class = |line| parse::class(line).unwrap();
    let state = |line| class(line).lifecycle.state();
    assert_eq!(state("class a | published rio, changed 1.2.3"), Change::Published);
    assert_eq!(state("class a | prototyped 1.2.3, extended 1.2.4"), Change::Prototyped);
    assert_eq!(
        state("class a | published rio, deprecated ely, removed lima, published nile"),
        Change::Published
    );
    assert_eq!(
        class("class a | published rio, changed 1.2.3").lifecycle.since(),
        Some("rio")
    );
}

#[test]
fn a_mistake_is_told_with_its_line() {
    let error = |text: &str| parse::class(text).unwrap_err().to_string();
    assert_eq!(
        error("class a | published rio\nfields\n  rw x string"),
        "line 3: expected `:`, found `string`"
    );
    assert_eq!(
        error("class a | sold rio"),
        "line 1: expected published or another change, found `sold`"
    );
    assert_eq!(
        error("class a | published rio\nfields\n  rw x: text"),
        "line 3: expected a type, found `text`"
    );
    assert_eq!(
        error("class a | published"),
        "line 1: expected a release, found the end of the file"
    );
    assert_eq!(
        error("class a | published rio\n  \"open"),
        "line 2: expected the closing quote, found \"open"
    );
}

#[test]
fn quotes_and_lines_in_texts_survive() {
    let text = "class a | published rio\n\nfields\n  rw      x: string = \"a \\\"b\\\" \\\\ \\n c\" | published rio\n";
    let class = parse::class(text).unwrap();
    assert_eq!(
        class.fields[0].default,
        Some(Literal::String("a \"b\" \\ \n c".to_owned()))
    );
    assert_eq!(print::class(&class), text);
}

/// A dump as the server's tools make it, of one class.
const DUMP: &str = include_str!("dump.json");

#[test]
fn a_dump_becomes_facts_without_sentences() {
    let model = import::datamodel(DUMP).unwrap();
    let text: String = store::files(&model).into_iter().map(|(_, text)| text).collect();
    assert!(!text.contains("sentence"), "{text}");
    assert_eq!(
        print::class(&model.classes[0]),
        "class lamp | published rio | database | events\n  \
           allows read-only: get, get_record\n  \
           allows pool-operator: set\n\n\
         fields\n  \
           dynamic uuid: string                 | published rio\n  \
           rw      colour: enum shade = \"warm\"  | published rio, deprecated 24.1.0 | set vm-admin\n  \
           rw      other: map(string, int) = {} | published rio\n\n\
         messages\n  \
           blink(self: ref lamp, times: int = 3) -> set(ref lamp)\n    \
             by vm-operator+client-cert | prototyped 24.1.0 | sync\n    \
             errors LAMP_BROKEN\n"
    );
}

#[test]
fn a_newer_dump_says_what_changed() {
    let old = import::datamodel(DUMP).unwrap();
    assert_eq!(diff::changes(&old, &old), Vec::<String>::new());
    let mut new = old.clone();
    new.enums[0].values.push("neon".to_owned());
    new.errors.clear();
    new.classes[0].messages[0].flags.sync = false;
    let lines = diff::changes(&old, &new);
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert_eq!(lines[0], "+ enum value shade.neon");
    assert!(
        lines[1].starts_with("~ message lamp.blink\n    was blink("),
        "{}",
        lines[1]
    );
    assert_eq!(lines[2], "- error LAMP_BROKEN");
}

#[test]
fn a_fact_without_words_stops_the_import() {
    let unusual = DUMP.replace(
        r#""name": "get_uuid", "async": false"#,
        r#""name": "get_uuid", "async": true"#,
    );
    assert_ne!(unusual, DUMP);
    let error = import::datamodel(&unusual).unwrap_err().to_string();
    assert_eq!(error, "lamp.get_uuid: cannot be written down: a flag is unusual");
    let gap = DUMP.replace(
        r#"["pool-admin", "pool-operator", "vm-power-admin", "vm-admin"]"#,
        r#"["vm-admin"]"#,
    );
    assert_ne!(gap, DUMP);
    assert!(
        import::datamodel(&gap)
            .unwrap_err()
            .to_string()
            .contains("are not one role and all above it")
    );
}

#[test]
fn a_real_dump_changes_nothing() {
    let Some(path) = std::env::var_os("XENAPI_DATAMODEL") else {
        eprintln!("skipped: XENAPI_DATAMODEL names no dump");
        return;
    };
    let new = import::datamodel(&fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(diff::changes(&model(), &new), Vec::<String>::new());
    assert_eq!(store::files(&model()), store::files(&new));
}
