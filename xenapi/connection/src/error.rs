//! What can go wrong, and whose fault it was.

use std::fmt;
use std::time::Duration;

use crate::transport::{ConfigError, UntrustedCertificate};
use crate::wire::{ErrorCode, Ref};
use crate::{SecretString, TaskClass, TypedAs};

/// The result of everything that talks to a pool.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call, a task or a transfer did not end well.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// XenAPI said no. The call had no effect unless the error's documentation says otherwise.
    #[error(transparent)]
    Api(Box<ApiError>),
    /// The server's certificate is not trusted; the message holds the fingerprint to pin. Nothing was sent.
    #[error(transparent)]
    Untrusted(Box<UntrustedCertificate>),
    /// The server could not be reached. Nothing was sent, so trying again is safe.
    #[error("cannot connect to {host}: {reason}")]
    Connect {
        /// The host and port that were tried.
        host: Box<str>,
        /// What the network said.
        reason: Box<str>,
    },
    /// A call that changes nothing got no answer; trying again is safe.
    #[error(transparent)]
    Interrupted(Box<LostCall>),
    /// A call that may change something was sent and got no answer: whether it took effect is unknown. It is never
    /// sent again by itself; look at the object before you do.
    #[error(transparent)]
    Lost(Box<LostCall>),
    /// The reply is not what the datamodel promises.
    #[error(transparent)]
    Decode(Box<DecodeError>),
    /// An argument cannot be sent.
    #[error("{method} was not sent: {reason}")]
    Unsendable {
        /// The wire name of the message.
        method: Box<str>,
        /// What is wrong with the arguments.
        reason: Box<str>,
    },
    /// The limit for this call passed. What it started on the server goes on.
    #[error(transparent)]
    Timeout(Box<Timeout>),
    /// The task was cancelled, by this program or another.
    #[error("{method}: the task was cancelled")]
    Cancelled {
        /// The wire name of the message, or the transfer's path.
        method: Box<str>,
    },
    /// The task is gone, so its outcome is unknown: it was destroyed by another client, or the toolstack restarted.
    #[error(
        "{method}: the task is gone and its outcome unknown (destroyed by another client, or the toolstack restarted); \
         look at the object itself"
    )]
    Vanished {
        /// The wire name of the message, or the transfer's path.
        method: Box<str>,
    },
    /// An upload was sent on to another host when some of it had gone out, and its source can be read only once. Nothing
    /// was changed: upload again with a new source, best one that can be read again.
    #[error(
        "{method} was sent on to another host when some of it had gone out, and its source can be read only once; \
         upload again with a new source"
    )]
    SentOnLate {
        /// The transfer's path.
        method: Box<str>,
    },
    /// The object that was waited for has been destroyed.
    #[error("the {class} {reference} is gone: it was destroyed while its state was waited for")]
    Gone {
        /// The object's class.
        class: Box<str>,
        /// Its reference.
        reference: Box<str>,
    },
    /// The server answered with an HTTP status in place of a reply.
    #[error(transparent)]
    Http(Box<HttpError>),
    /// The connection was described wrongly: a URL, a fingerprint or a certificate file that cannot be used.
    #[error("{0}")]
    Config(Box<str>),
}

impl Error {
    /// The error code, where XenAPI said no; `match` on it for the errors that you handle.
    pub fn code(&self) -> Option<&ErrorCode> {
        self.api().map(ApiError::code)
    }

    /// The whole of what XenAPI said.
    pub fn api(&self) -> Option<&ApiError> {
        match self {
            Self::Api(error) => Some(error),
            _ => None,
        }
    }

    /// What to do about it, roughly, where XenAPI said no.
    pub fn kind(&self) -> Option<ErrorKind> {
        self.api().map(ApiError::kind)
    }

    /// Whether the same call, sent again a little later, does no harm and may succeed: nothing of it was carried out,
    /// and the reason may pass.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Interrupted(_) | Self::SentOnLate { .. } => true,
            Self::Api(error) => error.kind() == ErrorKind::Busy || *error.code() == ErrorCode::HostStillBooting,
            _ => false,
        }
    }

    /// Names the task that tells how a call without an answer went on.
    pub(crate) fn in_task(mut self, reference: Ref<TaskClass>) -> Self {
        match &mut self {
            Self::Interrupted(lost) | Self::Lost(lost) => lost.task = Some(reference.to_wire().into()),
            Self::Timeout(timeout) => timeout.task = Some(reference.to_wire().into()),
            _ => {}
        }
        self
    }

    /// Something that is wrong on this side: the connection was described wrongly, or is used for what it cannot do.
    pub fn config(reason: impl Into<Box<str>>) -> Self {
        Self::Config(reason.into())
    }
}

