//! From the name of a message and its arguments to an answer, in the order in which xapi checks things.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use xenapi::wire::xml::value_text;
use xenapi::{ToValue, Value};

use crate::behaviour;
use crate::error::{ApiError, Result};
use crate::events::{self, Filter, Token};
use crate::faults::Effect;
use crate::generic;
use crate::hidden::HIDDEN;
use crate::roles;
use crate::schema::{self, Method};
use crate::state::{Shared, State};

/// The listener that a request came in by.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    /// The index of the host that was asked.
    pub(crate) host: usize,
    /// `http` or `https`.
    pub(crate) scheme: &'static str,
    /// Under which address each host can be reached the same way.
    pub(crate) addresses: Arc<[String]>,
}

impl Origin {
    /// What a member says to calls that only the coordinator answers.
    fn only_coordinator(&self, state: &State) -> Result<()> {
        let address = self.addresses.get(state.coordinator).map_or("", String::as_str);
        if self.host == state.coordinator {
            Ok(())
        } else {
            Err(ApiError::new("HOST_IS_SLAVE", [address]))
        }
    }
}

/// One call whose name, arguments and session were found good.
#[derive(Clone, Debug)]
pub(crate) struct Invocation {
    pub(crate) method: Method,
    pub(crate) args: Vec<Value>,
    pub(crate) session: String,
    pub(crate) host: usize,
    /// The task that runs it, or the name that stands for one.
    pub(crate) task: String,
    /// What goes wrong with it.
    pub(crate) fault: Option<Effect>,
    /// Which start of the toolstack it belongs to; another one ends it.
    pub(crate) starts: u64,
}

impl Invocation {
    /// A text, enum or reference argument.
    pub(crate) fn text(&self, at: usize) -> &str {
        self.args.get(at).and_then(Value::as_str).unwrap_or_default()
    }

    pub(crate) fn int(&self, at: usize) -> i64 {
        self.args.get(at).and_then(Value::as_int).unwrap_or_default()
    }

    pub(crate) fn flag(&self, at: usize) -> bool {
        self.args.get(at).and_then(Value::as_bool).unwrap_or_default()
    }

    pub(crate) fn float(&self, at: usize) -> f64 {
        self.args.get(at).and_then(Value::as_float).unwrap_or_default()
    }

    pub(crate) fn value(&self, at: usize) -> Value {
        self.args.get(at).cloned().unwrap_or_default()
    }

    pub(crate) fn list(&self, at: usize) -> Vec<String> {
        let items = self.args.get(at).and_then(Value::as_array).unwrap_or_default();
        items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    }
}

/// Answers a call. Unknown names and wrong arguments are found before the session is looked at.
pub(crate) async fn call(
    shared: &Arc<Shared>,
    origin: &Origin,
    name: &str,
    params: Vec<Value>,
    fault: Option<Effect>,
) -> Result<Value> {
    if let Some(answer) = system(name, &params) {
        return answer;
    }
    let (is_async, plain) = match name
        .strip_prefix("Async.")
        .or_else(|| name.strip_prefix("InternalAsync."))
    {
        Some(plain) => (true, plain),
        None => (false, name),
    };
    if HIDDEN.contains(&plain) {
        return Err(ApiError::new("NOT_IMPLEMENTED", [plain]));
    }
    let unknown = || ApiError::new("MESSAGE_METHOD_UNKNOWN", [plain]);
    let method = schema::method(plain)
        .filter(|_| !is_async || plain.contains('.'))
        .ok_or_else(unknown)?;
    if method.message.removed {
        return Err(ApiError::new("MESSAGE_REMOVED", []));
    }
    let (session, args) = arguments(method, &params)?;
    if is_async && !method.message.has_async {
        let text = format!("No async mode for this operation (rpc: {})", method.name());
        return Err(ApiError::new("Fault", [&text]));
    }
    let mut invocation = Invocation {
        method,
        args,
        session,
        host: origin.host,
        task: String::new(),
        fault,
        starts: 0,
    };
    invocation.starts = shared.with(|state| admit(state, origin, &invocation).map(|()| state.starts))?;
    if is_async {
        return Ok(start(shared, invocation));
    }
    match method.name().as_str() {
        "event.from" => return event_from(shared, &invocation).await,
        "event.next" => return event_next(shared, &invocation).await,
        _ => {}
    }
    invocation.task = shared.with(|state| format!("DummyRef:|{}|{}", state.ids.uuid(), method.name()));
    if method.message.has_async {
        run(shared, &invocation).await
    } else {
        shared.with(|state| execute(state, &invocation))
    }
}

