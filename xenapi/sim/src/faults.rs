//! Faults that a pool commits when it is told to.

use std::str::FromStr;
use std::time::Duration;

use crate::ids::Ids;
use crate::nbd;

/// A rule by which the pool misbehaves.
///
/// A rule names a message (`VM.start`, which also stands for `Async.VM.start`; a task then fails where the call would)
/// or the path of an HTTP handler (`/export`), narrows that down, and says what happens. `/nbd` stands for the NBD
/// server, where each connection is a request for its disk: an error ends it before there is one, a delay comes before
/// that, and a reset, a truncation or a stall comes after so many bytes of the disk.
///
/// ```
/// use xenapi_sim::Fault;
///
/// // The first two starts of web-01 fail, a third of all calls that list VDIs break off.
/// let full = Fault::on("VM.start").object("web-01").times(2).error("SR_FULL", ["1024", "512"]);
/// let flaky = Fault::on("VDI.get_all_records").probability(0.33).reset();
/// assert_eq!("VM.start:error=SR_FULL,1024,512;object=web-01;times=2".parse(), Ok(full));
/// assert_eq!("VDI.get_all_records:reset;probability=0.33".parse(), Ok(flaky));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    on: String,
    object: Option<String>,
    probability: f64,
    skip: u64,
    times: Option<u64>,
    pub(crate) effect: Effect,
}

/// What a fault does.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Effect {
    Nothing,
    Error(String, Vec<String>),
    Delay(Duration),
    Reset,
    Unauthorized,
    ServerError,
    HostIsSlave(String),
    InvalidateSession,
    VanishTask,
    Truncate(u64),
    ErrorInBody(u64),
    Stall(u64),
}

impl Effect {
    /// After how many bytes of a body it strikes.
    pub(crate) fn cut(&self) -> Option<u64> {
        match self {
            Self::Truncate(bytes) | Self::ErrorInBody(bytes) | Self::Stall(bytes) => Some(*bytes),
            Self::Reset => Some(4096),
            _ => None,
        }
    }
}

impl Fault {
    /// A rule for a message or an HTTP path that does nothing yet. `*` stands for all messages.
    pub fn on(target: impl Into<String>) -> Self {
        Self {
            on: target.into(),
            object: None,
            probability: 1.0,
            skip: 0,
            times: None,
            effect: Effect::Nothing,
        }
    }

    /// Only where the object has this reference, UUID or name. For a message that is its first argument.
    pub fn object(mut self, name: impl Into<String>) -> Self {
        self.object = Some(name.into());
        self
    }

    /// Only this often, from 0.0 (never) to 1.0 (always); the pool's seed decides when.
    pub fn probability(mut self, probability: f64) -> Self {
        self.probability = probability;
        self
    }

    /// Not for the first `count` matches.
    pub fn after(mut self, count: u64) -> Self {
        self.skip = count;
        self
    }

    /// At most this often.
    pub fn times(mut self, count: u64) -> Self {
        self.times = Some(count);
        self
    }

    /// The call or the transfer fails with this code and these parameters.
    pub fn error<const N: usize>(mut self, code: &str, params: [&str; N]) -> Self {
        self.effect = Effect::Error(code.to_owned(), params.iter().map(|&text| text.to_owned()).collect());
        self
    }

    /// The answer waits this long.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.effect = Effect::Delay(delay);
        self
    }

    /// The request is carried out, and the connection is reset in the middle of the answer.
    pub fn reset(mut self) -> Self {
        self.effect = Effect::Reset;
        self
    }

    /// The answer is HTTP 401.
    pub fn unauthorized(mut self) -> Self {
        self.effect = Effect::Unauthorized;
        self
    }

    /// The answer is HTTP 500 with a page of HTML.
    pub fn server_error(mut self) -> Self {
        self.effect = Effect::ServerError;
        self
    }

    /// The host says that it is not the coordinator and names this address.
    pub fn host_is_slave(mut self, coordinator: &str) -> Self {
        self.effect = Effect::HostIsSlave(coordinator.to_owned());
        self
    }

    /// The session ends, and the call fails with `SESSION_INVALID`.
    pub fn invalidate_session(mut self) -> Self {
        self.effect = Effect::InvalidateSession;
        self
    }

    /// The work is done, but the task is gone when it would end.
    pub fn vanish_task(mut self) -> Self {
        self.effect = Effect::VanishTask;
        self
    }

    /// The body of a transfer ends cleanly after this many bytes, and its task fails. Of an upload no more than that is
    /// read.
    pub fn truncate(mut self, bytes: u64) -> Self {
        self.effect = Effect::Truncate(bytes);
        self
    }

    /// After this many bytes the body of a transfer goes on with a second HTTP response, a 500, and its task fails. An
    /// upload gets that response after so many bytes were read.
    pub fn error_in_body(mut self, bytes: u64) -> Self {
        self.effect = Effect::ErrorInBody(bytes);
        self
    }

    /// The body of a transfer stands still after this many bytes: nothing more is sent or read, and the task stays
    /// pending until the client gives up. A call with this fault is never answered.
    pub fn stall(mut self, bytes: u64) -> Self {
        self.effect = Effect::Stall(bytes);
        self
    }

    /// Whether the rule is about this message or path, and about one of these names of the object.
    fn matches(&self, target: &str, object: &[&str]) -> bool {
        let plain = target.strip_prefix("Async.");
        let about =
            self.on == target || plain == Some(self.on.as_str()) || (self.on == "*" && !target.starts_with('/'));
        about && self.object.as_deref().is_none_or(|wanted| object.contains(&wanted))
    }

    /// Whether the rule strikes now; it counts this as a match.
    pub(crate) fn strikes(&mut self, target: &str, object: &[&str], ids: &mut Ids) -> bool {
        if self.times == Some(0) || !self.matches(target, object) {
            return false;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        if self.probability < 1.0 && !ids.chance(self.probability) {
            return false;
        }
        self.times = self.times.map(|times| times - 1);
        true
    }
}