impl From<DecodeError> for Error {
    fn from(error: DecodeError) -> Self {
        Self::Decode(Box::new(error))
    }
}

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Self {
        Self::config(error.to_string())
    }
}

/// An error of XenAPI itself: a code and its parameters.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiError {
    method: Box<str>,
    code: ErrorCode,
    params: Vec<String>,
}

impl ApiError {
    /// Secrets that a server repeats in its parameters (the session in `SESSION_INVALID`) are taken out here, so that
    /// no later message can show them.
    pub(crate) fn new<'a>(
        method: &str,
        code: &str,
        mut params: Vec<String>,
        secrets: impl IntoIterator<Item = &'a SecretString>,
    ) -> Self {
        let code = ErrorCode::from(code);
        for secret in secrets
            .into_iter()
            .map(SecretString::expose)
            .filter(|secret| !secret.is_empty())
        {
            for param in params.iter_mut().filter(|param| param.contains(secret)) {
                *param = param.replace(secret, "(hidden)");
            }
        }
        if code == ErrorCode::SessionInvalid {
            params.fill("(hidden)".to_owned());
        }
        Self {
            method: method.into(),
            code,
            params,
        }
    }

    /// The wire name of the message that failed, for example `VM.start`.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The code.
    pub fn code(&self) -> &ErrorCode {
        &self.code
    }

    /// The parameters in the server's order.
    pub fn params(&self) -> &[String] {
        &self.params
    }

    /// A parameter by the name that the datamodel gives it.
    pub fn param(&self, name: &str) -> Option<&str> {
        let at = self.code.params().iter().position(|&known| known == name)?;
        self.params.get(at).map(String::as_str)
    }

    /// What to do about it, roughly.
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::of(self.code.as_str())
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.method, self.code)?;
        for (at, param) in self.params.iter().enumerate() {
            let separator = if at == 0 { " (" } else { ", " };
            match self.code.params().get(at) {
                Some(name) => write!(f, "{separator}{name}: {param}")?,
                None => write!(f, "{separator}{param}")?,
            }
        }
        f.write_str(if self.params.is_empty() { "" } else { ")" })
    }
}

impl fmt::Debug for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for ApiError {}

/// Groups of error codes that call for the same reaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The object is not in the state that the call needs (power state, attached disks, duplicates).
    Conflict,
    /// The object, its UUID or something that it needs does not exist.
    NotFound,
    /// Wrong credentials, an expired session, or a role that may not do this.
    Denied,
    /// Somebody else is at it; the same call may succeed a little later.
    Busy,
    /// No room: memory, disk space, a licence's or pool's limits.
    Capacity,
    /// The arguments are wrong.
    Invalid,
    /// This server, licence or hardware cannot do it.
    Unsupported,
    /// The call reached the wrong host of the pool, or one that is not ready.
    WrongHost,
    /// Something failed inside the server, a storage driver or a plugin.
    Internal,
    /// The code says nothing that this crate knows: it is a newer server's, or a plugin's own.
    Other,
}

