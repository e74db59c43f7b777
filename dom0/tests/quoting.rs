//! What real shells make of the words of a command.

mod common;

use std::os::unix::ffi::OsStringExt;
use std::process::Command as Process;

use common::find;
use dom0::Command;
use proptest::prelude::*;

fn shells() -> Vec<&'static str> {
    let shells: Vec<_> = ["sh", "bash", "dash", "busybox"]
        .into_iter()
        .filter(|shell| find(shell).is_some())
        .collect();
    assert!(shells.contains(&"sh"));
    shells
}

fn words_seen(shell: &str, words: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let command = words
        .iter()
        .fold(Command::new("printf").arg("%s\\0"), |command, word| command.arg(word));
    let line = std::ffi::OsString::from_vec(command.to_bytes());
    let mut process = Process::new(shell);
    if shell == "busybox" {
        process.arg("sh");
    }
    let output = process.arg("-c").arg(line).output().expect("the shell runs");
    assert!(
        output.status.success(),
        "{shell}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let mut seen: Vec<_> = output.stdout.split(|&byte| byte == 0).map(<[u8]>::to_vec).collect();
    assert_eq!(seen.pop(), Some(Vec::new()));
    seen
}

fn word() -> impl Strategy<Value = Vec<u8>> {
    let special = prop::collection::vec(
        prop::sample::select(b" '\"\\$`!*?[]{}()<>|&;#~=%^\n\r\t-\x01\xff".to_vec()),
        0..12,
    );
    prop_oneof![special, prop::collection::vec(1_u8.., 0..40)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn every_word_arrives_as_it_is(words in prop::collection::vec(word(), 1..6)) {
        for shell in shells() {
            prop_assert_eq!(&words_seen(shell, &words), &words, "{}", shell);
        }
    }
}

#[test]
fn every_single_byte_arrives_as_it_is() {
    let words: Vec<_> = (1..=255)
        .map(|byte| vec![byte])
        .chain([b"a=b".to_vec(), b"~root".to_vec(), Vec::new()])
        .collect();
    for shell in shells() {
        assert_eq!(words_seen(shell, &words), words, "{shell}");
    }
}
