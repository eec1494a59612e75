use std::time::Instant;

use http::StatusCode;
use portway_cluster::{Api, LookupError};
use serde::Deserialize;
use serde_json::json;

use super::{Finding, Said, Subject};
use crate::access::Cluster;
use crate::ask::Asker;
use crate::explain::user_in;

/// The minor release of Kubernetes, where it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Minor(pub(crate) Option<u32>);

/// Whether the server can be reached, and what it is. `None`: it cannot.
pub(crate) async fn version<A: Api>(
    asker: &Asker<A>,
    cluster: &Cluster,
    said: &mut Said,
) -> Option<Minor> {
    let tls = cluster.server.starts_with("https://");
    let of = |version, took_ms| Subject::Server { tls, version, took_ms };
    let started = Instant::now();
    let answer = asker.get::<Version>("/version", "get the server's version").await;
    let took = Some(started.elapsed().into());
    let (finding, minor) = match answer {
        Ok(version) => {
            let minor = version.minor();
            (Finding::ok(of(Some(version.git_version), took)), Some(Minor(minor)))
        }
        // It is there, and who we are comes next.
        Err(LookupError::Refused { refusal, .. })
            if [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&refusal.status()) =>
        {
            let version = format!("does not tell its version ({})", refusal.status());
            (Finding::ok(of(Some(version), took)), Some(Minor(None)))
        }
        Err(error) => (Finding::fail(of(None, None), cluster.explain(&error)), None),
    };
    said.tell(&finding);
    minor
}

/// Who we are to the server, if it says. `None`: nobody that it lets in.
pub(crate) async fn user<A: Api>(
    asker: &Asker<A>,
    cluster: &Cluster,
    said: &mut Said,
) -> Option<Option<String>> {
    const REVIEWS: &str = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    let review = json!({"kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1"});
    let of = |user, groups| Subject::User { user, groups };
    let answer = asker.review(REVIEWS, &review, "ask who we are").await;
    let (finding, user) = match answer.map(serde_json::from_value::<Reviewed>) {
        Ok(Ok(Reviewed { status: Status { user_info } })) => {
            let UserInfo { username, groups } = user_info;
            (Finding::ok(of(Some(username.clone()), groups)), Some(Some(username)))
        }
        Ok(Err(error)) => {
            let problem = format!("the server's answer makes no sense: {error}");
            (Finding::note(of(None, Vec::new()), problem), Some(None))
        }
        Err(LookupError::Refused { refusal, .. }) if refusal.status() == StatusCode::FORBIDDEN => {
            // Everybody may ask who is not nobody.
            let user = user_in(refusal.message());
            (Finding::ok(of(user.clone(), Vec::new())), Some(user))
        }
        Err(LookupError::Refused { refusal, .. }) if refusal.status() == StatusCode::NOT_FOUND => {
            let problem = "the server does not say; it does from Kubernetes 1.28 on";
            (Finding::note(of(None, Vec::new()), problem), Some(None))
        }
        Err(error) => (Finding::fail(of(None, Vec::new()), cluster.explain(&error)), None),
    };
    said.tell(&finding);
    user
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    #[serde(default)]
    major: String,
    #[serde(default)]
    minor: String,
    git_version: String,
}

impl Version {
    /// Vendors write `31+`.
    fn minor(&self) -> Option<u32> {
        let digits = self.minor.trim_end_matches(|c: char| !c.is_ascii_digit());
        digits.parse().ok().filter(|_| self.major == "1")
    }
}

#[derive(Debug, Deserialize)]
struct Reviewed {
    status: Status,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    user_info: UserInfo,
}

#[derive(Debug, Deserialize)]
struct UserInfo {
    username: String,
    #[serde(default)]
    groups: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vendors_write_minors_their_own_way() {
        let minor = |major: &str, minor: &str| {
            let version = Version {
                major: major.to_owned(),
                minor: minor.to_owned(),
                git_version: String::new(),
            };
            version.minor()
        };
        assert_eq!(minor("1", "31"), Some(31));
        assert_eq!(minor("1", "31+"), Some(31));
        assert_eq!(minor("1", ""), None);
        assert_eq!(minor("2", "1"), None);
    }
}
