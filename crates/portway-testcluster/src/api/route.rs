use crate::resource::Resource;

/// What a path leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    Version,
    /// `/api`, `/apis`: what there is, or the groups of it.
    Roots {
        core: bool,
    },
    /// `/apis/apps`.
    Group(&'static str),
    /// `/api/v1`, `/apis/apps/v1`.
    GroupVersion(&'static str),
    Objects(Objects),
    /// `/openapi/v3`, or that of a group.
    OpenApi(Option<&'static str>),
    /// `/healthz` and the like.
    Health,
    Nothing,
}

/// An object, or all of a kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Objects {
    pub(crate) resource: Resource,
    /// None: of all namespaces, or of what is in none.
    pub(crate) namespace: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) subresource: Option<String>,
}

impl Route {
    pub(crate) fn of_path(path: &str) -> Self {
        let path = path.trim_end_matches('/');
        match path {
            "/version" => return Self::Version,
            "/api" => return Self::Roots { core: true },
            "/apis" => return Self::Roots { core: false },
            "/openapi/v3" => return Self::OpenApi(None),
            "/healthz" | "/livez" | "/readyz" => return Self::Health,
            _ => {}
        }
        if let Some(rest) = path.strip_prefix("/openapi/v3") {
            let Self::GroupVersion(group) = Self::of_path(rest) else { return Self::Nothing };
            return Self::OpenApi(Some(group));
        }
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        let (group, rest) = match segments.as_slice() {
            ["api", version, rest @ ..] if *version == Resource::VERSION => ("", rest),
            ["apis", group] => {
                return known_group(group).map_or(Self::Nothing, Self::Group);
            }
            ["apis", group, version, rest @ ..]
                if *version == Resource::VERSION && !group.is_empty() =>
            {
                (*group, rest)
            }
            _ => return Self::Nothing,
        };
        let Some(group) = known_group(group) else { return Self::Nothing };
        if rest.is_empty() {
            return Self::GroupVersion(group);
        }
        Objects::of(group, rest).map_or(Self::Nothing, Self::Objects)
    }
}

impl Objects {
    fn of(group: &str, segments: &[&str]) -> Option<Self> {
        let (namespace, segments) = match segments {
            ["namespaces", namespace, rest @ ..]
                if rest.len() > usize::from(is_subresource(rest)) =>
            {
                (Some(*namespace), rest)
            }
            segments => (None, segments),
        };
        let (plural, name, subresource) = match segments {
            [plural] => (*plural, None, None),
            [plural, name] => (*plural, Some(*name), None),
            [plural, name, subresource] => (*plural, Some(*name), Some(*subresource)),
            _ => return None,
        };
        let resource = Resource::named(group, plural)?;
        let namespaced = resource.describe().namespaced;
        // What is in a namespace can be listed everywhere, but has a name in one only.
        if namespaced && namespace.is_none() && name.is_some() || !namespaced && namespace.is_some()
        {
            return None;
        }
        if [namespace, name].into_iter().flatten().any(|name| !is_name(name)) {
            return None;
        }
        let own = |text: Option<&str>| text.map(str::to_owned);
        Some(Self {
            resource,
            namespace: own(namespace),
            name: own(name),
            subresource: own(subresource),
        })
    }
}

/// `/namespaces/default/status` is about the namespace, and in no namespace.
fn is_subresource(segments: &[&str]) -> bool {
    matches!(segments, ["status" | "finalize"])
}

fn known_group(name: &str) -> Option<&'static str> {
    Resource::GROUPS.into_iter().find(|group| *group == name)
}

/// It could be the name of something.
pub(crate) fn is_name(text: &str) -> bool {
    const MAX: usize = 253;
    let byte = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.');
    let end = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_alphanumeric());
    (1..=MAX).contains(&text.len())
        && text.bytes().all(byte)
        && end(text.bytes().next())
        && end(text.bytes().last())
}

#[cfg(test)]
mod tests {
    use super::*;

    type Parts = (Resource, Option<String>, Option<String>, Option<String>);

    fn objects(path: &str) -> Option<Parts> {
        if let Route::Objects(Objects { resource, namespace, name, subresource }) =
            Route::of_path(path)
        {
            Some((resource, namespace, name, subresource))
        } else {
            None
        }
    }

    #[test]
    fn paths_lead_to_objects_and_lists() {
        let s = |text: &str| Some(text.to_owned());
        for (path, expected) in [
            ("/api/v1/pods", (Resource::Pods, None, None, None)),
            ("/api/v1/namespaces/n/pods", (Resource::Pods, s("n"), None, None)),
            ("/api/v1/namespaces/n/pods/p", (Resource::Pods, s("n"), s("p"), None)),
            ("/api/v1/namespaces/n/pods/p/log", (Resource::Pods, s("n"), s("p"), s("log"))),
            ("/api/v1/namespaces", (Resource::Namespaces, None, None, None)),
            ("/api/v1/namespaces/n", (Resource::Namespaces, None, s("n"), None)),
            ("/api/v1/namespaces/n/status", (Resource::Namespaces, None, s("n"), s("status"))),
            ("/apis/apps/v1/deployments", (Resource::Deployments, None, None, None)),
            (
                "/apis/apps/v1/namespaces/n/deployments/d",
                (Resource::Deployments, s("n"), s("d"), None),
            ),
            (
                "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
                (Resource::SelfSubjectAccessReviews, None, None, None),
            ),
        ] {
            assert_eq!(objects(path), Some(expected), "{path}");
        }
    }

    #[test]
    fn paths_that_lead_nowhere_lead_nowhere() {
        for path in [
            "",
            "/api/v2/pods",
            "/api/v1/pods/p",
            "/api/v1/deployments",
            "/apis/apps/v2/deployments",
            "/apis/none/v1",
            "/apis/v1/pods",
            "/api/v1/namespaces/n/pods/..",
            "/api/v1/namespaces/N/pods",
            "/api/v1/namespaces/n/pods/p/a/b",
            "/api/v1/namespaces/n/nodes",
            "/apis/",
            "/x",
        ] {
            let route = Route::of_path(path);
            assert!(matches!(route, Route::Nothing | Route::Roots { .. }), "{path}: {route:?}");
        }
        assert_eq!(Route::of_path("/apis/apps"), Route::Group("apps"));
        assert_eq!(Route::of_path("/apis/apps/v1"), Route::GroupVersion("apps"));
        assert_eq!(Route::of_path("/api/v1"), Route::GroupVersion(""));
        assert_eq!(Route::of_path("/openapi/v3"), Route::OpenApi(None));
        assert_eq!(Route::of_path("/openapi/v3/api/v1"), Route::OpenApi(Some("")));
        assert_eq!(Route::of_path("/openapi/v3/apis/apps/v1"), Route::OpenApi(Some("apps")));
        assert_eq!(Route::of_path("/openapi/v3/api/v1/pods"), Route::Nothing);
    }
}
