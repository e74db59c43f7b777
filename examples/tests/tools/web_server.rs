//! A WebDAV server of a folder, for who knows the password.

use std::fs;
use std::path::Path;

use dav_server::body::Body;
use dav_server::fakels::FakeLs;
use dav_server::localfs::LocalFs;
use dav_server::{DavConfig, DavHandler};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// `the-user` and `the-password`.
const AUTHORIZATION: &str = "Basic dGhlLXVzZXI6dGhlLXBhc3N3b3Jk";

/// Answers with its URL.
pub(crate) async fn serve(root: &Path) -> String {
    fs::create_dir_all(root).unwrap();
    let files = LocalFs::new(root, false, false, false);
    let config: DavConfig = DavHandler::builder().filesystem(files).locksystem(FakeLs::new());
    let handler = config.build_handler();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let handler = handler.clone();
            let answer = service_fn(move |request| answer(handler.clone(), request));
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(socket), answer));
        }
    });
    url
}

async fn answer(handler: DavHandler, request: Request<Incoming>) -> Result<Response<Body>, std::convert::Infallible> {
    if request
        .headers()
        .get("authorization")
        .is_none_or(|said| said != AUTHORIZATION)
    {
        let mut refused = Response::new(Body::empty());
        *refused.status_mut() = StatusCode::UNAUTHORIZED;
        return Ok(refused);
    }
    Ok(handler.handle(request).await)
}
