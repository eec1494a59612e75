use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_lite::{AsyncReadExt, AsyncWriteExt};

use crate::PodStream;

/// What listens on a port of a pod.
///
/// ```
/// use portway_testcluster::Program;
/// use tokio::io::AsyncWriteExt;
///
/// let greeter = Program::new(|mut stream| async move {
///     // Nobody may be there any more.
///     let _ = stream.write_all(b"hello\n").await;
/// });
/// ```
#[derive(Clone)]
pub struct Program(Does);

#[derive(Clone)]
pub(super) enum Does {
    Run(Arc<Run>),
    Dial(SocketAddr),
}

type Run = dyn Fn(PodStream) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync;

impl Program {
    /// Runs this with every connection, in a task of the cluster's runtime. The task ends with the
    /// pod.
    pub fn new<F, T>(run: F) -> Self
    where
        F: Fn(PodStream) -> T + Send + Sync + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        Self(Does::Run(Arc::new(move |stream| Box::pin(run(stream)))))
    }

    /// Whatever listens at this address of the machine, or beyond it.
    pub const fn dial(to: SocketAddr) -> Self {
        Self(Does::Dial(to))
    }

    /// Sends back what it gets, until the client's end.
    pub fn echo() -> Self {
        Self::careless(|mut stream| async move {
            let mut buffer = vec![0; BLOCK];
            loop {
                let read = stream.read(&mut buffer).await?;
                if read == 0 {
                    return stream.close().await;
                }
                stream.write_all(&buffer[..read]).await?;
            }
        })
    }

    /// A web server with one page: `GET /` brings it, everything else a 404.
    pub fn page(html: impl Into<Bytes>) -> Self {
        let html = html.into();
        Self::careless(move |stream| serve_page(stream, html.clone()))
    }

    /// Reads whatever comes, and answers with how many bytes it was behind the client's end.
    ///
    /// A container runtime does not pass a client's end on: say so by
    /// [`Builder::rules`](crate::Builder::rules), or do not wait for the answer.
    pub fn sink() -> Self {
        Self::careless(|mut stream| async move {
            let mut buffer = vec![0; BLOCK];
            let mut all = 0_u64;
            loop {
                let read = stream.read(&mut buffer).await?;
                if read == 0 {
                    break;
                }
                all += read as u64;
            }
            stream.write_all(all.to_string().as_bytes()).await?;
            stream.close().await
        })
    }

    /// Says this to everybody who connects, and ends.
    pub fn source(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self::careless(move |mut stream| {
            let bytes = bytes.clone();
            async move {
                stream.write_all(&bytes).await?;
                stream.close().await?;
                // To close over what the client has sent would be a reset.
                futures_lite::io::copy(&mut stream, futures_lite::io::sink()).await.map(drop)
            }
        })
    }

    /// A client that goes is the end of the connection, and nothing else.
    fn careless<F, T>(run: F) -> Self
    where
        F: Fn(PodStream) -> T + Send + Sync + 'static,
        T: Future<Output = io::Result<()>> + Send + 'static,
    {
        Self::new(move |stream| {
            let running = run(stream);
            async move {
                if let Err(error) = running.await {
                    tracing::debug!(%error, "a client of a pod's program went away");
                }
            }
        })
    }

    pub(super) const fn does(&self) -> &Does {
        &self.0
    }
}

/// What is read at once.
const BLOCK: usize = 64 * 1024;

/// HTTP, as much of it as one page needs: requests without bodies, one after the other.
async fn serve_page(mut stream: PodStream, html: Bytes) -> io::Result<()> {
    const LONGEST_HEAD: usize = 16 * 1024;
    let mut head = Vec::new();
    loop {
        let end = loop {
            if let Some(end) = head.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            let mut piece = [0; 1024];
            let read = stream.read(&mut piece).await?;
            if read == 0 || head.len() > LONGEST_HEAD {
                return stream.close().await;
            }
            head.extend_from_slice(&piece[..read]);
        };
        let request = String::from_utf8_lossy(&head[..end]).into_owned();
        head.drain(..end);
        let mut words = request.split_ascii_whitespace();
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let (status, kind, body) = match path {
            "/" => ("200 OK", "text/html; charset=utf-8", html.clone()),
            _ => (
                "404 Not Found",
                "text/plain; charset=utf-8",
                Bytes::from("there is only one page: /\n"),
            ),
        };
        let last = request.to_ascii_lowercase().contains("\r\nconnection: close");
        let connection = if last { "close" } else { "keep-alive" };
        let answer = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: {connection}\r\n\r\n",
            body.len()
        );
        stream.write_all(answer.as_bytes()).await?;
        if method != "HEAD" {
            stream.write_all(&body).await?;
        }
        if last {
            return stream.close().await;
        }
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Does::Run(_) => f.write_str("Program"),
            Does::Dial(to) => f.debug_tuple("Program").field(to).finish(),
        }
    }
}
