//! Who may use a handler, and the task that stands for what it does.

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::message::{Body, Reply, Request};
use super::pages;
use super::transfer::{Pieces, Transfer};
use crate::dispatch::Origin;
use crate::error::{ApiError, Result};
use crate::faults::Effect;
use crate::roles;
use crate::state::{Shared, State};
use crate::tables::HTTP_ACTIONS;

/// A request that was let in, and the task that stands for it.
#[derive(Debug)]
pub(super) struct Access {
    pub(super) task: String,
    pub(super) effect: Option<Effect>,
    /// Whether the task was made for this request, as the client brought none.
    own_task: bool,
    action: Action,
    /// The host that answers, and which start of the coordinator's toolstack this began in.
    host: usize,
    starts: u64,
}

/// How a handler is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Action {
    /// The name in the datamodel, which is also the realm of a 401.
    pub(super) name: &'static str,
    /// The label of the task that is made where the client brings none. Without a label none is made.
    pub(super) label: &'static str,
}

impl Access {
    /// Looks for a session or a password, and commits the faults that need no body.
    pub(super) async fn check(
        shared: &Arc<Shared>,
        origin: &Origin,
        request: &Request,
        action: Action,
        object: &str,
    ) -> Result<Self, Box<Reply>> {
        let effect = shared.with(|state| state.strike(request.path(), Some(object)).map(|(effect, _)| effect));
        if let Some(Effect::Delay(delay)) = effect {
            tokio::time::sleep(delay).await;
        }
        let given = request.parameter("task_id").filter(|task| !task.is_empty());
        let admitted = shared.with(|state| {
            let admitted = admit(state, request, action, effect.as_ref());
            if let (Err((error, _)), Some(task)) = (&admitted, &given) {
                state.finish_task(task, &Err(error.clone()));
            }
            admitted
        });
        admitted.map_err(|(_, refusal)| Box::new(refusal))?;
        if effect == Some(Effect::ServerError) {
            return Err(Box::new(pages::internal_error("Stack_overflow")));
        }
        let own_task = given.is_none();
        let task = shared.with(|state| {
            let task = given.unwrap_or_else(|| match action.label {
                "" => String::new(),
                label => state.new_task(label, "", origin.host),
            });
            if let Some(parent) = request.parameter("subtask_of").filter(|parent| !parent.is_empty()) {
                state.db.refresh("task", &task, "subtask_of", parent);
            }
            task
        });
        let starts = shared.with(|state| state.starts);
        Ok(Self {
            task,
            effect,
            own_task,
            action,
            host: origin.host,
            starts,
        })
    }

    /// Whether this sends a VM or a disk, and is counted.
    pub(super) fn is_export(&self) -> bool {
        matches!(self.action.name, "get_export" | "get_export_raw_vdi")
    }

    /// Whether the host was cut off, or its toolstack started anew, which ends the connection.
    pub(super) fn is_lost(&self, state: &State) -> bool {
        self.starts != state.starts || state.check_reachable(self.host).is_err()
    }

    /// The host that answers.
    pub(super) fn host(&self) -> usize {
        self.host
    }

    /// Complains where the user may not do this part of what the handler does.
    pub(super) fn check_role(&self, state: &mut State, request: &Request, least: &str, part: &str) -> Result<()> {
        let user = authenticate(state, request).unwrap_or_default();
        let permission = format!("http/{}/{part}", self.action.name);
        roles::check(state.config.role_of(&user), least, &permission)
    }

    /// Fails the task and says that the user may not.
    pub(super) fn forbid(&self, shared: &Shared, error: &ApiError) -> Reply {
        self.refuse_with(shared, error, pages::forbidden())
    }

    /// The error of a fault that fails the work before it begins.
    pub(super) fn fault(&self) -> Result<()> {
        match &self.effect {
            Some(Effect::Error(code, params)) => Err(ApiError::owned(code, params)),
            _ => Ok(()),
        }
    }