/// The few calls that belong to no class.
fn system(name: &str, params: &[Value]) -> Option<Result<Value>> {
    let rest = name.strip_prefix("system.")?;
    Some(match rest {
        "listMethods" => Ok(schema::method_names().to_value()),
        _ if rest.starts_with("isAlive:") => Ok(params.first().cloned().unwrap_or_default()),
        _ => Err(ApiError::new("MESSAGE_METHOD_UNKNOWN", [name])),
    })
}

/// Counts the parameters, fills in what may be left out, and reads each as its type.
fn arguments(method: Method, params: &[Value]) -> Result<(String, Vec<Value>)> {
    let message = method.message;
    let session = usize::from(message.session);
    let required = message.params.iter().filter(|param| param.required).count();
    let lenient = required < message.params.len();
    if params.len() < required + session || (!lenient && params.len() > required + session) {
        let received = params.len() as i64 - session as i64;
        let (name, expected, received) = (method.name(), required.to_string(), received.to_string());
        return Err(ApiError::new(
            "MESSAGE_PARAMETER_COUNT_MISMATCH",
            [&name, &expected, &received],
        ));
    }
    let reference = match params.first() {
        Some(value) if message.session => match schema::convert(crate::datamodel::Type::Ref("session"), value)? {
            Value::String(text) => text,
            _ => String::new(),
        },
        _ => String::new(),
    };
    let mut given = params.iter().skip(session);
    let args = message.params.iter().map(|param| match given.next() {
        Some(value) => schema::convert(param.ty, value),
        None => Ok(param.default.map_or_else(|| schema::zero(param.ty), schema::literal)),
    });
    Ok((reference, args.collect::<Result<_>>()?))
}

/// Lets a call in that has a good session and reached the right host.
fn admit(state: &mut State, origin: &Origin, invocation: &Invocation) -> Result<()> {
    if !invocation.method.message.session {
        let local = invocation.method.message.name.starts_with("slave_local");
        return if local { Ok(()) } else { origin.only_coordinator(state) };
    }
    let session = &invocation.session;
    let local = state.db.exists("session", session) && !state.is_pool_session(session);
    if !local {
        origin.only_coordinator(state)?;
    }
    state.check_session(session)?;
    let permission = invocation.method.name().to_lowercase();
    roles::check(state.role_of(session), invocation.method.message.role, &permission)
}

/// Starts a call as a task and answers with the task.
fn start(shared: &Arc<Shared>, mut invocation: Invocation) -> Value {
    let label = format!("Async.{}", invocation.method.name());
    let task = shared.with(|state| state.new_task(&label, "", invocation.host));
    invocation.task.clone_from(&task);
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        let outcome = run(&shared, &invocation).await.map(|value| value_text(&value));
        let task = &invocation.task;
        if invocation.fault == Some(Effect::VanishTask) {
            shared.with(|state| state.db.remove("task", task));
            return;
        }
        // The status is written on its own, after everything else: in between, progress is 1 and the task pending.
        shared.with(|state| {
            let Method { class, message } = invocation.method;
            if outcome.is_ok() && class.name() == "VM" && behaviour::vm::is_xenopsd_operation(message.name) {
                state
                    .db
                    .set_entry("task", task, "other_config", "debug_info:cancel_points_seen", "1");
            }
            state.prepare_completion(task, &outcome);
        });
        tokio::task::yield_now().await;
        shared.with(|state| state.complete(task, &outcome));
    });
    task.to_value()
}

