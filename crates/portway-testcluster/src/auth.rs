use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use http::{Extensions, HeaderMap};
use portway_server::bearer_token;

/// Who somebody is to the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    name: String,
    groups: Vec<String>,
}

/// The group that no rule holds for.
const MASTERS: &str = "system:masters";

impl User {
    /// Somebody of that name, in no group.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), groups: Vec::new() }
    }

    /// The same, in this group too.
    #[must_use]
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.groups.push(group.into());
        self
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The groups.
    pub fn groups(&self) -> &[String] {
        &self.groups
    }

    /// Who may do everything, whatever is granted or denied to others.
    pub fn admin() -> Self {
        Self::new("kubernetes-admin").group(MASTERS)
    }

    fn anonymous() -> Self {
        Self::new("system:anonymous").group("system:unauthenticated")
    }
}

/// What somebody may do, or may not: see [`TestCluster::grant`](crate::TestCluster::grant) and
/// [`TestCluster::deny`](crate::TestCluster::deny).
///
/// ```
/// use portway_testcluster::Rule;
/// let rule = Rule::of("jane").verbs(["get", "list", "watch"]).on("pods").within("web");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    user: String,
    verbs: Vec<String>,
    resources: Vec<String>,
    namespace: Option<String>,
}

impl Rule {
    /// Of a user or a group by that name: everything, until it is said what.
    pub fn of(user: impl Into<String>) -> Self {
        Self { user: user.into(), verbs: Vec::new(), resources: Vec::new(), namespace: None }
    }

    /// These verbs only: `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`.
    #[must_use]
    pub fn verbs<'a>(mut self, verbs: impl IntoIterator<Item = &'a str>) -> Self {
        self.verbs.extend(verbs.into_iter().map(str::to_owned));
        self
    }

    /// This resource only, such as `pods`, `pods/portforward` or `deployments`; several if called
    /// several times.
    #[must_use]
    pub fn on(mut self, resource: impl Into<String>) -> Self {
        self.resources.push(resource.into());
        self
    }

    /// In this namespace only.
    #[must_use]
    pub fn within(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    fn covers(&self, user: &User, attributes: &Attributes<'_>) -> bool {
        let of = |list: &[String], one: &str| {
            list.is_empty() || list.iter().any(|it| it == one || it == "*")
        };
        (self.user == user.name || user.groups.contains(&self.user))
            && of(&self.verbs, attributes.verb)
            && of(&self.resources, &attributes.resource())
            && self
                .namespace
                .as_deref()
                .is_none_or(|namespace| attributes.namespace == Some(namespace))
    }
}

/// What somebody wants to do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attributes<'a> {
    pub(crate) verb: &'a str,
    pub(crate) group: &'a str,
    pub(crate) plural: &'a str,
    pub(crate) subresource: Option<&'a str>,
    pub(crate) namespace: Option<&'a str>,
    pub(crate) name: Option<&'a str>,
}

impl Attributes<'_> {
    fn resource(&self) -> String {
        match self.subresource {
            Some(subresource) => format!("{}/{subresource}", self.plural),
            None => self.plural.to_owned(),
        }
    }

    /// In the words of Kubernetes' own authorizer.
    pub(crate) fn denial(&self, user: &str) -> String {
        let place = match self.namespace {
            Some(namespace) => format!("in the namespace {namespace:?}"),
            None => "at the cluster scope".to_owned(),
        };
        let (verb, resource, group) = (self.verb, self.resource(), self.group);
        format!("User {user:?} cannot {verb} resource {resource:?} in API group {group:?} {place}")
    }
}

/// Who is who, and who may do what.
#[derive(Debug)]
pub(crate) struct Auth {
    pub(crate) anonymous: bool,
    /// Only what is granted is allowed; otherwise all that is not denied.
    pub(crate) rbac: bool,
    tokens: Mutex<BTreeMap<String, User>>,
    rules: Mutex<Rules>,
}

#[derive(Debug, Default)]
struct Rules {
    granted: Vec<Rule>,
    denied: Vec<Rule>,
}

/// Nobody knows who this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unknown;

impl Auth {
    pub(crate) fn new(anonymous: bool, rbac: bool) -> Self {
        Self { anonymous, rbac, tokens: Mutex::default(), rules: Mutex::default() }
    }

    pub(crate) fn add_token(&self, token: String, user: User) {
        lock(&self.tokens).insert(token, user);
    }

    pub(crate) fn revoke_token(&self, token: &str) {
        lock(&self.tokens).remove(token);
    }

    pub(crate) fn grant(&self, rule: Rule) {
        let mut rules = lock(&self.rules);
        rules.denied.retain(|denied| *denied != rule);
        rules.granted.push(rule);
    }

    pub(crate) fn deny(&self, rule: Rule) {
        let mut rules = lock(&self.rules);
        rules.granted.retain(|granted| *granted != rule);
        rules.denied.push(rule);
    }

    /// By the certificate of the connection, or by a token.
    pub(crate) fn identify(
        &self,
        headers: &HeaderMap,
        connection: &Extensions,
    ) -> Result<User, Unknown> {
        if let Some(user) = connection.get::<User>() {
            return Ok(user.clone());
        }
        match bearer_token(headers) {
            Ok(Some(token)) => lock(&self.tokens).get(&token).cloned().ok_or(Unknown),
            Ok(None) if self.anonymous => Ok(User::anonymous()),
            Ok(None) | Err(_) => Err(Unknown),
        }
    }

    pub(crate) fn allows(&self, user: &User, attributes: &Attributes<'_>) -> bool {
        let rules = lock(&self.rules);
        let any = |rules: &[Rule]| rules.iter().any(|rule| rule.covers(user, attributes));
        if user.groups.iter().any(|group| group == MASTERS) {
            return true;
        }
        !any(&rules.denied) && (!self.rbac || any(&rules.granted))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
