use std::fmt;

use portway_resolve::Kind;

/// What somebody who may do nothing yet has to be granted for a forward: a Role and its RoleBinding, in
/// YAML to be applied.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Role<'a> {
    pub(crate) namespace: &'a str,
    /// What the target is.
    pub(crate) kind: Kind,
    /// As the server calls them, if it does.
    pub(crate) user: Option<&'a str>,
}

impl fmt::Display for Role<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { namespace, kind, user } = self;
        let namespace = quoted(namespace);
        let group = "rbac.authorization.k8s.io";
        let head = |f: &mut fmt::Formatter<'_>, of: &str| {
            writeln!(f, "apiVersion: {group}/v1\nkind: {of}\nmetadata:")?;
            writeln!(f, "  name: portway\n  namespace: {namespace}")
        };
        head(f, "Role")?;
        writeln!(f, "rules:")?;
        let mut rule = |group: &str, resource: &str, verbs: &str| {
            writeln!(f, "- apiGroups: [{}]", quoted(group))?;
            writeln!(f, "  resources: [{}]\n  verbs: [{verbs}]", quoted(resource))
        };
        if *kind != Kind::Pod {
            // To follow a change of its selector at once.
            rule(kind.group(), kind.plural(), r#""get", "watch""#)?;
        }
        rule("", "pods", r#""get", "list", "watch""#)?;
        rule("", "pods/portforward", r#""get", "create""#)?;
        writeln!(f, "---")?;
        head(f, "RoleBinding")?;
        writeln!(f, "roleRef:\n  apiGroup: {group}\n  kind: Role\n  name: portway\nsubjects:")?;
        match user.and_then(service_account) {
            Some((namespace, name)) => {
                let (namespace, name) = (quoted(namespace), quoted(name));
                writeln!(f, "- kind: ServiceAccount\n  name: {name}\n  namespace: {namespace}")
            }
            None => {
                let name = quoted(user.unwrap_or("WHO IT IS FOR"));
                writeln!(f, "- kind: User\n  name: {name}\n  apiGroup: {group}")
            }
        }
    }
}

/// In double quotes, as YAML and JSON have them: names may contain colons and more.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Namespace and name of a user that is one: `system:serviceaccount:ci:runner`.
fn service_account(user: &str) -> Option<(&str, &str)> {
    user.strip_prefix("system:serviceaccount:")?.split_once(':')
}

/// Who is denied something in the words of Kubernetes' authorizer:
/// `pods is forbidden: User "jane" cannot list resource "pods"...`.
pub(crate) fn user_in(message: &str) -> Option<String> {
    let (_, rest) = message.split_once("User \"")?;
    let (user, _) = rest.split_once("\" cannot ")?;
    // Quoted as Go does it, and as JSON does it too for all that names have in them.
    serde_json::from_str(&format!("\"{user}\"")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_has_what_a_forward_needs_and_no_more() {
        let role = Role { namespace: "shop", kind: Kind::Deployment, user: Some("oidc:jane") };
        let expected = r#"apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: portway
  namespace: "shop"
rules:
- apiGroups: ["apps"]
  resources: ["deployments"]
  verbs: ["get", "watch"]
- apiGroups: [""]
  resources: ["pods"]
  verbs: ["get", "list", "watch"]
- apiGroups: [""]
  resources: ["pods/portforward"]
  verbs: ["get", "create"]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: portway
  namespace: "shop"
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: portway
subjects:
- kind: User
  name: "oidc:jane"
  apiGroup: rbac.authorization.k8s.io
"#;
        assert_eq!(role.to_string(), expected);
    }

    #[test]
    fn a_pod_needs_no_more_than_pods_and_a_service_account_is_bound_as_one() {
        let user = Some("system:serviceaccount:ci:runner");
        let role = Role { namespace: "default", kind: Kind::Pod, user }.to_string();
        assert_eq!(role.matches("apiGroups:").count(), 2, "{role}");
        let subject = "- kind: ServiceAccount\n  name: \"runner\"\n  namespace: \"ci\"\n";
        assert!(role.ends_with(subject), "{role}");
        let role = Role { namespace: "default", kind: Kind::Pod, user: None }.to_string();
        assert!(role.contains("name: \"WHO IT IS FOR\""), "{role}");
    }

    #[test]
    fn who_is_denied_is_read_from_the_denial() {
        let text = "pods \"web-0\" is forbidden: User \"jane\" cannot get resource \"pods\"";
        assert_eq!(user_in(text).as_deref(), Some("jane"));
        let text = r#"pods is forbidden: User "a\\b \"c\"" cannot list resource "pods""#;
        assert_eq!(user_in(text).as_deref(), Some(r#"a\b "c""#));
        assert_eq!(user_in("forbidden"), None);
        assert_eq!(user_in("User \"jane\" may"), None);
    }
}
