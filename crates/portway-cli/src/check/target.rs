use portway_cluster::{Api, LookupError};
use portway_resolve::object::Pod;
use portway_tokio::Connector;
use serde::Deserialize;
use serde_json::Value;

use super::{Finding, PodState, Said, Subject, Target};
use crate::args::CheckArgs;
use crate::ask::Asker;
use crate::explain;

/// Which pod the target leads to, and how it is. `None`: there is none to forward to.
pub(crate) async fn look<A: Api>(
    target: &Target,
    asker: &Asker<A>,
    args: &CheckArgs,
    namespace: &str,
    said: &mut Said,
) -> Option<()> {
    let name = args.target.to_string();
    let of = |pod| Subject::Target { target: name.clone(), pod };
    if let Err(error) = target.mappings(&[]).await {
        let pod = match pod_of(&error) {
            Some(pod) => read(asker, namespace, pod).await.ok(),
            None => None,
        };
        let why = pod.as_ref().and_then(|(_, why)| why.clone());
        let near = explain::not_found(asker, &error, &args.target, namespace).await;
        let more = why.or(near).map(|more| format!("; {more}")).unwrap_or_default();
        said.tell(&Finding::fail(of(pod.map(|(state, _)| state)), format_args!("{error}{more}")));
        return None;
    }
    let found = match target.resolve(&[]).await {
        Ok(found) => found,
        Err(error) => {
            said.tell(&Finding::fail(of(None), error));
            return None;
        }
    };
    said.tell(&match read(asker, namespace, &found.pod).await {
        Ok((state, _)) if state.ready => Finding::ok(of(Some(state))),
        Ok((state, why)) => {
            let why = why.unwrap_or_else(|| "it does not say why".to_owned());
            let problem = format!("a forward leads there all the same; {why}");
            Finding::note(of(Some(state)), problem)
        }
        Err(error) => Finding::note(of(None), format_args!("leads to pod {}; {error}", found.pod)),
    });
    Some(())
}

/// The pod that an error is about.
fn pod_of(error: &LookupError) -> Option<&str> {
    if let LookupError::NotRunning { pod, .. }
    | LookupError::Leaving { pod }
    | LookupError::NotReady { pod } = error
    {
        return Some(pod);
    }
    None
}

/// How a pod is, and why it is not as it should be, if it says.
async fn read<A: Api>(
    asker: &Asker<A>,
    namespace: &str,
    name: &str,
) -> Result<(PodState, Option<String>), LookupError> {
    let path = portway_resolve::Kind::Pod.path(namespace, name);
    let action = format!("get pod '{name}' in namespace {namespace}");
    let object: Value = asker.get(&path, &action).await?;
    let unreadable = |error: serde_json::Error| LookupError::Unreadable {
        action: action.as_str().into(),
        problem: error.to_string().into(),
    };
    let pod: Pod = serde_json::from_value(object.clone()).map_err(unreadable)?;
    let says: Says = serde_json::from_value(object).map_err(unreadable)?;
    let restarts = pod.status.container_statuses.iter().map(|it| it.restart_count).max();
    let state = PodState {
        pod: name.to_owned(),
        phase: pod.status.phase.to_string(),
        ready: pod.is_ready(),
        node: pod.spec.node_name.clone(),
        restarts: restarts.unwrap_or(0),
        ports: ports(&pod),
    };
    let leaving = pod.metadata.deletion_timestamp.map(|_| "it is being deleted".to_owned());
    Ok((state, leaving.or_else(|| says.why())))
}

/// What its containers declare: `http 8080`.
fn ports(pod: &Pod) -> Vec<String> {
    let containers = pod.spec.containers.iter().chain(&pod.spec.init_containers);
    let show = |port: &portway_resolve::object::ContainerPort| match port.name.as_str() {
        "" => port.container_port.to_string(),
        name => format!("{name} {}", port.container_port),
    };
    containers.flat_map(|container| &container.ports).map(show).collect()
}

/// What a pod says of why it is not as it should be.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Says {
    status: Status,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Status {
    reason: String,
    message: String,
    conditions: Vec<Condition>,
    container_statuses: Vec<Container>,
    init_container_statuses: Vec<Container>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Condition {
    r#type: String,
    status: String,
    reason: String,
    message: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Container {
    name: String,
    state: State,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct State {
    waiting: Option<Because>,
    terminated: Option<Because>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Because {
    reason: String,
    message: String,
}

impl Says {
    /// The first of what stops it, the closest to the cause first.
    fn why(&self) -> Option<String> {
        let Status { conditions, container_statuses, init_container_statuses, .. } = &self.status;
        let unscheduled = conditions.iter().find(|it| it.r#type == "PodScheduled");
        if let Some(it) = unscheduled.filter(|it| it.status == "False") {
            return because("it is not on a node", &it.reason, &it.message);
        }
        for container in init_container_statuses.iter().chain(container_statuses) {
            let Container { name, state } = container;
            if let Some(it) = &state.waiting {
                return because(&format!("container {name} waits"), &it.reason, &it.message);
            }
            // Those that run before are to end.
            let ended = state.terminated.as_ref().filter(|it| it.reason != "Completed");
            if let Some(it) = ended {
                return because(&format!("container {name} has ended"), &it.reason, &it.message);
            }
        }
        if !self.status.reason.is_empty() {
            return because("it says", &self.status.reason, &self.status.message);
        }
        let ready = conditions.iter().find(|it| it.r#type == "Ready" && it.status == "False");
        let ready = ready.filter(|it| !it.reason.is_empty() || !it.message.is_empty());
        ready.and_then(|it| because("it is not ready", &it.reason, &it.message))
    }
}

/// `container web waits: ImagePullBackOff: Back-off pulling image "web"`
fn because(what: &str, reason: &str, message: &str) -> Option<String> {
    let parts = [what, reason, message].into_iter().filter(|part| !part.is_empty());
    Some(parts.collect::<Vec<_>>().join(": "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn why(status: Value) -> Option<String> {
        let says: Says = serde_json::from_value(json!({ "status": status })).unwrap();
        says.why()
    }

    #[test]
    fn a_pod_says_what_stops_it() {
        let unscheduled = json!({"conditions": [
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
             "message": "0/3 nodes are available"}]});
        assert_eq!(
            why(unscheduled).unwrap(),
            "it is not on a node: Unschedulable: 0/3 nodes are available"
        );
        let pulling = json!({
            "initContainerStatuses": [
                {"name": "init", "state": {"terminated": {"reason": "Completed", "exitCode": 0}}}],
            "containerStatuses": [
                {"name": "a", "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}},
                {"name": "web", "state": {"waiting": {"reason": "ImagePullBackOff"}}}],
        });
        assert_eq!(why(pulling).unwrap(), "container web waits: ImagePullBackOff");
        let killed = json!({"containerStatuses": [
            {"name": "web", "state": {"terminated": {"reason": "OOMKilled", "exitCode": 137}}}]});
        assert_eq!(why(killed).unwrap(), "container web has ended: OOMKilled");
        let evicted = json!({"reason": "Evicted", "message": "The node was low on memory"});
        assert_eq!(why(evicted).unwrap(), "it says: Evicted: The node was low on memory");
        let unready = json!({"conditions": [
            {"type": "Ready", "status": "False", "reason": "ContainersNotReady"}]});
        assert_eq!(why(unready).unwrap(), "it is not ready: ContainersNotReady");
        assert_eq!(why(json!({})), None);
    }
}