impl ErrorKind {
    fn of(code: &str) -> Self {
        let any = |parts: &[&str]| parts.iter().any(|part| code.contains(part));
        match code {
            "HANDLE_INVALID" | "UUID_INVALID" | "MESSAGE_METHOD_UNKNOWN" => Self::NotFound,
            "HOST_IS_SLAVE"
            | "HOST_STILL_BOOTING"
            | "HOST_IN_EMERGENCY_MODE"
            | "HOST_OFFLINE"
            | "HOST_UNREACHABLE"
            | "CANNOT_CONTACT_HOST"
            | "HOST_NOT_LIVE" => Self::WrongHost,
            "SESSION_INVALID"
            | "SESSION_AUTHENTICATION_FAILED"
            | "RBAC_PERMISSION_DENIED"
            | "PERMISSION_DENIED"
            | "USER_IS_NOT_LOCAL_SUPERUSER"
            | "SUBJECT_CANNOT_BE_RESOLVED" => Self::Denied,
            "OTHER_OPERATION_IN_PROGRESS" | "TOO_MANY_PENDING_TASKS" | "VDI_IN_USE" | "TOO_BUSY" => Self::Busy,
            "MESSAGE_PARAMETER_COUNT_MISMATCH"
            | "FIELD_TYPE_ERROR"
            | "INVALID_VALUE"
            | "VALUE_NOT_SUPPORTED"
            | "MEMORY_CONSTRAINT_VIOLATION"
            | "SESSION_NOT_REGISTERED"
            | "EVENT_FROM_TOKEN_PARSE_FAILURE"
            | "EVENT_SUBSCRIPTION_PARSE_FAILURE"
            | "EVENTS_LOST" => Self::Invalid,
            "MESSAGE_REMOVED"
            | "MESSAGE_DEPRECATED"
            | "NOT_IMPLEMENTED"
            | "LICENCE_RESTRICTION"
            | "LICENSE_EXPIRED"
            | "LICENSE_PROCESSING_ERROR" => Self::Unsupported,
            "INTERNAL_ERROR" | "XENAPI_PLUGIN_FAILURE" | "WLB_TIMEOUT" => Self::Internal,
            "VM_MISSING_PV_DRIVERS" => Self::Conflict,
            _ if any(&[
                "_FULL",
                "NOT_ENOUGH",
                "INSUFFICIENT",
                "NO_HOSTS_AVAILABLE",
                "OUT_OF_SPACE",
                "TOO_LARGE",
                "LIMIT",
            ]) =>
            {
                Self::Capacity
            }
            _ if any(&["DOES_NOT_EXIST", "NOT_FOUND", "MISSING", "UNKNOWN_"]) => Self::NotFound,
            _ if any(&["IN_PROGRESS", "IN_USE"]) => Self::Busy,
            _ if any(&["NOT_SUPPORTED", "UNSUPPORTED", "FEATURE_", "CANNOT_", "INCOMPATIBLE"]) => Self::Unsupported,
            _ if code.starts_with("AUTH_") => Self::Denied,
            _ if code.starts_with("INVALID_") || code.ends_with("_INVALID") => Self::Invalid,
            _ if any(&["BACKEND_FAILURE", "_FAILED", "_ERROR", "EXN"]) => Self::Internal,
            _ if ErrorCode::from(code).is_known() => Self::Conflict,
            _ => Self::Other,
        }
    }
}

/// A call that was sent and not answered.
#[derive(Debug, thiserror::Error)]
#[error("{method} got no answer: {reason}")]
pub struct LostCall {
    pub(crate) method: Box<str>,
    pub(crate) reason: Box<str>,
    pub(crate) task: Option<Box<str>>,
}

impl LostCall {
    /// The wire name of the message.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The task that the call was running in, where it is known: it tells the outcome.
    pub fn task<T>(&self) -> Option<Ref<T>>
    where
        TaskClass: TypedAs<T>,
    {
        self.task.as_deref()?.parse().ok()
    }
}

/// A call that took longer than its limit.
#[derive(Debug, thiserror::Error)]
#[error("{method} was not done after {after:?}; it may still be running on the server")]
pub struct Timeout {
    pub(crate) method: Box<str>,
    pub(crate) after: Duration,
    pub(crate) task: Option<Box<str>>,
}

impl Timeout {
    /// The wire name of the message.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The task that goes on, where there is one: wait for it again, or cancel it.
    pub fn task<T>(&self) -> Option<Ref<T>>
    where
        TaskClass: TypedAs<T>,
    {
        self.task.as_deref()?.parse().ok()
    }
}

/// A reply that could not be read as what the datamodel promises.
#[derive(Debug, thiserror::Error)]
#[error("the reply to {method} cannot be read: {source}")]
pub struct DecodeError {
    method: Box<str>,
    #[source]
    source: crate::wire::DecodeError,
}

impl DecodeError {
    /// The reply to this message, or the answer of this handler, cannot be read.
    pub fn new(method: impl Into<Box<str>>, source: crate::wire::DecodeError) -> Self {
        let method = method.into();
        Self { method, source }
    }

    /// The wire name of the message.
    pub fn method(&self) -> &str {
        &self.method
    }
}

/// An HTTP status in place of a reply.
#[derive(Debug, thiserror::Error)]
#[error("{request} was answered with HTTP status {status}{}{detail}", if .detail.is_empty() { "" } else { ": " })]
pub struct HttpError {
    pub(crate) request: Box<str>,
    pub(crate) status: u16,
    pub(crate) detail: Box<str>,
}

impl HttpError {
    /// The status code.
    pub fn status(&self) -> u16 {
        self.status
    }
}
