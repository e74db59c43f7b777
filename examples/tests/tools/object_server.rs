//! A server of S3 with one bucket in a folder, which checks signatures.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use s3s::Body;
use s3s::auth::SimpleAuth;
use s3s::service::{S3ServiceBuilder, SharedS3Service};
use s3s_fs::FileSystem;
use tokio::net::TcpListener;
use tokio::process::Command;

pub(crate) const KEY: &str = "the-key";
pub(crate) const SECRET: &str = "the-secret-of-the-key";

pub(crate) struct ObjectServer {
    url: String,
    root: PathBuf,
    requests: Arc<AtomicUsize>,
}

impl ObjectServer {
    /// `is_exclusive` is whether it knows of objects that are to be made only where there are none.
    pub(crate) async fn new(root: &Path, is_exclusive: bool) -> Self {
        fs::create_dir_all(root.join("bucket")).unwrap();
        let mut builder = S3ServiceBuilder::new(FileSystem::new(root).unwrap());
        builder.set_auth(SimpleAuth::from_single(KEY, SECRET));
        let service = builder.build().into_shared();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::<AtomicUsize>::default();
        let (root, count) = (root.to_owned(), Arc::clone(&requests));
        let served = root.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (service, root, count) = (service.clone(), served.clone(), Arc::clone(&count));
                let answer = service_fn(move |request| {
                    count.fetch_add(1, Ordering::Relaxed);
                    answer(service.clone(), root.clone(), is_exclusive, request)
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(socket), answer));
            }
        });
        Self { url, root, requests }
    }

    /// Tells a tool how to reach it, and with which secret.
    pub(crate) fn tell(&self, tool: &mut Command, secret: &str) {
        tool.env("AWS_ENDPOINT", &self.url)
            .env("AWS_ALLOW_HTTP", "true")
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", KEY)
            .env("AWS_SECRET_ACCESS_KEY", secret);
    }

    /// How many requests there were.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    /// Where the objects are.
    pub(crate) fn bucket(&self) -> PathBuf {
        self.root.join("bucket")
    }

    /// How many objects are being sent in parts.
    pub(crate) fn uploads(&self) -> usize {
        let entries = fs::read_dir(&self.root).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with(".upload")).count()
    }
}

async fn answer(
    service: SharedS3Service,
    root: PathBuf,
    is_exclusive: bool,
    request: Request<Incoming>,
) -> Result<Response<Body>, s3s::S3Error> {
    let only_new = request.method() == Method::PUT && request.headers().contains_key("if-none-match");
    if only_new && is_exclusive && root.join(request.uri().path().trim_start_matches('/')).exists() {
        let mut refused = Response::new(Body::empty());
        *refused.status_mut() = StatusCode::PRECONDITION_FAILED;
        return Ok(refused);
    }
    service.call(request).await
}
