//! Streams in both directions.

use std::time::Duration;

use futures_core::future::BoxFuture;
use tokio::io::AsyncReadExt;

use super::Handler;
use super::handler::MOST_OF_A_PAGE;
use crate::connection::{failed, http_error};
use crate::transport::Duplex;
use crate::{Connection, Result};

/// How long the page of a host that opens no stream may take.
const PAGE_LIMIT: Duration = Duration::from_secs(5);

impl Handler {
    /// Opens a stream in both directions, as `/console` is: over `CONNECT`, without a task.
    ///
    /// # Errors
    /// As a download; [`Error::Http`](crate::Error::Http) where the host says no.
    pub fn tunnel(self, connection: &Connection) -> BoxFuture<'static, Result<Box<dyn Duplex>>> {
        Box::pin(self.dig(connection.clone()))
    }

    async fn dig(self, connection: Connection) -> Result<Box<dyn Duplex>> {
        let base = self.first_host(&connection).await?;
        let mut request = self.request(&connection, &base, None, (), None)?;
        *request.method_mut() = http::Method::CONNECT;
        let session = connection.current_session();
        let response = connection.transport().connect(request).await;
        let response = response.map_err(|error| failed(self.path, &base, error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response.into_body());
        }
        let page = refusal(response.into_body()).await;
        Err(http_error(self.path, status.as_u16(), &page, &[&session.reference]))
    }
}

/// Enough of what a host says in place of a stream.
async fn refusal(body: Box<dyn Duplex>) -> Vec<u8> {
    let mut page = Vec::new();
    let mut beginning = body.take(MOST_OF_A_PAGE as u64);
    let reading = beginning.read_to_end(&mut page);
    // What came until then is as good as any.
    let _ = tokio::time::timeout(PAGE_LIMIT, reading).await;
    page
}
