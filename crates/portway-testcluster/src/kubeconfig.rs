use serde_json::{Value, json};

/// Who the bearer of a kubeconfig is.
#[derive(Debug)]
pub(crate) enum Credentials<'a> {
    None,
    Token(&'a str),
}

/// JSON, which is YAML too, so that nothing in it needs to be quoted by rules of our own.
pub(crate) fn write(url: &str, credentials: &Credentials<'_>) -> String {
    let user: Value = match credentials {
        Credentials::None => json!({}),
        Credentials::Token(token) => json!({ "token": token }),
    };
    let name = "portway-testcluster";
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": name, "cluster": { "server": url } }],
        "users": [{ "name": name, "user": user }],
        "contexts": [{
            "name": name,
            "context": { "cluster": name, "user": name, "namespace": "default" },
        }],
        "current-context": name,
    });
    format!("{config:#}\n")
}
