use std::fmt;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use portway_driver::{HyperIo, Socket};

use super::ApiSocket;

/// The body of an answer, with the connection that it comes over: whoever reads it moves the connection,
/// and dropping it ends both. No task is behind it.
pub struct Answer<S: Socket> {
    body: Incoming,
    /// `None` once it is over.
    connection: Option<Pin<Box<Connection<S>>>>,
}

type Connection<S> = http1::Connection<HyperIo<ApiSocket<S>>, Full<Bytes>>;

impl<S: Socket> Answer<S> {
    /// Sends a request over a fresh connection. Takes as long as the server does: the caller bounds it.
    pub(super) async fn to(
        io: ApiSocket<S>,
        request: Request<Bytes>,
    ) -> Result<Response<Self>, CutShort> {
        let builder = http1::Builder::new();
        let (mut sender, connection) = builder.handshake(HyperIo::new(io)).await?;
        let mut connection = Some(Box::pin(connection));
        let mut asking = pin!(sender.send_request(request.map(Full::new)));
        let response = std::future::poll_fn(|cx| {
            loop {
                if let Poll::Ready(response) = asking.as_mut().poll(cx) {
                    return Poll::Ready(response);
                }
                std::task::ready!(drive(&mut connection, cx));
            }
        });
        Ok(response.await?.map(|body| Self { body, connection }))
    }
}

/// Ready once it is over; pending for ever after that.
fn drive<S: Socket>(
    connection: &mut Option<Pin<Box<Connection<S>>>>,
    cx: &mut Context<'_>,
) -> Poll<()> {
    let Some(open) = connection else { return Poll::Pending };
    let result = std::task::ready!(open.as_mut().poll(cx));
    if let Err(error) = result {
        tracing::debug!(%error, "HTTP connection ended");
    }
    *connection = None;
    Poll::Ready(())
}

impl<S: Socket> Body for Answer<S> {
    type Data = Bytes;
    type Error = CutShort;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CutShort>>> {
        loop {
            if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
                return Poll::Ready(frame.map(|frame| frame.map_err(CutShort::from)));
            }
            std::task::ready!(drive(&mut self.connection, cx));
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<S: Socket> fmt::Debug for Answer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("over", &self.connection.is_none()).finish_non_exhaustive()
    }
}

/// An answer that did not come, or not whole.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{problem}")]
#[non_exhaustive]
pub struct CutShort {
    problem: String,
}

impl From<hyper::Error> for CutShort {
    fn from(error: hyper::Error) -> Self {
        // The cause says what, the error itself only where.
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        Self { problem: cause.unwrap_or_else(|| error.to_string()) }
    }
}
