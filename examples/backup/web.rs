//! What object stores leave out of WebDAV: passwords, files that do not fit into memory, and folders that go.

use std::env;
use std::io;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::stream;
use object_store::http::HttpBuilder;
use object_store::path::Path;
use object_store::{ClientOptions, ObjectStore, ObjectStoreExt as _, PutPayload};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Body, Client};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use url::{Position, Url};
use xenapi_examples::note;

use crate::bucket::{Bucket, TIMEOUT};

/// How many pieces may lie between the pool and the server.
const BETWEEN: usize = 16;

/// A WebDAV server.
pub(crate) struct Web {
    root: Url,
    client: Client,
}

impl Web {
    pub(crate) fn at(url: &Url) -> anyhow::Result<Self> {
        let client = Client::builder()
            .default_headers(headers()?)
            .https_only(!allows_http())
            .build()?;
        Ok(Self {
            root: root(url)?,
            client,
        })
    }

    fn url(&self, path: &Path) -> anyhow::Result<Url> {
        let mut url = self.root.clone();
        let mut segments = url.path_segments_mut().map_err(|()| anyhow!("a URL without a path"))?;
        segments.extend(path.parts().map(|part| part.as_ref().to_owned()));
        drop(segments);
        Ok(url)
    }

    /// Takes an empty folder away, which other stores do not have.
    pub(crate) async fn remove_folder(&self, path: &Path) -> anyhow::Result<()> {
        let mut url = self.url(path)?;
        url.set_path(&format!("{}/", url.path()));
        self.client.delete(url).send().await?.error_for_status()?;
        Ok(())
    }
}

/// The server as an object store.
pub(crate) fn store(url: &Url) -> anyhow::Result<(Arc<dyn ObjectStore>, Path)> {
    let options = ClientOptions::new()
        .with_default_headers(headers()?)
        .with_timeout(TIMEOUT)
        .with_allow_http(allows_http());
    let store = HttpBuilder::new()
        .with_url(root(url)?)
        .with_client_options(options)
        .build()?;
    Ok((Arc::new(store), Path::from_url_path(url.path())?))
}

fn root(url: &Url) -> anyhow::Result<Url> {
    Ok(Url::parse(&url[..Position::BeforePath])?)
}

fn allows_http() -> bool {
    env::var("WEBDAV_ALLOW_HTTP").is_ok_and(|said| said == "true")
}

/// Who asks, if that is said.
fn headers() -> anyhow::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    let (user, password) = (env::var("WEBDAV_USER"), env::var("WEBDAV_PASSWORD"));
    if let (Ok(user), Ok(password)) = (user, password) {
        let basic = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
        let mut value = HeaderValue::try_from(basic)?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    Ok(headers)
}

/// A file that is sent as it comes. One that is not finished is taken back.
pub(crate) struct NewWebFile {
    bucket: Arc<Bucket>,
    key: String,
    pieces: Option<mpsc::Sender<Bytes>>,
    request: Option<JoinHandle<reqwest::Result<reqwest::Response>>>,
    is_finished: bool,
}

impl NewWebFile {
    pub(crate) async fn begin(bucket: &Arc<Bucket>, web: &Web, key: &str) -> anyhow::Result<Self> {
        let path = bucket.path(key);
        // The store makes the folders that are missing.
        let empty = bucket.store.put(&path, PutPayload::new()).await;
        empty.map_err(|error| bucket.failed(key, error))?;
        let (pieces, received) = mpsc::channel(BETWEEN);
        let body = stream::unfold(received, async |mut received| {
            let piece: Bytes = received.recv().await?;
            Some((io::Result::Ok(piece), received))
        });
        let request = web.client.put(web.url(&path)?).body(Body::wrap_stream(body));
        Ok(Self {
            bucket: Arc::clone(bucket),
            key: key.to_owned(),
            pieces: Some(pieces),
            request: Some(tokio::spawn(request.send())),
            is_finished: false,
        })
    }

    pub(crate) async fn write(&mut self, bytes: Bytes) -> anyhow::Result<()> {
        let pieces = self.pieces.as_ref().context("the file is finished")?;
        if pieces.send(bytes).await.is_err() {
            self.answered().await?;
            return Err(anyhow!("{}: the server took a part of it", self.bucket.name(&self.key)));
        }
        Ok(())
    }

    pub(crate) async fn finish(mut self) -> anyhow::Result<()> {
        self.pieces = None;
        self.answered().await?;
        self.is_finished = true;
        Ok(())
    }

    async fn answered(&mut self) -> anyhow::Result<()> {
        let request = self.request.take().context("the server has answered already")?;
        let answer = request.await?.and_then(|answer| answer.error_for_status());
        answer.map(|_| ()).map_err(|error| self.bucket.failed(&self.key, error))
    }
}

impl Drop for NewWebFile {
    fn drop(&mut self) {
        if self.is_finished {
            return;
        }
        let (bucket, key) = (Arc::clone(&self.bucket), self.key.clone());
        let (request, pieces) = (self.request.take(), self.pieces.take());
        self.bucket.tidy_up(async move {
            // Before the pieces end, which would look like the end of the file.
            if let Some(request) = request {
                request.abort();
                let _ = request.await;
            }
            drop(pieces);
            if let Err(error) = bucket.delete(&bucket.path(&key)).await {
                note(format!("{} is left: {error}", bucket.name(&key)));
            }
        });
    }
}
