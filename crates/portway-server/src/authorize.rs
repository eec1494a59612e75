use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;

use http::header::AUTHORIZATION;
use http::{Extensions, HeaderMap, Method, StatusCode};
use portway_driver::Port;
use portway_driver::proto::handshake::{self, BearerError};

use crate::{Action, Target};

/// Says who may reach which pod. A closure will do:
///
/// ```
/// use portway_server::{Access, Verdict};
///
/// let authorizer = |access: Access| async move {
///     match access.bearer_token() {
///         Ok(Some(token)) if token == "jane's" && access.target.namespace == "jane" => Verdict::Allow,
///         Ok(Some(token)) if token == "jane's" => Verdict::Forbidden { user: "jane".into() },
///         _ => Verdict::Unauthorized,
///     }
/// };
/// # fn is_one(_: impl portway_server::Authorize) {}
/// # is_one(authorizer);
/// ```
///
/// It is asked before anything else about the request is told to the client, and has the time of
/// [`Limits::with_handshake`](crate::Limits::with_handshake).
///
/// # Some ports only
///
/// **What kubectl speaks names its ports after it was let in**: each stream says its own, so there is
/// nothing to look at in the request ([`WantedPorts::Any`](crate::WantedPorts::Any)), and
/// [`Verdict::Allow`] is every port of the pod. Who may reach some ports only gets
/// [`Verdict::AllowPorts`], which holds for what the request names and for every stream that comes
/// later:
///
/// ```
/// use portway_driver::Port;
/// use portway_server::{Access, Verdict};
///
/// const WEB: Port = Port::new(80).expect("not zero");
/// let authorizer = |_: Access| async { Verdict::AllowPorts(vec![WEB]) };
/// # fn is_one(_: impl portway_server::Authorize) {}
/// # is_one(authorizer);
/// ```
pub trait Authorize: Send + Sync + 'static {
    /// Decides.
    fn authorize(&self, access: Access) -> impl Future<Output = Verdict> + Send;
}

impl<F, V> Authorize for F
where
    F: Fn(Access) -> V + Send + Sync + 'static,
    V: Future<Output = Verdict> + Send,
{
    fn authorize(&self, access: Access) -> impl Future<Output = Verdict> + Send {
        self(access)
    }
}

/// What a client wants.
#[derive(Clone)]
#[non_exhaustive]
pub struct Access {
    /// The pod.
    pub target: Target,
    /// What is to be done with it.
    pub action: Action,
    /// The method of the request.
    pub method: Method,
    /// The headers of the request.
    pub headers: HeaderMap,
    /// What is known of its connection beside that: see
    /// [`Server::serve_with`](crate::Server::serve_with).
    pub extensions: Extensions,
    /// Where it came from, if known: see [`ClientAddr`].
    pub client: Option<SocketAddr>,
}

/// Where a request came from: put it into the extensions of a request that a gateway hands in, and it
/// is in [`Access::client`] and in events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)]
pub struct ClientAddr(pub SocketAddr);

impl Access {
    /// The verb that Kubernetes would ask for: [`Action::verb`].
    pub fn verb(&self) -> &'static str {
        self.action.verb(&self.method)
    }

    /// The resource with its subresource: [`Action::resource`].
    pub const fn resource(&self) -> &'static str {
        self.action.resource()
    }

    /// The token of `Authorization: Bearer`, or the one that a browser hid among the subprotocols
    /// (protocol.md A.3).
    ///
    /// # Errors
    /// The latter is there and malformed: Kubernetes answers 401.
    pub fn bearer_token(&self) -> Result<Option<String>, BearerError> {
        bearer_token(&self.headers)
    }
}

/// The token in the headers of any request: see [`Access::bearer_token`].
///
/// # Errors
/// The same.
pub fn bearer_token(headers: &HeaderMap) -> Result<Option<String>, BearerError> {
    let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = header.and_then(|value| {
        let (scheme, token) = value.trim().split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
    });
    match token.filter(|token| !token.is_empty()) {
        Some(token) => Ok(Some(token)),
        None => handshake::bearer_token(headers),
    }
}

impl fmt::Debug for Access {
    /// Without the headers: they hold tokens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("target", &self.target)
            .field("action", &self.action)
            .field("method", &self.method)
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}

/// Whether a client may.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// All of it. For a forward that is **every port of the pod**, also where the request named none
    /// ([`WantedPorts::Any`](crate::WantedPorts::Any)).
    Allow,
    /// These ports only, whatever the wire form. A request that names others is forbidden; where
    /// streams name their ports later, the others fail one by one and the pod is not dialled.
    AllowPorts(Vec<Port>),
    /// Nobody knows who this is: 401.
    Unauthorized,
    /// This user may not: 403, in the words of Kubernetes' own authorizer.
    Forbidden {
        /// The name of the user, which the client gets to read.
        user: String,
    },
    /// Something else: this status, and this text.
    Deny {
        /// 400 or above.
        status: StatusCode,
        /// What the client gets to read.
        message: String,
    },
}

/// An authorizer of any type.
pub(crate) trait DynAuthorize: Send + Sync {
    fn ask(&self, access: Access) -> Pin<Box<dyn Future<Output = Verdict> + Send + '_>>;
}

impl<A: Authorize> DynAuthorize for A {
    fn ask(&self, access: Access) -> Pin<Box<dyn Future<Output = Verdict> + Send + '_>> {
        Box::pin(self.authorize(access))
    }
}
