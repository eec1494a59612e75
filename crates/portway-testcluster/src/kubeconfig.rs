use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::Certificate;

/// Who the bearer of a kubeconfig is.
#[derive(Debug)]
pub(crate) enum Credentials<'a> {
    None,
    Token(&'a str),
    Certificate(&'a Certificate),
}

/// JSON, which is YAML too, so that nothing in it needs to be quoted by rules of our own.
pub(crate) fn write(url: &str, authority: Option<&str>, credentials: &Credentials<'_>) -> String {
    let user: Value = match credentials {
        Credentials::None => json!({}),
        Credentials::Token(token) => json!({ "token": token }),
        Credentials::Certificate(Certificate { pem, key }) => json!({
            "client-certificate-data": BASE64_STANDARD.encode(pem),
            "client-key-data": BASE64_STANDARD.encode(key),
        }),
    };
    let mut cluster = json!({ "server": url });
    if let Some(authority) = authority {
        cluster["certificate-authority-data"] = BASE64_STANDARD.encode(authority).into();
    }
    let name = "portway-testcluster";
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": name, "cluster": cluster }],
        "users": [{ "name": name, "user": user }],
        "contexts": [{
            "name": name,
            "context": { "cluster": name, "user": name, "namespace": "default" },
        }],
        "current-context": name,
    });
    format!("{config:#}\n")
}
