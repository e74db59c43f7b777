//! What `Debug` prints must be fit for a log.

use xenapi::pool::SyncUpdatesOptions;
use xenapi::{Map, PbdRecord, PoolSecretRecord, wire};

const SECRET: &str = "hunter2";

#[tokio::test]
async fn a_secret_of_the_pool_is_read_but_not_printed() {
    let (_simulator, client) = crate::pool(1, 0).await;
    let mut new = PoolSecretRecord::default();
    new.value = SECRET.to_owned();
    new.other_config = Map::from([("folder", "/lab")]);
    let made = client.secrets().create(&new).await.unwrap();
    let read = client.secret(made).record().await.unwrap();
    assert_eq!(read.value, SECRET);
    for printed in [format!("{new:?}"), format!("{read:#?}")] {
        assert!(!printed.contains(SECRET), "{printed}");
        assert!(
            printed.contains("value: (hidden)") && printed.contains("/lab"),
            "{printed}"
        );
    }
}

#[test]
fn the_keys_of_a_device_config_are_printed_but_not_its_passwords() {
    let mut pbd = PbdRecord::default();
    let passwords = [
        "cifspassword",
        "chappassword",
        "password_secret",
        "incoming_chapPassword",
        "private-key",
    ];
    let passwords = passwords.map(|key| (key.to_owned(), SECRET.to_owned()));
    let plain = ("server".to_owned(), "nas.lab".to_owned());
    pbd.device_config = passwords.iter().cloned().chain([plain]).collect();
    let printed = format!("{pbd:?}");
    assert!(!printed.contains(SECRET), "{printed}");
    assert!(printed.contains(r#""server": "nas.lab""#), "{printed}");
    assert!(
        passwords.iter().all(|(key, _)| printed.contains(key.as_str())),
        "{printed}"
    );
}

#[test]
fn an_unknown_field_is_hidden_by_its_name() {
    let reply = xenapi::Value::Struct(vec![("api_token".to_owned(), xenapi::Value::String(SECRET.to_owned()))]);
    let pbd: PbdRecord = wire::from_value(&reply).unwrap();
    let printed = format!("{pbd:?}");
    assert!(!printed.contains(SECRET) && printed.contains("api_token"), "{printed}");
}

#[test]
fn secret_options_are_not_printed() {
    let options = SyncUpdatesOptions {
        token: SECRET.to_owned(),
        password: SECRET.to_owned(),
        username: "support".to_owned(),
        ..SyncUpdatesOptions::default()
    };
    let printed = format!("{options:?}");
    assert!(!printed.contains(SECRET) && printed.contains("support"), "{printed}");
}
