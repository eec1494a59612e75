use std::cmp::Ordering;

use crate::object::{Phase, Pod};

/// The pod of several that is forwarded to: as kubectl chooses, by the first of these in which two differ
/// (protocol.md E.3).
///
/// 1. it has a node,
/// 2. it runs; or it is not known whether it does,
/// 3. it is ready,
/// 4. it has been ready for longer,
/// 5. its containers were started again less often,
/// 6. it is older.
///
/// Of two that do not differ the first is taken. That a pod is being deleted makes no difference, as with
/// kubectl; whoever can do better leaves such pods out before.
pub fn best_pod<'a>(pods: impl IntoIterator<Item = &'a Pod>) -> Option<&'a Pod> {
    // Of equals `min_by` takes the first.
    pods.into_iter().min_by(|one, other| compare(one, other))
}

/// Whether a chosen pod can be forwarded to.
///
/// # Errors
/// It does not run (yet).
pub fn check_running(pod: &Pod) -> Result<(), NotRunning> {
    if pod.status.phase == Phase::Running {
        return Ok(());
    }
    Err(NotRunning { name: pod.metadata.name.clone(), phase: pod.status.phase.clone() })
}

/// Less is better.
fn compare(one: &Pod, other: &Pod) -> Ordering {
    let unassigned = |pod: &Pod| pod.spec.node_name.is_empty();
    let restarts = |pod: &Pod| {
        pod.status.container_statuses.iter().map(|status| status.restart_count).max().unwrap_or(0)
    };
    unassigned(one)
        .cmp(&unassigned(other))
        .then_with(|| progress(one).cmp(&progress(other)))
        .then_with(|| other.is_ready().cmp(&one.is_ready()))
        .then_with(|| {
            let since = |pod: &Pod| pod.ready_condition().and_then(|it| it.last_transition_time);
            if one.is_ready() { earlier(since(one), since(other)) } else { Ordering::Equal }
        })
        .then_with(|| restarts(one).cmp(&restarts(other)))
        .then_with(|| earlier(one.metadata.creation_timestamp, other.metadata.creation_timestamp))
}

/// What has ended ranks with what has not begun.
const fn progress(pod: &Pod) -> u8 {
    match pod.status.phase {
        Phase::Running => 0,
        Phase::Unknown => 1,
        Phase::Pending | Phase::Succeeded | Phase::Failed | Phase::Other(_) => 2,
    }
}

/// Earlier is better; a time that is missing is worst.
fn earlier<T: Ord>(one: Option<T>, other: Option<T>) -> Ordering {
    match (one, other) {
        (Some(one), Some(other)) => one.cmp(&other),
        (one, other) => one.is_none().cmp(&other.is_none()),
    }
}

/// A pod that cannot be forwarded to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("pod '{name}' is not running: it is {phase}")]
#[non_exhaustive]
pub struct NotRunning {
    /// Its name.
    pub name: String,
    /// How far it has come.
    pub phase: Phase,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A good pod, with something else about it.
    fn pod(name: &str, change: impl FnOnce(&mut Value)) -> Pod {
        let mut pod = json!({
            "metadata": {"name": name, "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"nodeName": "node"},
            "status": {
                "phase": "Running",
                "conditions": [
                    {"type": "Initialized", "status": "True"},
                    {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:01:00Z"},
                ],
                "containerStatuses": [{"restartCount": 1}, {"restartCount": 0}],
            },
        });
        change(&mut pod);
        serde_json::from_value(pod).unwrap()
    }

    #[test]
    fn every_rule_decides_where_those_before_it_do_not() {
        // Each is better than all below it.
        let ranking = [
            pod("oldest", |pod| {
                pod["metadata"]["creationTimestamp"] = json!("2025-12-31T23:59:59Z")
            }),
            pod("young", |_| {}),
            pod("of no known age", |pod| pod["metadata"]["creationTimestamp"] = json!(null)),
            pod("restarted", |pod| {
                pod["status"]["containerStatuses"][1]["restartCount"] = json!(2)
            }),
            pod("ready for less long", |pod| {
                pod["status"]["conditions"][1]["lastTransitionTime"] =
                    json!("2026-01-01T00:02:00Z");
                pod["metadata"]["creationTimestamp"] = json!("2025-01-01T00:00:00Z");
                pod["status"]["containerStatuses"] = json!([]);
            }),
            pod("ready since nobody knows", |pod| {
                pod["status"]["conditions"][1]["lastTransitionTime"] = json!(null);
                pod["status"]["containerStatuses"] = json!(null);
            }),
            pod("not ready, for long", |pod| {
                pod["status"]["conditions"][1] = json!({"type": "Ready", "status": "False", "lastTransitionTime": "2025-01-01T00:00:00Z"});
                pod["status"]["containerStatuses"] = json!([]);
            }),
            pod("not ready, restarted, for longer", |pod| {
                pod["status"]["conditions"][1] = json!({"type": "Ready", "status": "False", "lastTransitionTime": "2024-01-01T00:00:00Z"});
            }),
            pod("unknown", |pod| pod["status"]["phase"] = json!("Unknown")),
            pod("pending", |pod| pod["status"]["phase"] = json!("Pending")),
            pod("nowhere", |pod| pod["spec"] = json!({})),
        ];
        for (place, better) in ranking.iter().enumerate() {
            for worse in &ranking[place + 1..] {
                for both in [[better, worse], [worse, better]] {
                    let best = best_pod(both).unwrap();
                    assert_eq!(best.metadata.name, better.metadata.name, "{}", worse.metadata.name);
                }
            }
        }
    }

    #[test]
    fn what_has_ended_ranks_with_what_has_not_begun() {
        let pods = ["Succeeded", "Pending", "Failed", "SomethingNew"]
            .map(|phase| pod(phase, |pod| pod["status"]["phase"] = json!(phase)));
        assert_eq!(best_pod(&pods).unwrap().metadata.name, "Succeeded", "the first of equals");
        assert_eq!(best_pod(pods.iter().rev()).unwrap().metadata.name, "SomethingNew");
    }

    #[test]
    fn that_a_pod_is_being_deleted_makes_no_difference() {
        let pods = [
            pod("leaving", |pod| {
                pod["metadata"]["deletionTimestamp"] = json!("2026-01-02T00:00:00Z")
            }),
            pod("staying", |_| {}),
        ];
        assert_eq!(best_pod(&pods).unwrap().metadata.name, "leaving");
    }

    #[test]
    fn of_none_there_is_no_best() {
        assert_eq!(best_pod([]), None);
    }

    #[test]
    fn only_what_runs_can_be_forwarded_to() {
        assert_eq!(check_running(&pod("web", |_| {})), Ok(()));
        let failed = pod("web", |pod| pod["status"]["phase"] = json!("Failed"));
        let error = check_running(&failed).unwrap_err().to_string();
        assert_eq!(error, "pod 'web' is not running: it is Failed");
    }
}