/// A text that describes no fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{part:?} is no part of a fault: expected TARGET:EFFECT[;object=NAME][;probability=P][;after=N][;times=N] with an \
     effect of error=CODE[,PARAM…], delay=MILLISECONDS, reset, unauthorized, server-error, host-is-slave=ADDRESS, \
     invalidate-session, vanish-task, truncate=BYTES, error-in-body=BYTES or stall=BYTES"
)]
pub struct FaultError {
    part: String,
}

impl FromStr for Fault {
    type Err = FaultError;

    /// Reads `TARGET:EFFECT[;object=NAME][;probability=P][;after=N][;times=N]`.
    fn from_str(text: &str) -> Result<Self, FaultError> {
        let wrong = |part: &str| FaultError { part: part.to_owned() };
        let (target, rest) = text.split_once(':').ok_or_else(|| wrong(text))?;
        let mut fault = Self::on(target);
        for part in rest.split(';') {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let number = || value.parse::<u64>().map_err(|_| wrong(part));
            fault = match name {
                "object" => fault.object(value),
                "probability" => fault.probability(value.parse().map_err(|_| wrong(part))?),
                "after" => fault.after(number()?),
                "times" => fault.times(number()?),
                "error" => {
                    let mut words = value.split(',').map(str::to_owned);
                    let code = words
                        .next()
                        .filter(|code| !code.is_empty())
                        .ok_or_else(|| wrong(part))?;
                    fault.effect = Effect::Error(code, words.collect());
                    fault
                }
                "delay" => fault.delay(Duration::from_millis(number()?)),
                "reset" => fault.reset(),
                "unauthorized" => fault.unauthorized(),
                "server-error" => fault.server_error(),
                "host-is-slave" => fault.host_is_slave(value),
                "invalidate-session" => fault.invalidate_session(),
                "vanish-task" => fault.vanish_task(),
                "truncate" => fault.truncate(number()?),
                "error-in-body" => fault.error_in_body(number()?),
                "stall" => fault.stall(number()?),
                _ => return Err(wrong(part)),
            };
        }
        if fault.effect == Effect::Nothing {
            Err(wrong(rest))
        } else {
            Ok(fault)
        }
    }
}

impl crate::state::State {
    /// What goes wrong now with a request for a message or a path, if anything, and whether the rule names exactly
    /// that (and not the message behind `Async.`). `object` is the reference, UUID or name by which the request names
    /// its object.
    pub(crate) fn strike(&mut self, target: &str, object: Option<&str>) -> Option<(Effect, bool)> {
        if self.faults.is_empty() {
            return None;
        }
        let names = object.map(|object| self.names(target, object)).unwrap_or_default();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let ids = &mut self.ids;
        let mut faults = self.faults.iter_mut();
        let fault = faults.find_map(|fault| fault.strikes(target, &names, ids).then_some(fault))?;
        Some((fault.effect.clone(), fault.on == target))
    }

    /// All that an object is called by, of a class that the target of a request implies.
    fn names(&self, target: &str, object: &str) -> Vec<String> {
        let class = match target.trim_start_matches("Async.").split_once('.') {
            Some((class, _)) => class,
            None if target.contains("vdi") || target == nbd::TARGET => "VDI",
            None => "VM",
        };
        let reference = self.db.find(class, "uuid", object).unwrap_or_else(|| object.to_owned());
        let mut names = vec![object.to_owned(), reference.clone()];
        if let Some(info) = crate::schema::class(class) {
            let known = ["uuid", "name_label"]
                .into_iter()
                .filter(|field| info.field(field).is_some());
            names.extend(known.map(|field| self.db.text(class, &reference, field)));
        }
        names
    }
}
