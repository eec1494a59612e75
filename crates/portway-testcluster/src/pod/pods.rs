use std::sync::Arc;

use http::StatusCode;
use portway_driver::{Net, Port, Runtime};
use portway_server::{NoPod, PodError, Pods, Target};

use super::{Lie, Running};
use crate::line::Line;
use crate::state::{Key, Shared, text, uid};

/// The cluster's pods, for the server to forward to.
#[derive(Debug)]
pub(crate) struct ClusterPods<R> {
    pub(crate) runtime: R,
    pub(crate) shared: Arc<Shared>,
}

impl<R: Runtime + Net> Pods for ClusterPods<R> {
    type Pod = Arc<Running>;
    type Socket = Line<R::Socket>;

    async fn find(&self, target: &Target) -> Result<Arc<Running>, NoPod> {
        let running = self.look_up(target)?;
        match running.lie() {
            Some(Lie::Gone) => {
                let message = "pod does not exist".to_owned();
                Err(NoPod::KubeletAnswer { status: StatusCode::NOT_FOUND, message })
            }
            Some(Lie::Answers(status, message)) => Err(NoPod::KubeletAnswer { status, message }),
            Some(Lie::Silent) => std::future::pending().await,
            Some(Lie::Refuses | Lie::Hangs | Lie::Ends | Lie::ResetsAfter(_)) | None => Ok(running),
        }
    }

    async fn dial(&self, pod: &Arc<Running>, port: Port) -> Result<Line<R::Socket>, PodError> {
        pod.dial(&self.runtime, port).await
    }
}

impl<R> ClusterPods<R> {
    fn look_up(&self, target: &Target) -> Result<Arc<Running>, NoPod> {
        let state = self.shared.read();
        let key = Key::pod(&target.namespace, &target.pod);
        let pod = state.get(&key).ok_or(NoPod::Unknown)?;
        if target.uid.as_deref().is_some_and(|asked| asked != uid(pod)) {
            return Err(NoPod::OtherUid);
        }
        if text(pod, "/spec/nodeName").is_empty() {
            return Err(NoPod::Unscheduled);
        }
        state.running(&key).cloned().ok_or(NoPod::Unknown)
    }
}
