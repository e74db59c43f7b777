//! What a server knows, and what a session may do there.

mod lifecycle;
mod messages;

use std::collections::HashSet;

use self::lifecycle::{Version, facts};
use crate::{Call, Client, Ref, Result, Session};

/// What a server knows and what this session may do, as it was when it was asked; see [`Client::capabilities`].
#[derive(Clone, Debug)]
pub struct Capabilities {
    methods: HashSet<String>,
    /// What failed as unknown since this client logged in.
    unknown: HashSet<String>,
    /// What the session may do, in lower case; `None` for everything.
    permissions: Option<HashSet<String>>,
    version: Version,
}

impl Client {
    /// Asks which messages the server knows and what this session may do. Four calls.
    ///
    /// ```no_run
    /// # async fn plan(pool: xenapi::Client) -> xenapi::Result<()> {
    /// let able = pool.capabilities().await?;
    /// if !able.supports("VM.sysprep") {
    ///     println!("xapi {} cannot prepare Windows", able.xapi_version().unwrap_or("of unknown version"));
    /// }
    /// for method in able.forbidden(["VM.start", "VM.snapshot", "SR.create"]) {
    ///     println!("this user may not call {method}");
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As any call.
    #[doc(alias = "system.listMethods")]
    pub async fn capabilities(&self) -> Result<Capabilities> {
        let methods: Vec<String> = Call::new(self.connection(), "system.listMethods").await?;
        Ok(Capabilities {
            methods: methods.into_iter().collect(),
            unknown: self.connection().refused_methods(),
            permissions: self.permissions().await?,
            version: self.version().await?,
        })
    }

    async fn permissions(&self) -> Result<Option<HashSet<String>>> {
        let session: Ref<Session> = self.session_reference().expose().parse().unwrap_or_default();
        let session = self.session(session);
        if session.is_local_superuser().await? {
            return Ok(None);
        }
        let permissions = session.rbac_permissions().await?;
        Ok(Some(permissions.iter().map(|name| name.to_ascii_lowercase()).collect()))
    }

    async fn version(&self) -> Result<Version> {
        let pools = self.pools().all_records().await?;
        let coordinator = pools.values().next().map(|pool| pool.master).unwrap_or_default();
        let host = self.host(coordinator).record().await?;
        Ok(Version {
            api: (host.api_version_major, host.api_version_minor),
            xapi: host.software_version.get("xapi").cloned(),
        })
    }
}

impl Capabilities {
    /// Whether the server knows a message, for example `VM.snapshot` (with or without `Async.`): it lists it, has not
    /// refused it as unknown, and the datamodel does not say that this version has lost it.
    pub fn supports(&self, method: &str) -> bool {
        let method = method.strip_prefix("Async.").unwrap_or(method);
        let is_gone = facts(method).is_some_and(|facts| facts.is_removed_in(&self.version));
        if self.unknown.contains(method) || is_gone {
            return false;
        }
        if self.methods.is_empty() {
            return facts(method).is_some_and(|facts| facts.is_there_in(&self.version));
        }
        self.methods.contains(method)
    }

    /// Whether this session may call a message, or use an HTTP handler by its name (`http/get_export`). Messages on
    /// single keys of a map can be allowed more widely than this says.
    pub fn may(&self, method: &str) -> bool {
        let method = method.strip_prefix("Async.").unwrap_or(method).to_ascii_lowercase();
        match &self.permissions {
            None => true,
            Some(permissions) => permissions.contains(&method),
        }
    }

    /// Those of these messages that this session may not call: a dry run before the first of them is sent.
    pub fn forbidden<'a>(&self, methods: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
        methods.into_iter().filter(|method| !self.may(method)).collect()
    }

    /// The least role for a message, as the datamodel of this crate has it: `read-only`, `vm-operator`, `vm-admin`,
    /// `vm-power-admin`, `pool-operator` or `pool-admin`; `local-root` where no role may call it.
    pub fn least_role(&self, method: &str) -> Option<&'static str> {
        facts(method).map(|facts| facts.least_role)
    }

    /// The release that a message first appeared in, as the datamodel of this crate has it: a code name (`rio` for
    /// XenServer 4.0) or a version of xapi (`22.5.0`).
    pub fn since(&self, method: &str) -> Option<&'static str> {
        facts(method).map(|facts| facts.since)
    }

    /// The major and minor version of the API.
    pub fn api_version(&self) -> (i64, i64) {
        self.version.api
    }

    /// The version of xapi, for example `26.17.0`, where the server says it.
    pub fn xapi_version(&self) -> Option<&str> {
        self.version.xapi.as_deref()
    }
}