    /// Fails the task and answers with a page.
    pub(super) fn refuse(&self, shared: &Shared, error: &ApiError) -> Reply {
        self.refuse_with(shared, error, pages::internal_error(&error.page_text()))
    }

    /// Fails the task and answers with an empty reply of this status.
    pub(super) fn refuse_as(&self, shared: &Shared, error: &ApiError, status: u16) -> Reply {
        let reply = Reply {
            close: true,
            ..Reply::full(status, "")
        };
        self.refuse_with(shared, error, reply.with("connection", "close"))
    }

    fn refuse_with(&self, shared: &Shared, error: &ApiError, reply: Reply) -> Reply {
        shared.with(|state| self.end(state, &Err(error.clone())));
        reply
    }

    pub(super) fn end(&self, state: &mut State, outcome: &Result<String>) {
        if self.effect == Some(Effect::VanishTask) {
            state.db.remove("task", &self.task);
        } else {
            state.finish_task(&self.task, outcome);
        }
    }

    /// Sends the client to another host, to the same path and query. The client's task stays as it is.
    pub(super) fn redirect(&self, shared: &Shared, location: &str, request: &Request) -> Reply {
        if self.own_task {
            shared.with(|state| state.db.remove("task", &self.task));
        }
        let reply = Reply {
            close: true,
            ..Reply::full(302, "")
        };
        reply
            .with("connection", "close")
            .with("cache-control", "no-cache, no-store")
            .with("location", format!("{location}{}", request.target))
    }

    /// Sends the pieces; the task ends with them.
    pub(super) fn transfer(self, shared: &Arc<Shared>, vm: Option<String>, pieces: Pieces) -> Reply {
        let task = self.task.clone();
        let reply = Reply {
            body: Body::Stream(Transfer::new(shared, self, vm, pieces).into_stream()),
            close: true,
            ..Reply::full(200, "")
        };
        let reply = reply
            .with("connection", "close")
            .with("cache-control", "no-cache, no-store");
        // The missing space is xapi's.
        if task.is_empty() {
            reply
        } else {
            reply.with("task-id:", task)
        }
    }

    /// Sends a document whose length is known.
    pub(super) fn document(self, shared: &Arc<Shared>, content_type: &'static str, content: Vec<u8>) -> Reply {
        let length = content.len().to_string();
        let pieces = Box::new(std::iter::once(Ok(content.into())));
        self.transfer(shared, None, pieces)
            .with("content-length", length)
            .with("content-type", content_type)
    }
}

/// The scheme and the address of a host, as this request's client reaches it.
pub(super) fn location(origin: &Origin, host: usize) -> Option<String> {
    let address = origin.addresses.get(host)?;
    Some(format!("{}://{address}", origin.scheme))
}

/// Lets a request in that may use the handler.
fn admit(
    state: &mut State,
    request: &Request,
    action: Action,
    effect: Option<&Effect>,
) -> Result<(), (ApiError, Reply)> {
    let user = authenticate(state, request).filter(|_| effect != Some(&Effect::Unauthorized));
    let Some(user) = user else {
        let error = ApiError::new("SESSION_AUTHENTICATION_FAILED", []);
        return Err((error, pages::unauthorised(action.name)));
    };
    let known = HTTP_ACTIONS.iter().find(|known| known.name == action.name);
    let least = known.map_or("pool-admin", |known| known.role);
    let permission = format!("http/{}", action.name);
    roles::check(state.config.role_of(&user), least, &permission).map_err(|error| (error, pages::forbidden()))
}

/// The name of the user whose session lives, or whose password is right.
fn authenticate(state: &mut State, request: &Request) -> Option<String> {
    if let Some(session) = request.parameter("session_id") {
        state.check_session(&session).ok()?;
        return Some(state.db.text("session", &session, "auth_user_name"));
    }
    let basic = request.header("authorization")?.strip_prefix("Basic ")?;
    let decoded = String::from_utf8(BASE64_STANDARD.decode(basic.trim()).ok()?).ok()?;
    let (name, password) = decoded.split_once(':')?;
    state.config.knows(name, password).then(|| name.to_owned())
}
