//! Backups in a bucket of an object store.

use std::collections::BTreeSet;
use std::env;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt as _, ObjectStoreScheme, PutPayload};
use tokio::sync::OnceCell;
use tokio::task::JoinSet;
use url::Url;
use xenapi_examples::AnyDisk;
use xva::ObjectAt;

use crate::web::{self, Web};

/// How much is read at once, and how many such reads are under way.
const PIECE: u64 = 4 << 20;
const AHEAD: usize = 4;

/// What the variables of the stores begin with. Others, such as `TOKEN`, are somebody else's.
const VARIABLES: [&str; 3] = ["AWS_", "AZURE_", "GOOGLE_"];

/// How long a request may take: the part of a big disk takes long on a slow line.
pub(super) const TIMEOUT: Duration = Duration::from_secs(300);

pub(crate) struct Bucket {
    url: Url,
    pub(super) store: Arc<dyn ObjectStore>,
    prefix: Path,
    /// Where it is a WebDAV server.
    pub(super) web: Option<Web>,
    /// Whether the store makes an object only where there is none, if asked to; once that is known.
    pub(super) is_exclusive: OnceCell<bool>,
    /// What goes on after somebody has dropped what it is about.
    tidying: Mutex<JoinSet<()>>,
}

impl Bucket {
    pub(crate) fn at(url: &str) -> anyhow::Result<Self> {
        // The URL is not shown before it is known to hold no secret.
        let url = Url::parse(url).context("--to looks like a URL, and is none")?;
        ensure!(
            url.password().is_none() && url.query().is_none(),
            "the URL of --to holds a password or a key, which every user of the machine can read: put it into a variable \
             such as AWS_SECRET_ACCESS_KEY, AZURE_STORAGE_SAS_KEY, GOOGLE_SERVICE_ACCOUNT or WEBDAV_PASSWORD"
        );
        match url.scheme() {
            "s3" | "s3a" | "gs" | "az" | "adl" | "azure" | "abfs" | "abfss" | "http" | "https" => {}
            other => {
                bail!("{other}:// is no object store: say s3://, az://, gs://, http:// or https://, or a folder's path")
            }
        }
        // Another one may be there already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (store, prefix) = open(&url)?;
        Ok(Self {
            web: is_web(&url).then(|| Web::at(&url)).transpose()?,
            url,
            store,
            prefix,
            is_exclusive: OnceCell::new(),
            tidying: Mutex::default(),
        })
    }

    pub(crate) fn name(&self, key: &str) -> String {
        let url = self.url.as_str().trim_end_matches('/');
        match key {
            "" => url.to_owned(),
            key => format!("{url}/{key}"),
        }
    }

    pub(super) fn path(&self, key: &str) -> Path {
        let parts = key.split('/').filter(|part| !part.is_empty());
        parts.fold(self.prefix.clone(), |path, part| path.join(part))
    }

    pub(crate) async fn folders(&self, key: &str) -> anyhow::Result<Vec<String>> {
        let path = self.path(key);
        let listed = match self.store.list_with_delimiter(Some(&path)).await {
            // Web servers say so of a folder that is not there.
            Err(Error::NotFound { .. }) if self.web.is_some() => return Ok(Vec::new()),
            listed => listed.map_err(|error| self.failed(key, error))?,
        };
        let below = |found: &Path| -> Option<(String, bool)> {
            let mut parts = found.prefix_match(&path)?;
            let name = parts.next()?.as_ref().to_owned();
            Some((name, parts.next().is_some()))
        };
        let folders = listed
            .common_prefixes
            .iter()
            .filter_map(|folder| Some(below(folder)?.0));
        // Some servers do not know of folders, and list all there is.
        let deeper = listed.objects.iter().filter_map(|object| below(&object.location));
        let deeper = deeper.filter_map(|(name, is_deeper)| is_deeper.then_some(name));
        let names: BTreeSet<String> = folders.chain(deeper).collect();
        Ok(names.into_iter().collect())
    }

    pub(crate) async fn read(&self, key: &str) -> anyhow::Result<Option<String>> {
        let read = async { self.store.get(&self.path(key)).await?.bytes().await };
        let bytes = match read.await {
            Err(Error::NotFound { .. }) => return Ok(None),
            bytes => bytes.map_err(|error| self.failed(key, error))?,
        };
        let text = String::from_utf8(bytes.into());
        text.map(Some).with_context(|| format!("{} is damaged", self.name(key)))
    }

    pub(crate) async fn write(&self, key: &str, text: String) -> anyhow::Result<()> {
        let put = self.store.put(&self.path(key), PutPayload::from(text)).await;
        put.map(|_| ()).map_err(|error| self.failed(key, error))
    }

