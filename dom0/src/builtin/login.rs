//! Proving who one is, way after way.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use russh::MethodKind;
use russh::client::{AuthResult, KeyboardInteractiveAuthResponse};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::{AgentClient, AgentStream};
use russh::keys::{HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey};

use super::connection::Connection;
use super::handshake::Session;
use super::plan::Plan;
use crate::auth::Method;
use crate::{Error, Secret};

/// Servers cut a login after two minutes; somebody may have to touch a key in between.
const LIMIT: Duration = Duration::from_secs(120);

pub(super) async fn login(connection: &mut Connection, plan: &Plan) -> Result<(), Error> {
    let Connection { handle, lost, .. } = connection;
    let mut attempt = Attempt {
        session: handle,
        user: plan.host.user(),
        accepts: Vec::new(),
        tried: Vec::new(),
    };
    match tokio::time::timeout(LIMIT, attempt.all(plan)).await {
        Ok(true) => Ok(()),
        Err(_) => Err(Error::Timeout {
            host: plan.host.to_string(),
            limit: LIMIT,
            doing: "logging in",
        }),
        Ok(false) => {
            let (mut tried, accepts) = (attempt.tried, attempt.accepts);
            if handle.is_closed() {
                let reason = lost.get().map_or("it hung up", String::as_str);
                tried.push(format!("and then the connection ended: {reason}"));
            }
            let accepts = accepts.iter().map(String::from).collect();
            Err(Error::Denied {
                host: plan.host.to_string(),
                tried,
                accepts,
            })
        }
    }
}

struct Attempt<'a> {
    session: &'a mut Session,
    user: &'a str,
    accepts: Vec<MethodKind>,
    tried: Vec<String>,
}

