use portway_cluster::Api;
use portway_resolve::{Kind, Target};
use portway_tokio::Protocol;
use serde_json::json;

use super::server::Minor;
use super::{Finding, Said, Subject};
use crate::ask::Asker;

/// Something that a forward does with a right of its user's (protocol.md A.3, E.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Right {
    verb: &'static str,
    group: &'static str,
    /// The plural of a kind.
    resource: &'static str,
    subresource: Option<&'static str>,
    /// Of one object, where its name is known.
    name: Option<String>,
    /// Without it there is no forward.
    needed: bool,
    /// What it is for.
    why: &'static str,
}

/// What a forward to a target needs, and what it makes use of.
pub(crate) fn needed(target: &Target, protocol: Protocol, version: Minor) -> Vec<Right> {
    let pod = (target.kind == Kind::Pod).then(|| target.name.clone());
    let of_pods = |verb, name, needed, why| Right {
        verb,
        group: "",
        resource: "pods",
        subresource: None,
        name,
        needed,
        why,
    };
    let forward = |verb, needed, why| Right {
        subresource: Some("portforward"),
        ..of_pods(verb, pod.clone(), needed, why)
    };
    let mut rights = Vec::new();
    if pod.is_none() {
        rights.push(Right {
            verb: "get",
            group: target.kind.group(),
            resource: target.kind.plural(),
            subresource: None,
            name: Some(target.name.clone()),
            needed: true,
            why: "what the target's pods are is read from it",
        });
        rights.push(of_pods("list", None, true, "the target's pods are found by it"));
    }
    rights.push(of_pods("get", pod.clone(), true, "the pod is read by it"));
    let why = "without it every connection looks its pod up and dials by itself";
    rights.push(of_pods("watch", None, false, why));
    let websocket = protocol != Protocol::Spdy;
    rights.push(forward("get", websocket, "every WebSocket needs it"));
    // Whoever cannot tell the version has to be right about all of them.
    let create = !websocket || version.0.is_none_or(|minor| minor >= 35);
    let why = "plain SPDY needs it, and from Kubernetes 1.35 on every WebSocket";
    rights.push(forward("create", create, why));
    rights
}

/// Asks for each. True: something is lacking.
pub(crate) async fn check<A: Api>(
    asker: &Asker<A>,
    rights: &[Right],
    namespace: &str,
    said: &mut Said,
) -> bool {
    let mut lacking = false;
    for right in rights {
        let of = right.subject(namespace);
        match right.ask(asker, namespace).await {
            Ok(Answer { allowed: true, .. }) => said.tell(&Finding::ok(of)),
            Ok(Answer { reason, .. }) => {
                lacking = true;
                let reason = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
                let problem = format!("not allowed; {}{reason}", right.why);
                let finding = if right.needed { Finding::fail } else { Finding::note };
                said.tell(&finding(of, problem));
            }
            // What cannot be asked for shows when it is tried.
            Err(error) => said.tell(&Finding::note(of, error)),
        }
    }
    lacking
}

/// What the server said.
struct Answer {
    allowed: bool,
    reason: String,
}

impl Right {
    fn subject(&self, namespace: &str) -> Subject {
        let resource = match (self.subresource, self.group) {
            (Some(subresource), _) => format!("{}/{subresource}", self.resource),
            (None, "") => self.resource.to_owned(),
            (None, group) => format!("{}.{group}", self.resource),
        };
        Subject::Permission { verb: self.verb, resource, namespace: namespace.to_owned() }
    }

    async fn ask<A: Api>(
        &self,
        asker: &Asker<A>,
        namespace: &str,
    ) -> Result<Answer, portway_cluster::LookupError> {
        const REVIEWS: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        let Self { verb, group, resource, subresource, name, .. } = self;
        let review = json!({
            "kind": "SelfSubjectAccessReview",
            "apiVersion": "authorization.k8s.io/v1",
            "spec": {"resourceAttributes": {
                "namespace": namespace,
                "verb": verb,
                "group": group,
                "resource": resource,
                "subresource": subresource.unwrap_or_default(),
                "name": name.as_deref().unwrap_or_default(),
            }},
        });
        let answer = asker.review(REVIEWS, &review, "ask what we may do").await?;
        let text = |at: &str| answer.pointer(at).and_then(|it| it.as_str()).unwrap_or_default();
        Ok(Answer {
            allowed: answer.pointer("/status/allowed") == Some(&true.into()),
            reason: text("/status/reason").to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `VERB RESOURCE`, and an exclamation mark where there is no forward without it.
    fn shown(target: &str, protocol: Protocol, version: Option<u32>) -> Vec<String> {
        let rights = needed(&target.parse().unwrap(), protocol, Minor(version));
        let show = |right: Right| {
            let Subject::Permission { verb, resource, .. } = right.subject("default") else {
                panic!("no permission");
            };
            format!("{verb} {resource}{}", if right.needed { "!" } else { "" })
        };
        rights.into_iter().map(show).collect()
    }

    #[test]
    fn what_is_needed_depends_on_target_wire_form_and_version() {
        let service = [
            "get services!",
            "list pods!",
            "get pods!",
            "watch pods",
            "get pods/portforward!",
            "create pods/portforward!",
        ];
        assert_eq!(shown("svc/web", Protocol::Auto, Some(35)), service);
        assert_eq!(shown("svc/web", Protocol::Auto, None), service);
        let old = ["get pods!", "watch pods", "get pods/portforward!", "create pods/portforward"];
        assert_eq!(shown("web-0", Protocol::Auto, Some(34)), old);
        let spdy = ["get pods!", "watch pods", "get pods/portforward", "create pods/portforward!"];
        assert_eq!(shown("web-0", Protocol::Spdy, Some(34)), spdy);
        assert_eq!(shown("deploy/web", Protocol::Auto, None)[0], "get deployments.apps!");
    }
}
