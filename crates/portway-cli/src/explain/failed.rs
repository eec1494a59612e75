use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use portway_cluster::{Destination, LookupError};
use portway_resolve::Kind;
use portway_tokio::proto::handshake::{Refusal, RefusalKind};
use portway_tokio::{ConnectError, DialError};

use super::{Role, not_found, user_in};
use crate::access::Access;
use crate::ask::Asker;
use crate::failure::Failure;
use crate::forward::OpenError;
use crate::wanted::Wanted;

/// Why a forward was not opened, what to do about it, and on a terminal the role to apply.
pub(crate) async fn failed(error: OpenError, wanted: &Wanted, access: &mut Access) -> Failure {
    /// The answer is only there to help.
    const PATIENCE: Duration = Duration::from_secs(3);
    if matches!(error, OpenError::Access(_)) {
        return Failure::new(error);
    }
    // It was there a moment ago.
    let Ok(cluster) = access.cluster(wanted.context.as_deref()).await else {
        return Failure::new(error);
    };
    let namespace = wanted.namespace.as_deref().unwrap_or(&cluster.namespace);
    let target =
        if let Destination::Object(target) = &wanted.destination { Some(target) } else { None };
    let mut text = error.to_string();
    if let OpenError::Lookup(error) = &error {
        text = cluster.explain(error);
        let asker = Asker::new(cluster.api(), PATIENCE);
        if let Some(target) = target
            && let Some(instead) = not_found(&asker, error, target, namespace).await
        {
            text = format!("{text}; {instead}");
        }
    }
    let Some(message) = denied(&error) else { return Failure::new(text) };
    let user = user_in(&message);
    let kind = target.map_or(Kind::Pod, |target| target.kind);
    let role = Role { namespace, kind, user: user.as_deref() };
    let advice = format!("For somebody who may grant it, kubectl apply -f FILE:\n{role}");
    let shown = format!("`portway check {}` shows the Role to apply", wanted.destination);
    Failure::new(format_args!("{text}; {shown}")).with_advice(advice)
}

/// What the server said to somebody whose role does not do.
fn denied(error: &OpenError) -> Option<Arc<str>> {
    let of = |refusal: &Refusal| {
        let forbidden = refusal.status() == StatusCode::FORBIDDEN;
        forbidden.then(|| refusal.message().into())
    };
    if let OpenError::Lookup(LookupError::Refused { refusal, .. }) = error {
        return of(refusal);
    }
    if let OpenError::Connect(ConnectError::Dial(DialError::Refused { refusal, .. })) = error
        && matches!(refusal.kind(), RefusalKind::Forbidden { .. })
    {
        return of(refusal);
    }
    None
}