impl Attempt<'_> {
    async fn all(&mut self, plan: &Plan) -> bool {
        for auth in &plan.auth {
            let done = match &auth.0 {
                Method::Agent(socket) => self.agent(socket.as_deref()).await,
                Method::KeyFile { file, passphrase } => self.key_file(plan, file, passphrase.as_ref()).await,
                Method::Password(password) => self.password(password).await,
            };
            if done || self.session.is_closed() {
                return done;
            }
        }
        false
    }

    /// Keeps what the server says it would accept; an error is a no.
    fn succeeded(&mut self, result: Result<AuthResult, russh::Error>) -> bool {
        match result {
            Ok(AuthResult::Success) => true,
            Ok(AuthResult::Failure { remaining_methods, .. }) => {
                if !remaining_methods.is_empty() {
                    self.accepts = remaining_methods.to_vec();
                }
                false
            }
            Err(_) => false,
        }
    }

    async fn hash_for(&self, key: &PublicKey) -> Option<HashAlg> {
        match key.algorithm().is_rsa() {
            true => self
                .session
                .best_supported_rsa_hash()
                .await
                .ok()
                .flatten()
                .unwrap_or(Some(HashAlg::Sha512)),
            false => None,
        }
    }

    async fn key_file(&mut self, plan: &Plan, file: &Path, passphrase: Option<&Secret>) -> bool {
        let shown = file.display();
        let key = match plan.memory.opened(file) {
            Some(key) => key,
            None => match open(file, passphrase).await {
                Ok(key) => {
                    plan.memory.open(file, key.clone());
                    key
                }
                Err(reason) => {
                    self.tried.push(format!("the key file {shown} ({reason})"));
                    return false;
                }
            },
        };
        let hash = self.hash_for(key.public_key()).await;
        let key = PrivateKeyWithHashAlg::new(key, hash);
        let result = self.session.authenticate_publickey(self.user, key).await;
        self.tried.push(format!("the key file {shown} (refused)"));
        self.succeeded(result)
    }

    async fn password(&mut self, password: &Secret) -> bool {
        let result = self.session.authenticate_password(self.user, password.expose()).await;
        self.tried.push("a password (refused)".into());
        if self.succeeded(result) {
            return true;
        }
        self.accepts.contains(&MethodKind::KeyboardInteractive) && self.answer(password).await
    }

    /// Hosts that ask for the password instead of taking it: one hidden prompt is answered, anything else is not.
    async fn answer(&mut self, password: &Secret) -> bool {
        let none: Option<String> = None;
        let mut reply = self
            .session
            .authenticate_keyboard_interactive_start(self.user, none)
            .await;
        let mut answered = false;
        loop {
            let responses = match reply {
                Ok(KeyboardInteractiveAuthResponse::Success) => return true,
                Ok(KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. }) => match prompts.as_slice() {
                    [] => Vec::new(),
                    [prompt] if !prompt.echo && !answered => {
                        answered = true;
                        vec![password.expose().to_owned()]
                    }
                    _ => return false,
                },
                Ok(KeyboardInteractiveAuthResponse::Failure { .. }) | Err(_) => return false,
            };
            reply = self.session.authenticate_keyboard_interactive_respond(responses).await;
        }
    }

    async fn agent(&mut self, socket: Option<&Path>) -> bool {
        match agent_at(socket).await {
            Ok(agent) => self.identities(agent).await,
            Err(reason) => {
                self.tried.push(format!("the agent ({reason})"));
                false
            }
        }
    }

    async fn identities<S: AgentStream + Send + Unpin>(&mut self, mut agent: AgentClient<S>) -> bool {
        if let Some(binding) = self.session.agent_session_binding().cloned() {
            // Agents that do not know this have no keys that depend on it.
            let _ = agent.bind_session(&binding, false).await;
        }
        let identities = match agent.request_identities().await {
            Ok(identities) => identities,
            Err(error) => {
                self.tried.push(format!("the agent ({error})"));
                return false;
            }
        };
        let (mut refused, mut failed) = (0, None);
        for identity in &identities {
            let hash = self.hash_for(&identity.public_key()).await;
            let result = match identity {
                AgentIdentity::PublicKey { key, .. } => {
                    self.session
                        .authenticate_publickey_with(self.user, key.clone(), hash, &mut agent)
                        .await
                }
                AgentIdentity::Certificate { certificate, .. } => {
                    let certificate = certificate.clone();
                    self.session
                        .authenticate_certificate_with(self.user, certificate, hash, &mut agent)
                        .await
                }
            };
            match result {
                Ok(result) => match self.succeeded(Ok(result)) {
                    true => return true,
                    false => refused += 1,
                },
                Err(error) => failed = Some(error.to_string()),
            }
            if self.session.is_closed() {
                break;
            }
        }
        let failed = failed
            .map(|error| format!(", failed to sign: {error}"))
            .unwrap_or_default();
        self.tried.push(format!(
            "the agent ({} keys, {refused} refused{failed})",
            identities.len()
        ));
        false
    }
}

#[cfg(unix)]
async fn agent_at(socket: Option<&Path>) -> Result<AgentClient<tokio::net::UnixStream>, String> {
    let agent = match socket {
        Some(socket) => AgentClient::connect_uds(socket).await,
        None => AgentClient::connect_env().await,
    };
    agent.map_err(|error| error.to_string())
}

#[cfg(windows)]
async fn agent_at(
    socket: Option<&Path>,
) -> Result<AgentClient<tokio::net::windows::named_pipe::NamedPipeClient>, String> {
    let pipe = socket.unwrap_or(Path::new(r"\\.\pipe\openssh-ssh-agent"));
    AgentClient::connect_named_pipe(pipe)
        .await
        .map_err(|error| error.to_string())
}

/// Opening an encrypted key takes a noticeable time of computing on purpose.
async fn open(file: &Path, passphrase: Option<&Secret>) -> Result<Arc<PrivateKey>, String> {
    use russh::keys::Error as KeyError;

    let (path, secret) = (file.to_owned(), passphrase.cloned());
    let load = move || russh::keys::load_secret_key(path, secret.as_ref().map(Secret::expose));
    let loaded = tokio::task::spawn_blocking(load)
        .await
        .map_err(|error| error.to_string())?;
    loaded.map(Arc::new).map_err(|error| match error {
        KeyError::KeyIsEncrypted => "it needs a passphrase".into(),
        KeyError::IO(error) => error.to_string(),
        other if passphrase.is_some() => format!("wrong passphrase, or no key: {other}"),
        other => other.to_string(),
    })
}
