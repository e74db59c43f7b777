//! Errors as XenAPI reports them: a code and its parameters.

use std::borrow::Cow;

/// Why a call failed, as it goes over the wire.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}{params:?}")]
pub(crate) struct ApiError {
    pub(crate) code: Cow<'static, str>,
    pub(crate) params: Vec<String>,
}

pub(crate) type Result<T, E = ApiError> = std::result::Result<T, E>;

impl ApiError {
    pub(crate) fn new<const N: usize>(code: &'static str, params: [&str; N]) -> Self {
        Self {
            code: Cow::Borrowed(code),
            params: params.iter().map(|&text| text.to_owned()).collect(),
        }
    }

    pub(crate) fn owned(code: &str, params: &[String]) -> Self {
        Self {
            code: Cow::Owned(code.to_owned()),
            params: params.to_vec(),
        }
    }

    pub(crate) fn handle_invalid(class: &str, reference: &str) -> Self {
        Self::new("HANDLE_INVALID", [class, reference])
    }

    pub(crate) fn internal(text: &str) -> Self {
        Self::new("INTERNAL_ERROR", [text])
    }

    /// What the server says where an argument has the wrong type.
    pub(crate) fn failure(text: &str) -> Self {
        Self::internal(&format!("Failure({text:?})"))
    }

    /// A disk that cannot be read or written.
    pub(crate) fn device() -> Self {
        Self::new("VDI_IO_ERROR", ["Device I/O errors"])
    }

    /// As it stands in the page of a refusal.
    pub(crate) fn page_text(&self) -> String {
        format!("{}: [ {} ]", self.code, self.params.join("; "))
    }

    /// The code and the parameters as one list, which is how XML-RPC and `task.error_info` hold them.
    pub(crate) fn description(&self) -> Vec<String> {
        std::iter::once(self.code.clone().into_owned())
            .chain(self.params.iter().cloned())
            .collect()
    }
}
