//! A message and its arguments.

use std::borrow::Cow;
use std::time::Duration;

use crate::SecretString;
use crate::wire::{Value, names_secret};

/// What a call will send.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) params: Vec<Value>,
    /// Texts among the arguments that no error may repeat.
    pub(crate) secrets: Vec<SecretString>,
    pub(crate) timeout: Option<Duration>,
}

impl Request {
    pub(crate) fn new(method: impl Into<Method>) -> Self {
        Self {
            method: method.into(),
            params: Vec::new(),
            secrets: Vec::new(),
            timeout: None,
        }
    }

    /// Appends an argument. What in it is a secret by its name is noted as one.
    pub(crate) fn push(&mut self, value: Value) {
        if matches!(value, Value::Struct(_)) {
            collect_secrets(&value, false, &mut self.secrets);
        }
        self.params.push(value);
    }

    pub(crate) fn push_secret(&mut self, value: Value) {
        collect_secrets(&value, true, &mut self.secrets);
        self.params.push(value);
    }
}

/// The secret texts of an argument: itself, or the members of a map or record whose names say so.
fn collect_secrets(value: &Value, named: bool, secrets: &mut Vec<SecretString>) {
    match value {
        Value::String(text) if named && !text.is_empty() => secrets.push(SecretString::new(text.as_str())),
        Value::Struct(members) => {
            for (name, member) in members {
                // What a secret of the pool holds is called just that.
                let is_secret = names_secret(name) || named && name == "value";
                collect_secrets(member, is_secret, secrets);
            }
        }
        _ => {}
    }
}

/// The wire name of a message; static in generated code.
pub(crate) type Method = Cow<'static, str>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Map, ToValue};

    #[test]
    fn the_secrets_of_an_argument_are_known() {
        let mut request = Request::new("SR.create");
        let config: Map<String, String> = Map::from([("server", "nfs1"), ("cifspassword", "hunter2")]);
        request.push_secret(config.to_value());
        request.push_secret("key".to_value());
        let known: Vec<_> = request.secrets.iter().map(SecretString::expose).collect();
        assert_eq!(known, ["hunter2", "key"]);
    }
}
