//! Scripts in guests, by their own agents.

use futures_core::future::BoxFuture;

use crate::wire::{Encoding, ReplyError, decode_reply, from_value};
use crate::{DecodeError, Error, Map, Result, SecretString, Value, Vm};

/// What the server takes.
const LONGEST: usize = 1024;

const METHOD: &str = "VM.call_plugin";

/// What became of a script in a guest. Of each output the server gives 1024 bytes at most, and says `(truncated)` where
/// it has cut one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScriptOutput {
    /// Its exit code; 0 for success.
    pub exit_code: i64,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Vm {
    /// Runs a batch file of at most 1024 bytes in a Windows guest through XenServer's own agent, with
    /// `VM.call_plugin`: no network and nothing else of yours is needed in it.
    ///
    /// Once in ten seconds for each VM (`VM_CALL_PLUGIN_RATE_LIMIT` tells how long to wait), one at a time, and only
    /// where `allow_guest_agent_run_script` is `true` in the pool's `other_config`. It takes the role `vm-power-admin`.
    /// For more than that there is the crate `serial-link`.
    ///
    /// ```no_run
    /// # async fn example(pool: xenapi::Client, vm: xenapi::Ref<xenapi::Vm>) -> xenapi::Result<()> {
    /// let password = xenapi::SecretString::new(std::env::var("GUEST_PASSWORD").unwrap_or_default());
    /// let output = pool.vm(vm).run_script("Administrator", &password, "ipconfig /all").await?;
    /// print!("{}", output.stdout);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`Error::Unsendable`] for a longer script; as `VM.call_plugin` otherwise, `VM_LACKS_FEATURE` where the agent
    /// cannot.
    pub fn run_script(
        &self,
        user: &str,
        password: &SecretString,
        script: &str,
    ) -> BoxFuture<'static, Result<ScriptOutput>> {
        let call = (script.len() <= LONGEST).then(|| {
            let arguments = [("username", user), ("password", password.expose()), ("script", script)];
            let arguments: Map<String, String> = arguments
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect();
            self.call_plugin("guest-agent-operation", "run-script", &arguments)
        });
        let size = script.len();
        Box::pin(async move {
            let Some(call) = call else {
                return Err(Error::Unsendable {
                    method: METHOD.into(),
                    reason: format!("the script has {size} bytes, and the server takes {LONGEST}").into(),
                });
            };
            read(&call.await?)
        })
    }
}

/// The answer is a JSON document in a text.
fn read(answer: &str) -> Result<ScriptOutput> {
    let odd = |source| Error::Decode(Box::new(DecodeError::new(METHOD, source)));
    let reply = format!(r#"{{"jsonrpc":"2.0","id":0,"result":{answer}}}"#);
    let document: Value = match decode_reply(Encoding::Json, reply.as_bytes()) {
        Ok(document) => document,
        Err(ReplyError::Decode(source)) => return Err(odd(source)),
        // It looks like a refusal, which would have come as one; what it lacks is told below.
        Err(_) => Value::Null,
    };
    let text = |name: &str| {
        document
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    Ok(ScriptOutput {
        exit_code: from_value(document.get("rc").unwrap_or(&Value::Null)).map_err(odd)?,
        stdout: text("stdout"),
        stderr: text("stderr"),
    })
}