/// Carries out a call that takes its time.
async fn run(shared: &Shared, invocation: &Invocation) -> Result<Value> {
    let (steps, delay) = shared.with(|state| (state.config.task_steps, state.config.task_delay));
    // What watches over the work takes no time itself: a cancellation must not come after the end.
    let watches = matches!(invocation.method.class.name(), "task" | "session" | "event");
    if watches || steps == 0 && delay.is_zero() {
        return shared.with(|state| execute(state, invocation));
    }
    shared.with(|state| {
        behaviour::admit(state, invocation)?;
        behaviour::begin(state, invocation);
        Ok(())
    })?;
    let worked = work(shared, invocation, steps, delay).await;
    shared.with(|state| {
        behaviour::end(state, invocation);
        worked?;
        execute(state, invocation)
    })
}

/// Lets the time pass that an operation takes: a delay before each step, and one before the end.
async fn work(shared: &Shared, invocation: &Invocation, steps: u32, delay: Duration) -> Result<()> {
    for step in 1..=steps.saturating_add(1) {
        tokio::time::sleep(delay).await;
        shared.with(|state| {
            state.check_cancelled(&invocation.task)?;
            if step <= steps {
                state.set_progress(&invocation.task, f64::from(step) / (f64::from(steps) + 1.0));
            }
            Ok(())
        })?;
    }
    Ok(())
}

fn execute(state: &mut State, invocation: &Invocation) -> Result<Value> {
    if state.starts != invocation.starts {
        return Err(ApiError::internal("End_of_file"));
    }
    if let Some(Effect::Error(code, params)) = &invocation.fault {
        return Err(ApiError::owned(code, params));
    }
    behaviour::admit(state, invocation)?;
    match behaviour::find(&invocation.method.name()) {
        Some(behaviour) => behaviour(state, invocation),
        None => generic::execute(state, invocation),
    }
}

/// Waits for something to happen to what the caller asked about.
async fn event_from(shared: &Shared, invocation: &Invocation) -> Result<Value> {
    let filters = invocation
        .list(0)
        .iter()
        .map(|text| Filter::parse(text))
        .collect::<Result<Vec<_>>>()?;
    let token = Token::parse(invocation.text(1))?;
    let deadline = Instant::now() + timeout(invocation.float(2));
    let mut changed = shared.watch();
    loop {
        changed.borrow_and_update();
        let events = shared.with(|state| {
            state.check_reachable(invocation.host)?;
            state.check_session(&invocation.session)?;
            let events = events::since(&state.db, token, &filters);
            let late = Instant::now() >= deadline;
            Ok((late || !events.is_empty()).then(|| events::batch(&state.db, events)))
        })?;
        if let Some(batch) = events {
            return Ok(batch);
        }
        // Both ends of the wait lead to another look: at the change, or at the clock.
        let _ = tokio::time::timeout_at(deadline, changed.changed()).await;
    }
}

/// The older way: what to listen for was said by `event.register`.
async fn event_next(shared: &Shared, invocation: &Invocation) -> Result<Value> {
    let mut changed = shared.watch();
    loop {
        changed.borrow_and_update();
        let events = shared.with(|state| {
            state.check_reachable(invocation.host)?;
            state.check_session(&invocation.session)?;
            let Some(subscription) = state.subscriptions.get_mut(&invocation.session) else {
                return Err(ApiError::new("SESSION_NOT_REGISTERED", [&invocation.session]));
            };
            if std::mem::take(&mut subscription.overflowed) {
                subscription.token = Token::now(&state.db);
                return Err(ApiError::new("EVENTS_LOST", []));
            }
            let events = events::since(&state.db, subscription.token, &subscription.filters);
            subscription.token = Token::now(&state.db);
            Ok(events)
        })?;
        if !events.is_empty() {
            return Ok(Value::Array(events));
        }
        let _ = changed.changed().await;
    }
}

/// Seconds as a client gives them: negative, huge and no numbers at all are legal.
fn timeout(seconds: f64) -> Duration {
    const LONGEST: f64 = 24.0 * 3600.0;
    if seconds.is_nan() {
        Duration::ZERO
    } else {
        Duration::from_secs_f64(seconds.clamp(0.0, LONGEST))
    }
}
