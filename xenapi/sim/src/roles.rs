//! What the roles may do.

use std::fmt;
use std::str::FromStr;

use crate::error::{ApiError, Result};
use crate::schema;
use crate::tables::HTTP_ACTIONS;

/// A role of a user, from the one that may do everything to the one that may only look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// May do everything.
    PoolAdmin,
    /// May do everything but manage users and log in to the control domain.
    PoolOperator,
    /// May do everything with VMs, also choose their host.
    VmPowerAdmin,
    /// May create, change and remove VMs.
    VmAdmin,
    /// May start and stop VMs and use their consoles.
    VmOperator,
    /// May look at everything.
    ReadOnly,
}

impl Role {
    /// All roles, the mightiest first.
    pub const ALL: [Self; 6] = [
        Self::PoolAdmin,
        Self::PoolOperator,
        Self::VmPowerAdmin,
        Self::VmAdmin,
        Self::VmOperator,
        Self::ReadOnly,
    ];

    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PoolAdmin => "pool-admin",
            Self::PoolOperator => "pool-operator",
            Self::VmPowerAdmin => "vm-power-admin",
            Self::VmAdmin => "vm-admin",
            Self::VmOperator => "vm-operator",
            Self::ReadOnly => "read-only",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }

    /// Whether the role may do what the named one is the least for. What is for hosts alone nobody may do.
    fn reaches(self, least: &str) -> bool {
        Self::named(least).is_some_and(|least| self <= least)
    }

    /// The names of all messages that the role may call, and of the HTTP handlers that it may use, as sessions list
    /// them.
    pub(crate) fn permissions(self) -> Vec<String> {
        let messages = schema::methods()
            .filter(|method| self.reaches(method.message.role))
            .map(|method| method.name().to_lowercase());
        let handlers = HTTP_ACTIONS
            .iter()
            .filter(|action| self.reaches(action.role))
            .map(|action| format!("http/{}", action.name));
        messages.chain(handlers).collect()
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is no role: expected pool-admin, pool-operator, vm-power-admin, vm-admin, vm-operator or read-only")]
pub struct RoleError {
    name: String,
}

impl FromStr for Role {
    type Err = RoleError;

    fn from_str(name: &str) -> Result<Self, RoleError> {
        Self::named(name).ok_or_else(|| RoleError { name: name.to_owned() })
    }
}

/// Complains unless the role may do what `least` is the least role for; without a role everything is allowed, as it
/// is to the superuser.
pub(crate) fn check(role: Option<Role>, least: &str, permission: &str) -> Result<()> {
    if role.is_none_or(|role| role.reaches(least)) {
        return Ok(());
    }
    let able = Role::ALL.into_iter().filter(|role| role.reaches(least));
    let able: Vec<_> = able.map(Role::as_str).collect();
    let message = format!(
        "No permission in user session. (Roles with this permission: {})",
        able.join(", ")
    );
    Err(ApiError::new("RBAC_PERMISSION_DENIED", [permission, &message]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_may_do_what_lesser_roles_may() {
        assert!(check(Some(Role::VmAdmin), "vm-operator", "vm.start").is_ok());
        assert!(check(None, "pool-admin", "subject.create").is_ok());
        let denied = check(Some(Role::VmOperator), "vm-power-admin", "vm.import").unwrap_err();
        let message = "No permission in user session. (Roles with this permission: pool-admin, pool-operator, \
                       vm-power-admin)";
        assert_eq!(denied, ApiError::new("RBAC_PERMISSION_DENIED", ["vm.import", message]));
    }

    #[test]
    fn names_are_read_back() {
        for role in Role::ALL {
            assert_eq!(role.to_string().parse(), Ok(role));
        }
        assert!("root".parse::<Role>().is_err());
    }

    #[test]
    fn lesser_roles_have_fewer_permissions() {
        let counts = Role::ALL.map(|role| role.permissions().len());
        assert!(counts.is_sorted_by(|more, fewer| more > fewer), "{counts:?}");
    }
}
