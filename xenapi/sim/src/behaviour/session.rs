//! Messages of the class `session`.

use xenapi::{ToValue, Value};

use super::Behaviour;
use crate::dispatch::Invocation;
use crate::error::{ApiError, Result};
use crate::generic::void;
use crate::state::State;

pub(super) fn find(message: &str) -> Option<Behaviour> {
    Some(match message {
        "login_with_password" => login_with_password,
        "slave_local_login_with_password" => slave_local_login_with_password,
        "logout" | "local_logout" => logout,
        "change_password" => change_password,
        "get_all_subject_identifiers" => get_all_subject_identifiers,
        "logout_subject_identifier" => logout_subject_identifier,
        _ => return None,
    })
}

fn login_with_password(state: &mut State, call: &Invocation) -> Result<Value> {
    Ok(state
        .login(call.text(0), call.text(1), call.text(3), call.host)?
        .to_value())
}

fn slave_local_login_with_password(state: &mut State, call: &Invocation) -> Result<Value> {
    let session = state.login(call.text(0), call.text(1), "", call.host)?;
    state.db.set("session", &session, "pool", false);
    Ok(session.to_value())
}

fn logout(state: &mut State, call: &Invocation) -> Result<Value> {
    state.close_session(&call.session);
    Ok(void())
}

fn change_password(state: &mut State, call: &Invocation) -> Result<Value> {
    if call.text(0) != state.config.password {
        let user = state.config.superuser.clone();
        return Err(ApiError::new(
            "SESSION_AUTHENTICATION_FAILED",
            [&user, "Authentication failure"],
        ));
    }
    state.config.password = call.text(1).to_owned();
    Ok(void())
}

fn get_all_subject_identifiers(_: &mut State, _: &Invocation) -> Result<Value> {
    Ok(Value::Array(Vec::new()))
}

fn logout_subject_identifier(_: &mut State, _: &Invocation) -> Result<Value> {
    Ok(void())
}
