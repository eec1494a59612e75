use std::time::Duration;

use http::StatusCode;
use portway_cluster::{Api, LookupError};
use portway_resolve::{Kind, Target};
use tokio::time::timeout;

use crate::ask::{Asker, Named};

/// What there is instead of an object that is not found: in the same namespace, in others, or the
/// namespace itself may be the mistake. `None` where the error is about something else, or nothing can be
/// said.
pub(crate) async fn not_found<A: Api>(
    asker: &Asker<A>,
    error: &LookupError,
    target: &Target,
    namespace: &str,
) -> Option<String> {
    /// An error does not wait for its explanation for long.
    const PATIENCE: Duration = Duration::from_secs(3);
    let LookupError::Refused { refusal, .. } = error else { return None };
    if refusal.status() != StatusCode::NOT_FOUND {
        return None;
    }
    timeout(PATIENCE, instead(asker, target, namespace)).await.ok()?
}

async fn instead<A: Api>(asker: &Asker<A>, target: &Target, namespace: &str) -> Option<String> {
    let (kind, name) = (target.kind, target.name.as_str());
    let action = "look for others";
    let here = asker.names(&all(kind, Some(namespace)), action).await;
    let here: Vec<String> = here.ok()?.into_iter().map(|it| it.name).collect();
    let near_here = near(name, &here);
    if !near_here.is_empty() {
        return Some(format!("did you mean {}?", or(&near_here)));
    }
    if let Ok(everywhere) = asker.names(&all(kind, None), action).await {
        let same = everywhere.into_iter().filter(|it| it.name == name);
        let places: Vec<String> = same.map(|Named { namespace, .. }| namespace).collect();
        if !places.is_empty() {
            return Some(format!("there is one in namespace {}", or(&places)));
        }
    }
    if here.is_empty() {
        if let Ok(namespaces) = asker.names("/api/v1/namespaces", action).await {
            let namespaces: Vec<String> = namespaces.into_iter().map(|it| it.name).collect();
            if !namespaces.iter().any(|it| it == namespace) {
                let near = near(namespace, &namespaces);
                let instead = if near.is_empty() { namespaces } else { near };
                return Some(format!(
                    "there is no namespace {namespace}; did you mean {}?",
                    or(&instead)
                ));
            }
        }
        return Some(format!("there is no {kind} in namespace {namespace}"));
    }
    Some(format!("in namespace {namespace} there is {}", few(&here)))
}

/// Names that somebody may have meant, the likeliest first.
pub(crate) fn near(given: &str, names: &[String]) -> Vec<String> {
    const SHOWN: usize = 3;
    // A third of the letters wrong is another word.
    let most = (given.chars().count() / 3).clamp(1, 4);
    let mut near: Vec<(usize, &String)> = Vec::new();
    for name in names {
        let distance = strsim::damerau_levenshtein(given, name);
        // What controllers put behind a name is not typed: `web` of `web-5d9c7b-x2v4q`.
        let begins = name.strip_prefix(given).is_some_and(|rest| rest.starts_with('-'));
        if begins {
            near.push((0, name));
        } else if distance <= most {
            near.push((distance, name));
        }
    }
    near.sort_unstable();
    near.into_iter().take(SHOWN).map(|(_, name)| name.clone()).collect()
}

/// Where all of a kind are, or those of one namespace.
fn all(kind: Kind, namespace: Option<&str>) -> String {
    let plural = kind.plural();
    let root = match kind.group() {
        "" => "/api/v1".to_owned(),
        group => format!("/apis/{group}/v1"),
    };
    match namespace {
        Some(namespace) => format!("{root}/namespaces/{namespace}/{plural}"),
        None => format!("{root}/{plural}"),
    }
}

/// `a, b or c`, and no more than a few.
fn or(names: &[String]) -> String {
    const SHOWN: usize = 5;
    match names {
        [] => String::new(),
        [only] => only.clone(),
        [most @ .., last] if names.len() <= SHOWN => format!("{} or {last}", most.join(", ")),
        more => format!("{} or one of {} others", more[..SHOWN].join(", "), more.len() - SHOWN),
    }
}

/// `a, b, c and 4 more`
fn few(names: &[String]) -> String {
    const SHOWN: usize = 5;
    match names {
        [] => String::new(),
        [only] => only.clone(),
        [most @ .., last] if names.len() <= SHOWN => format!("{} and {last}", most.join(", ")),
        more => format!("{} and {} more", more[..SHOWN].join(", "), more.len() - SHOWN),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn what_was_meant_is_found() {
        let there = names(&["web", "web-admin", "wep", "database", "api"]);
        assert_eq!(near("wbe", &there), ["web"]);
        assert_eq!(near("webb", &there), ["web"]);
        assert_eq!(near("databse", &there), ["database"]);
        let pods = names(&["web-5d9c7b-x2v4q", "web-5d9c7b-aaaaa", "website-0"]);
        assert_eq!(near("web", &pods), ["web-5d9c7b-aaaaa", "web-5d9c7b-x2v4q"]);
    }

    #[test]
    fn what_was_not_meant_is_not() {
        let there = names(&["web", "api"]);
        for given in ["frontend", "db", "w", "webserver"] {
            assert_eq!(near(given, &there), names(&[]), "{given}");
        }
    }

    #[test]
    fn only_a_few_are_listed() {
        assert_eq!(or(&names(&["a"])), "a");
        assert_eq!(or(&names(&["a", "b", "c"])), "a, b or c");
        assert_eq!(few(&names(&["a", "b"])), "a and b");
        let seven = names(&["a", "b", "c", "d", "e", "f", "g"]);
        assert_eq!(few(&seven), "a, b, c, d, e and 2 more");
        assert_eq!(or(&seven), "a, b, c, d, e or one of 2 others");
    }

    #[test]
    fn all_of_a_kind_are_where_kubernetes_has_them() {
        assert_eq!(all(Kind::Pod, Some("a")), "/api/v1/namespaces/a/pods");
        assert_eq!(all(Kind::Deployment, Some("a")), "/apis/apps/v1/namespaces/a/deployments");
        assert_eq!(all(Kind::Job, None), "/apis/batch/v1/jobs");
    }
}
