//! Who is let in, on both sides.

mod common;

use std::fs;
use std::process::{Child, Command as Process, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{Sshd, error_of, find, free_port, keygen, needs, user_name};
use dom0::{Auth, Command, Decision, Dom0, Error, HostKeys};

const PROGRAMS: &[&str] = &["sshd", "ssh", "ssh-keygen"];

async fn works(dom0: &Dom0) {
    assert_eq!(dom0.run(&Command::new("echo").arg("in")).await.unwrap(), "in\n");
    let mut stream = dom0.exec(&Command::new("echo")).await.unwrap();
    assert!(stream.wait().await.unwrap().success(), "a second connection as well");
}

/// The fingerprint, as ssh-keygen prints it.
fn fingerprint(sshd: &Sshd) -> String {
    let output = Process::new("ssh-keygen")
        .arg("-lf")
        .arg(sshd.path("host.pub"))
        .output()
        .unwrap();
    String::from_utf8(output.stdout)
        .unwrap()
        .split(' ')
        .nth(1)
        .unwrap()
        .to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_key_is_asked_about() {
    if !needs(PROGRAMS) {
        return;
    }
    static ASKED: Mutex<Vec<String>> = Mutex::new(Vec::new());
    static ANSWERS: [Decision; 3] = [Decision::Refuse, Decision::Once, Decision::Remember];
    static AT: AtomicUsize = AtomicUsize::new(0);
    let sshd = Sshd::start();
    let file = sshd.path("new/known_hosts");
    let connect = |keys| Dom0::connect(sshd.address()).auth(sshd.auth()).host_keys(keys);
    let asking = || {
        HostKeys::known_hosts(&file).ask(|key| {
            assert_eq!((key.host.name(), key.algorithm.as_str()), ("127.0.0.1", "ssh-ed25519"));
            ASKED.lock().unwrap().push(key.fingerprint.clone());
            ANSWERS[AT.fetch_add(1, Ordering::SeqCst)]
        })
    };

    let strict = error_of(connect(HostKeys::known_hosts(&file)).await);
    let Error::UnknownHostKey {
        fingerprint: Some(shown),
        ..
    } = &strict
    else {
        panic!("{strict}")
    };
    assert_eq!(*shown, fingerprint(&sshd));

    let refused = error_of(connect(asking()).await);
    assert!(matches!(refused, Error::UnknownHostKey { .. }), "{refused}");
    works(&connect(asking()).await.unwrap()).await;
    assert!(!file.exists(), "trusted once");
    works(&connect(asking()).await.unwrap()).await;
    works(&connect(asking()).await.unwrap()).await;
    assert_eq!(*ASKED.lock().unwrap(), vec![fingerprint(&sshd); 3], "then it was known");
    works(&connect(HostKeys::known_hosts(&file)).await.unwrap()).await;

    let unknown = error_of(sshd.program().option("UserKnownHostsFile", "/dev/null").await);
    assert!(matches!(unknown, Error::UnknownHostKey { .. }), "{unknown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_key_is_refused_with_its_place() {
    if !needs(PROGRAMS) {
        return;
    }
    let sshd = Sshd::start();
    let file = sshd.known_hosts();
    let other = fs::read_to_string(sshd.path("id.pub")).unwrap();
    let content = format!("# a comment\n\nother {other}[127.0.0.1]:{} {other}", sshd.port);
    fs::write(&file, &content).unwrap();
    // Neither trusting newcomers nor asking makes a changed key right.
    for keys in [
        HostKeys::known_hosts(&file).accept_new(),
        HostKeys::known_hosts(&file).ask(|_| Decision::Remember),
    ] {
        let changed = error_of(Dom0::connect(sshd.address()).auth(sshd.auth()).host_keys(keys).await);
        let Error::ChangedHostKey {
            file: told,
            line: 4,
            fingerprint: Some(shown),
            ..
        } = &changed
        else {
            panic!("{changed}")
        };
        assert_eq!((told, shown), (&file, &fingerprint(&sshd)));
    }
    let program = sshd.program();
    fs::write(&file, &content).unwrap();
    let changed = error_of(program.await);
    assert!(
        matches!(&changed, Error::ChangedHostKey { file: told, line: 4, .. } if *told == file),
        "{changed}"
    );

    keygen(&sshd.path("ecdsa"), "ecdsa", "");
    let other_type = fs::read_to_string(sshd.path("ecdsa.pub")).unwrap();
    fs::write(&file, format!("[127.0.0.1]:{} {other_type}", sshd.port)).unwrap();
    let keys = HostKeys::known_hosts(&file).accept_new();
    let changed = error_of(Dom0::connect(sshd.address()).auth(sshd.auth()).host_keys(keys).await);
    assert!(matches!(changed, Error::ChangedHostKey { line: 1, .. }), "{changed}");

    let host = fs::read_to_string(sshd.path("host.pub")).unwrap();
    fs::write(&file, format!("@revoked * {host}")).unwrap();
    let keys = HostKeys::known_hosts(&file);
    let revoked = error_of(Dom0::connect(sshd.address()).auth(sshd.auth()).host_keys(keys).await);
    assert!(matches!(revoked, Error::RevokedHostKey { line: 1, .. }), "{revoked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn hashed_names_pins_and_the_right_one_of_several_keys() {
    if !needs(PROGRAMS) {
        return;
    }
    let sshd = Sshd::start();
    let file = sshd.known_hosts();
    let hashed = Process::new("ssh-keygen")
        .args(["-q", "-H", "-f"])
        .arg(&file)
        .output()
        .unwrap();
    assert!(hashed.status.success());
    assert!(fs::read_to_string(&file).unwrap().starts_with("|1|"));
    let connect = |keys| Dom0::connect(sshd.address()).auth(sshd.auth()).host_keys(keys);
    works(&connect(HostKeys::known_hosts(&file)).await.unwrap()).await;
    works(&connect(HostKeys::pinned(fingerprint(&sshd))).await.unwrap()).await;
    let wrong = error_of(connect(HostKeys::pinned("SHA256:AAAA")).await);
    assert!(matches!(wrong, Error::WrongHostKey { .. }), "{wrong}");

    // Of a server with two keys, the one that is known is asked for.
    let keys = tempfile::tempdir().unwrap();
    keygen(&keys.path().join("rsa"), "rsa", "");
    let two = Sshd::with(&format!("HostKey {}/rsa", keys.path().display()));
    let rsa = fs::read_to_string(keys.path().join("rsa.pub")).unwrap();
    let file = two.path("rsa_only");
    fs::write(&file, format!("[127.0.0.1]:{} {rsa}", two.port)).unwrap();
    let connect = Dom0::connect(two.address())
        .auth(two.auth())
        .host_keys(HostKeys::known_hosts(&file));
    works(&connect.await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_with_and_without_a_passphrase() {
    if !needs(PROGRAMS) {
        return;
    }
    let sshd = Sshd::start();
    let mut authorized = fs::read_to_string(sshd.path("authorized_keys")).unwrap();
    for (name, kind, passphrase) in [
        ("locked", "ed25519", "open sesame"),
        ("rsa", "rsa", ""),
        ("ecdsa", "ecdsa", ""),
    ] {
        keygen(&sshd.path(name), kind, passphrase);
        authorized += &fs::read_to_string(sshd.path(&format!("{name}.pub"))).unwrap();
    }
    fs::write(sshd.path("authorized_keys"), authorized).unwrap();
    keygen(&sshd.path("stranger"), "ed25519", "");
    let connect = |auth| {
        Dom0::connect(sshd.address())
            .auth(auth)
            .host_keys(HostKeys::known_hosts(sshd.known_hosts()))
    };

    works(
        &connect(Auth::encrypted_key_file(sshd.path("locked"), "open sesame"))
            .await
            .unwrap(),
    )
    .await;
    works(&connect(Auth::key_file(sshd.path("rsa"))).await.unwrap()).await;
    works(&connect(Auth::key_file(sshd.path("ecdsa"))).await.unwrap()).await;
    // The right one comes last.
    works(
        &connect(Auth::key_file(sshd.path("stranger")))
            .auth(sshd.auth())
            .await
            .unwrap(),
    )
    .await;

    for (auth, reason) in [
        (Auth::key_file(sshd.path("locked")), "needs a passphrase"),
        (
            Auth::encrypted_key_file(sshd.path("locked"), "wrong"),
            "wrong passphrase",
        ),
        (Auth::key_file(sshd.path("stranger")), "stranger (refused)"),
        (Auth::key_file(sshd.path("absent")), "No such file"),
        (Auth::agent_at(sshd.path("no-agent")), "the agent"),
        (Auth::password("hunter2"), "a password (refused)"),
    ] {
        let shown = format!("{auth:?}");
        let denied = error_of(connect(auth).await);
        assert!(matches!(denied, Error::Denied { .. }), "{denied}");
        assert!(denied.to_string().contains(reason), "{denied}");
        assert!(!format!("{shown}{denied:?}").contains("hunter2"));
    }
    let stranger = sshd.path("stranger");
    let denied = error_of(sshd.program().option("IdentityFile", stranger.to_str().unwrap()).await);
    assert!(
        matches!(&denied, Error::Denied { accepts, .. } if accepts.iter().any(|way| way == "publickey")),
        "{denied}"
    );
}

struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_agent() {
    if !needs(PROGRAMS) || !needs(&["ssh-agent", "ssh-add"]) {
        return;
    }
    let sshd = Sshd::start();
    let socket = sshd.path("agent");
    let agent = Process::new("ssh-agent")
        .arg("-D")
        .arg("-a")
        .arg(&socket)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let _agent = Agent(agent);
    keygen(&sshd.path("stranger"), "ed25519", "");
    while !socket.exists() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let add = |name: &str| {
        let add = Process::new("ssh-add")
            .arg("-q")
            .arg(sshd.path(name))
            .env("SSH_AUTH_SOCK", &socket)
            .status();
        assert!(add.unwrap().success());
    };
    let connect = || {
        let keys = HostKeys::known_hosts(sshd.known_hosts());
        Dom0::connect(sshd.address())
            .auth(Auth::agent_at(&socket))
            .host_keys(keys)
    };
    add("stranger");
    let denied = error_of(connect().await);
    assert!(denied.to_string().contains("1 keys, 1 refused"), "{denied}");
    add("id");
    works(&connect().await.unwrap()).await;

    let absent = sshd.path("absent");
    let program = sshd.program().option("IdentityFile", absent.to_str().unwrap());
    let program = program
        .option("IdentitiesOnly", "no")
        .option("IdentityAgent", socket.to_str().unwrap());
    works(&program.await.unwrap()).await;
}

/// A user of the system with a password, for as long as the test runs.
struct User(String);

impl User {
    fn add(password: &str) -> Self {
        use std::io::Write;

        let user = Self(format!("dom0t{}", std::process::id()));
        let add = Process::new("useradd")
            .args(["-M", "-d", "/", "-s", "/bin/sh", &user.0])
            .status();
        assert!(add.unwrap().success());
        let mut change = Process::new("chpasswd").stdin(Stdio::piped()).spawn().unwrap();
        change
            .stdin
            .take()
            .unwrap()
            .write_all(format!("{}:{password}\n", user.0).as_bytes())
            .unwrap();
        assert!(change.wait().unwrap().success());
        user
    }
}

impl Drop for User {
    fn drop(&mut self) {
        let _ = Process::new("userdel").arg(&self.0).stderr(Stdio::null()).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords() {
    if !needs(PROGRAMS) || !needs(&["useradd", "chpasswd"]) {
        return;
    }
    if user_name() != "root" {
        eprintln!("skipped: only root can make a user with a password");
        return;
    }
    let user = User::add("open sesame");
    let asks = "UsePAM yes\nPasswordAuthentication no\nKbdInteractiveAuthentication yes";
    let mut ways = vec!["PasswordAuthentication yes"];
    match std::path::Path::new("/etc/pam.d/sshd").exists() {
        true => ways.push(asks),
        false => eprintln!("skipped: no PAM service that asks for a password"),
    }
    for lines in ways {
        let sshd = Sshd::with(lines);
        let connect = |password: &str| {
            let keys = HostKeys::known_hosts(sshd.known_hosts());
            let host = format!("{}@127.0.0.1:{}", user.0, sshd.port);
            Dom0::connect(host).auth(Auth::password(password)).host_keys(keys)
        };
        let dom0 = connect("open sesame").await.unwrap();
        let name = dom0.run(&Command::new("id").arg("-un")).await.unwrap();
        assert_eq!(name, format!("{}\n", user.0), "{lines}");
        let denied = error_of(connect("wrong sesame").await);
        assert!(matches!(&denied, Error::Denied { .. }), "{denied}");
        assert!(!format!("{denied:?}").contains("sesame"), "{denied:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_there_and_no_ssh() {
    let port = free_port();
    let nobody = error_of(Dom0::connect(format!("127.0.0.1:{port}")).await);
    assert!(matches!(nobody, Error::Connect { .. }), "{nobody}");
    assert!(nobody.to_string().contains("host.ssh_enabled"), "{nobody}");
    assert!(matches!(error_of(Dom0::connect("a b").await), Error::Host(_)));

    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let late = error_of(
        Dom0::connect(&address)
            .timeout(std::time::Duration::from_millis(100))
            .await,
    );
    assert!(matches!(late, Error::Timeout { .. }), "{late}");

    assert!(matches!(
        error_of(Dom0::with_ssh_program("-oProxyCommand=x").await),
        Error::Host(_)
    ));
    let program = error_of(Dom0::with_ssh_program("xs1").program("/no/ssh").await);
    assert!(matches!(program, Error::Program { .. }), "{program}");
    if find("ssh").is_some() {
        let nobody = Dom0::with_ssh_program("127.0.0.1")
            .config("/dev/null")
            .option("Port", &port.to_string());
        let nobody = error_of(nobody.await);
        assert!(matches!(nobody, Error::Connect { .. }), "{nobody}");
    }
}
