use tokio::io::{join, stdin, stdout};

use super::{Session, SessionError};
use crate::bridge::Bridge;

/// A bridge on standard input and output, as they are: who wants a terminal without echo sets it so first.
pub async fn stdio(bridge: &Bridge, session: &Session) -> Result<(), SessionError> {
    session.run(bridge, "standard input", join(stdin(), stdout())).await
}