    pub(crate) async fn open(&self, key: &str) -> anyhow::Result<AnyDisk> {
        // Connections belong to the runtime that made them, and the object has one of its own.
        let (store, _) = open(&self.url)?;
        let path = self.path(key);
        let object = tokio::task::spawn_blocking(move || ObjectAt::open(store, path)).await?;
        Ok(Box::new(
            object.with_context(|| format!("cannot open {}", self.name(key)))?,
        ))
    }

    pub(crate) async fn each_piece(&self, key: &str, mut take: impl FnMut(&[u8]) + Send) -> anyhow::Result<()> {
        let path = self.path(key);
        let read = async {
            let size = self.store.head(&path).await?.size;
            // In ranges, as no request lives as long as it takes to fetch a disk.
            let ranges = (0..size.div_ceil(PIECE)).map(|number| number * PIECE..((number + 1) * PIECE).min(size));
            let mut pieces = stream::iter(ranges.map(|range| self.store.get_range(&path, range))).buffered(AHEAD);
            while let Some(piece) = pieces.try_next().await? {
                take(&piece);
            }
            Ok::<_, Error>(())
        };
        read.await.map_err(|error| self.failed(key, error))
    }

    pub(crate) async fn remove(&self, key: &str, first: &str) -> anyhow::Result<()> {
        let path = self.path(key);
        let removed = async {
            // There are no folders below, and not every web server looks there.
            let listed = self.store.list_with_delimiter(Some(&path)).await?;
            let mut objects: Vec<Path> = listed.objects.into_iter().map(|object| object.location).collect();
            let first = path.clone().join(first);
            objects.sort_by_key(|object| *object != first);
            for object in objects {
                self.delete(&object).await?;
            }
            Ok::<_, Error>(())
        };
        removed.await.map_err(|error| self.failed(key, error))?;
        match &self.web {
            Some(web) => web.remove_folder(&path).await.with_context(|| self.name(key)),
            None => Ok(()),
        }
    }

    /// Deletes an object, whether or not it is there.
    pub(super) async fn delete(&self, path: &Path) -> object_store::Result<()> {
        match self.store.delete(path).await {
            Err(Error::NotFound { .. }) => Ok(()),
            deleted => deleted,
        }
    }

    /// What went wrong, with what to do about it.
    pub(super) fn failed<E: std::error::Error>(&self, key: &str, error: E) -> anyhow::Error {
        let said = once(&error);
        anyhow!("{}: {}{said}", self.name(key), hint(&said))
    }

    /// Goes on with some work that nobody waits for before [`Bucket::settle`].
    pub(super) fn tidy_up(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.tidying.lock().unwrap_or_else(PoisonError::into_inner).spawn(work);
    }

    pub(crate) async fn settle(&self) {
        let work = std::mem::take(&mut *self.tidying.lock().unwrap_or_else(PoisonError::into_inner));
        work.join_all().await;
    }
}

fn is_web(url: &Url) -> bool {
    matches!(ObjectStoreScheme::parse(url), Ok((ObjectStoreScheme::Http, _)))
}

fn open(url: &Url) -> anyhow::Result<(Arc<dyn ObjectStore>, Path)> {
    if is_web(url) {
        return web::store(url);
    }
    let variables =
        env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let variables = variables.filter(|(name, _)| VARIABLES.iter().any(|of_store| name.starts_with(of_store)));
    let timeout = ("timeout".to_owned(), format!("{} seconds", TIMEOUT.as_secs()));
    let options = std::iter::once(timeout).chain(variables);
    let (store, prefix) = object_store::parse_url_opts(url, options)
        .with_context(|| format!("{url} cannot be used; variables that begin with AWS_, AZURE_ or GOOGLE_ say how"))?;
    Ok((Arc::from(store), prefix))
}

/// An error with its causes, without those that it tells of itself.
fn once(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !said.contains(&more) {
            said = format!("{said}: {more}");
        }
        cause = error.source();
    }
    said
}

/// What to do about an error.
fn hint(said: &str) -> &'static str {
    let says = |words: &[&str]| words.iter().any(|word| said.contains(word));
    // The address where machines in a cloud are told theirs.
    if says(&["401 Unauthorized", "403 Forbidden", "169.254.169.254"]) {
        "the store refuses the credentials, or there are none; those for S3 are in AWS_ACCESS_KEY_ID and \
         AWS_SECRET_ACCESS_KEY, others in variables that begin with AZURE_, GOOGLE_ or WEBDAV_: "
    } else if says(&["URL scheme is not allowed"]) {
        "without TLS only where AWS_ALLOW_HTTP (or AZURE_, GOOGLE_, WEBDAV_) is true: "
    } else {
        ""
    }
}
