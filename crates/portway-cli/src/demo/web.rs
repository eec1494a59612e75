use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

/// The page that the program in the pod serves.
pub(crate) const PAGE: &str = include_str!("page.html");

/// Starts the program: a web server with one page, for as long as the runtime lives.
pub(crate) async fn start() -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let server = hyper::server::conn::http1::Builder::new();
            let connection = server.serve_connection(TokioIo::new(stream), service_fn(answer));
            tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "a reader of the page went away");
                }
            });
        }
    });
    Ok(address)
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    // The page is ready, a real one would not be.
    tokio::task::yield_now().await;
    let (status, kind, body) = match request.uri().path() {
        "/" => (StatusCode::OK, "text/html; charset=utf-8", PAGE),
        _ => (StatusCode::NOT_FOUND, "text/plain; charset=utf-8", "there is only one page: /\n"),
    };
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    Ok(response)
}

/// Gets the page over a connection that is open: its status and body.
pub(crate) async fn get(
    stream: TcpStream,
) -> Result<(StatusCode, Bytes), Box<dyn std::error::Error + Send + Sync>> {
    const LIMIT: usize = 1024 * 1024;
    let host = HeaderValue::try_from(stream.peer_addr()?.to_string())?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let mut request = Request::new(Empty::<Bytes>::new());
    request.headers_mut().insert(HOST, host);
    let response = sender.send_request(request).await?;
    let status = response.status();
    let body = Limited::new(response.into_body(), LIMIT).collect().await?.to_bytes();
    drop(sender);
    connection.await??;
    Ok((status, body))
}
