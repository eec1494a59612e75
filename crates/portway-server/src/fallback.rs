use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use http::request::Parts;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Frame, Incoming, SizeHint};
use portway_driver::proto::handshake::Peer;
use portway_driver::{Runtime, after, until};

use crate::{Admission, Pods, Server, Target, answer};

/// Answers what is not for a forward. A closure will do:
///
/// ```
/// use bytes::Bytes;
/// use http::{Request, Response};
/// use portway_server::Body;
///
/// let fallback = |request: Request<Bytes>| async move {
///     Response::new(Body::from(format!("there is no {}", request.uri().path())))
/// };
/// # fn is_one(_: impl portway_server::Fallback) {}
/// # is_one(fallback);
/// ```
///
/// It has the time of [`Limits::with_handshake`](crate::Limits::with_handshake) to answer; the body of
/// the answer may be a [stream](Body::stream) that takes as long as it likes.
pub trait Fallback: Send + Sync + 'static {
    /// Answers. What is known of the connection is in the request's extensions.
    fn answer(&self, request: Request<Bytes>) -> impl Future<Output = Response<Body>> + Send;
}

impl<F, A> Fallback for F
where
    F: Fn(Request<Bytes>) -> A + Send + Sync + 'static,
    A: Future<Output = Response<Body>> + Send,
{
    fn answer(&self, request: Request<Bytes>) -> impl Future<Output = Response<Body>> + Send {
        self(request)
    }
}

/// The body of a [`Fallback`]'s answer.
pub struct Body(Content);

enum Content {
    Whole(Option<Bytes>),
    Stream(Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>),
}

impl Body {
    /// Pieces that go out as they come. An error cuts the connection, so that the client does not
    /// take what it has for the whole.
    pub fn stream(pieces: impl Stream<Item = io::Result<Bytes>> + Send + 'static) -> Self {
        Self(Content::Stream(Box::pin(pieces)))
    }

    /// It may take longer than any answer should.
    pub(crate) const fn is_stream(&self) -> bool {
        matches!(self.0, Content::Stream(_))
    }
}

impl<T: Into<Bytes>> From<T> for Body {
    fn from(whole: T) -> Self {
        let whole = whole.into();
        Self(Content::Whole((!whole.is_empty()).then_some(whole)))
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match &mut self.get_mut().0 {
            Content::Whole(whole) => Poll::Ready(whole.take().map(|bytes| Ok(Frame::data(bytes)))),
            Content::Stream(pieces) => {
                pieces.as_mut().poll_next(cx).map(|piece| piece.map(|piece| piece.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.0, Content::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Content::Whole(whole) => {
                SizeHint::with_exact(whole.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Content::Stream(_) => SizeHint::new(),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Content::Whole(whole) => {
                let bytes = whole.as_ref().map_or(0, Bytes::len);
                f.debug_struct("Body").field("bytes", &bytes).finish()
            }
            Content::Stream(_) => f.debug_struct("Body").finish_non_exhaustive(),
        }
    }
}

impl<R: Runtime, P: Pods> Server<R, P> {
    /// Decides a request of a connection of our own, and answers what is not for a forward.
    pub(crate) async fn respond(
        &self,
        head: Parts,
        body: Incoming,
    ) -> Result<Admission<R, P>, Response<Body>> {
        let ours = Target::of_path(head.uri.path()).is_some() || self.is_in_api(&head);
        match self.settings.fallback.as_ref().filter(|_| !ours && self.is_welcome(&head)) {
            Some(fallback) => Err(self.fall_back(Arc::clone(fallback), head, body).await),
            None => self.decide(&head).await.map_err(|refusal| refusal.map(Body::from)),
        }
    }

    async fn fall_back(
        &self,
        fallback: Arc<dyn DynFallback>,
        head: Parts,
        body: Incoming,
    ) -> Response<Body> {
        let deadline = after(self.runtime.now(), self.settings.limits.handshake);
        let answering = async {
            let body = Limited::new(body, self.settings.limits.body).collect().await;
            let refusal = match body {
                Ok(body) => {
                    return fallback.ask(Request::from_parts(head, body.to_bytes())).await;
                }
                Err(error) if error.is::<LengthLimitError>() => answer::shaped(
                    Peer::Kubelet,
                    StatusCode::PAYLOAD_TOO_LARGE,
                    "the body of the request is too long",
                ),
                Err(error) => answer::bad_request(&format!("cannot read the request: {error}")),
            };
            refusal.map(Body::from)
        };
        until(&self.runtime, deadline, Box::pin(answering))
            .await
            .unwrap_or_else(|_| answer::timed_out(Peer::Kubelet).map(Body::from))
    }
}

/// A fallback of any type.
pub(crate) trait DynFallback: Send + Sync {
    fn ask(
        &self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Response<Body>> + Send + '_>>;
}

impl<F: Fallback> DynFallback for F {
    fn ask(
        &self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Response<Body>> + Send + '_>> {
        Box::pin(self.answer(request))
    }
}
