//! Kubeconfig files: what is made of them, and one line for each thing that is wrong with them.
#![cfg(feature = "kubeconfig")]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use common::{Authority, LOCALHOST, join, read, write_all};
use http::Request;
use portway_cluster::Api;
use portway_driver::{Listener, Net, Runtime};
use portway_runtimes::on_every_runtime;
use portway_rustls::{Choice, Kubeconfig, ServerTls, TlsSocket};
use tempfile::TempDir;

/// Files of one test.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, text: &str) -> std::path::PathBuf {
        let path = self.0.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    /// One config with one context, whose cluster and user say this besides.
    fn config(&self, cluster: &str, user: &str) -> std::path::PathBuf {
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: dev\ncontexts:\n- name: dev\n  context:\n    \
             cluster: here\n    user: jane\nclusters:\n- name: here\n  cluster:\n    server: \
             https://127.0.0.1:6443\n    {cluster}\nusers:\n- name: jane\n  user:\n    {user}\n"
        );
        self.file("config", &text)
    }

    /// What is wrong with it.
    fn told(&self, cluster: &str, user: &str) -> String {
        let path = self.config(cluster, user);
        let config = Kubeconfig::from_files([&path]).unwrap();
        let error = config.choose(&Choice::new()).unwrap_err().to_string();
        error.replace(path.to_str().unwrap(), "CONFIG")
    }
}

fn told(paths: &[&Path]) -> String {
    Kubeconfig::from_files(paths).unwrap_err().to_string()
}

#[test]
fn of_two_files_the_first_counts() {
    let folder = Folder::new();
    let one = folder.file(
        "one",
        "contexts:\n- name: a\n  context: {cluster: here, namespace: first}\nclusters:\n- name: here\n  \
         cluster: {server: 'http://one:1'}\nusers: null\n",
    );
    let two = folder.file(
        "two",
        "current-context: a\ncontexts:\n- name: a\n  context: {cluster: there, namespace: second}\n- name: \
         b\n  context: {cluster: there}\nclusters:\n- name: here\n  cluster: {server: 'http://two:2', \
         proxy-url: 'http://p:1'}\n- name: there\n  cluster: {server: 'http://three:3'}\n",
    );
    let missing = folder.0.path().join("missing");
    let config = Kubeconfig::from_files([&missing, &one, &two]).unwrap();
    assert_eq!(config.contexts().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(config.current_context(), Some("a"));
    let chosen = |choice: Choice| {
        let access = config.choose(&choice).unwrap();
        (access.namespace().to_owned(), access.url().to_owned())
    };
    let pair = |namespace: &str, url: &str| (namespace.to_owned(), url.to_owned());
    assert_eq!(chosen(Choice::new()), pair("first", "http://one:1"));
    assert_eq!(chosen(Choice::new().with_context("b")), pair("default", "http://three:3"));
    assert_eq!(chosen(Choice::new().with_cluster("there")), pair("first", "http://three:3"));
    assert_eq!(chosen(Choice::new().with_namespace("x")), pair("x", "http://one:1"));
}

#[test]
fn files_that_are_none() {
    let folder = Folder::new();
    let missing = folder.0.path().join("missing");
    let shown = missing.display();
    assert_eq!(
        told(&[&missing]),
        format!("there is no kubeconfig at {shown}; name one in KUBECONFIG")
    );
    let odd = folder.file("odd", "contexts:\n- name: [\n");
    let text = told(&[&odd]);
    assert!(text.starts_with(&format!("{} is no kubeconfig: ", odd.display())), "{text}");
    assert!(text.contains("line "), "{text}");
    let folder_itself = told(&[folder.0.path()]);
    assert!(folder_itself.starts_with("cannot read the kubeconfig "), "{folder_itself}");
}

#[test]
fn names_that_lead_nowhere() {
    let folder = Folder::new();
    let path = folder.config("", "");
    let config = Kubeconfig::from_files([&path]).unwrap();
    let told = |choice: Choice| config.choose(&choice).unwrap_err().to_string();
    assert_eq!(
        told(Choice::new().with_context("prod")),
        "there is no context \"prod\" in the kubeconfig; there is \"dev\""
    );
    assert_eq!(
        told(Choice::new().with_cluster("x")),
        "there is no cluster \"x\" in the kubeconfig; there is \"here\""
    );
    assert_eq!(
        told(Choice::new().with_user("joe")),
        "there is no user \"joe\" in the kubeconfig; there is \"jane\""
    );
    let empty = folder.file("empty", "");
    let empty = Kubeconfig::from_files([&empty]).unwrap();
    assert_eq!(
        empty.choose(&Choice::new()).unwrap_err().to_string(),
        "the kubeconfig has no current context; of contexts it has none"
    );
}

#[test]
fn fields_that_cannot_be_used() {
    let folder = Folder::new();
    assert_eq!(
        folder.told("certificate-authority-data: '!!!'", ""),
        "CONFIG, context \"dev\", certificate-authority-data: not base64: Invalid symbol 33, offset 0."
    );
    assert_eq!(
        folder.told("certificate-authority-data: aGVsbG8=", ""),
        "CONFIG, context \"dev\", certificate-authority-data: the certificate authority is not in PEM: \
         there is no BEGIN CERTIFICATE in it"
    );
    let missing = folder.0.path().join("certs/ca.crt");
    assert_eq!(
        folder.told("certificate-authority: certs/ca.crt", ""),
        format!(
            "CONFIG, context \"dev\", certificate-authority: cannot read {}: No such file or directory (os \
             error 2)",
            missing.display()
        )
    );
    assert_eq!(
        folder.told("proxy-url: socks5://proxy:1080", ""),
        "CONFIG, context \"dev\", proxy-url: cannot use the proxy \"socks5://proxy:1080\": SOCKS is not \
         supported; give one like http://proxy:3128"
    );
    assert_eq!(
        folder.told("", "client-key-data: aGVsbG8="),
        "CONFIG, context \"dev\", client-key-data: its client-certificate is missing"
    );
    assert_eq!(
        folder.told("", "token: \"a\\nb\""),
        "CONFIG, context \"dev\", token: the bearer token is empty, or has characters that no header can \
         carry"
    );
    assert_eq!(
        folder.told("", "as-groups: [ops]"),
        "CONFIG, context \"dev\", as-groups: there is no user to act as"
    );
}

#[test]
fn what_is_not_supported_says_what_to_do() {
    let folder = Folder::new();
    let program = "credentials that another program brings are not supported here; use the feature kube \
                   of portway, or a token";
    assert_eq!(
        folder.told("", "exec: {command: aws, args: [eks, get-token]}"),
        format!("CONFIG, context \"dev\", exec: {program}")
    );
    assert_eq!(
        folder.told("", "auth-provider: {name: gcp}"),
        format!("CONFIG, context \"dev\", auth-provider: {program}")
    );
    assert_eq!(
        folder.told("", "username: admin"),
        "CONFIG, context \"dev\", username: no API server takes passwords since Kubernetes 1.19; use a \
         token or a client certificate"
    );
    assert_eq!(
        folder.told("insecure-skip-tls-verify: true", ""),
        "CONFIG, context \"dev\", insecure-skip-tls-verify: the server could be anybody, and that has to \
         be allowed by who asks; put the cluster's CA into certificate-authority-data instead"
    );
}

/// A cluster's CA, a client certificate beside the config, a name for the server, impersonation.
async fn a_context_leads_to_its_server<R: Runtime + Net>(rt: R) {
    let folder = Folder::new();
    let (authority, clients) = (Authority::new(), Authority::new());
    let of_server = authority.issue(&["kubernetes"]);
    let tls = ServerTls::new(of_server.chain.as_bytes(), of_server.key.as_bytes()).unwrap();
    let tls = tls.with_client_authorities(clients.pem().as_bytes()).unwrap().config().unwrap();
    let mut listener = rt.bind(LOCALHOST).await.unwrap();
    let of_client = clients.issue(&["jane"]);
    folder.file("pki/jane.crt", &of_client.chain);
    folder.file("pki/jane.key", &of_client.key);
    folder.file("token", "fresh\n");
    let path = folder.config(
        &format!(
            "certificate-authority-data: {}\n    tls-server-name: kubernetes",
            STANDARD.encode(authority.pem())
        ),
        "client-certificate: pki/jane.crt\n    client-key: pki/jane.key\n    token: stale\n    tokenFile: \
         token\n    as: joe\n    as-uid: u1\n    as-groups: [ops, devs]\n    as-user-extra: {a/b: [c]}",
    );
    let text = std::fs::read_to_string(&path).unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    std::fs::write(&path, text.replace("6443", &port)).unwrap();

    let config = Kubeconfig::from_files([&path]).unwrap();
    let server = config.choose(&Choice::new()).unwrap().server(rt.clone()).unwrap();
    let serving = async {
        let (socket, _) = std::future::poll_fn(|cx| listener.poll_accept(cx)).await.unwrap();
        let mut socket = TlsSocket::accept(socket, tls).await.unwrap();
        let request = read(&mut socket, 10_000).await.unwrap();
        write_all(&mut socket, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        assert_eq!(socket.peer_certificates().len(), 1);
        String::from_utf8(request.to_vec()).unwrap().to_lowercase()
    };
    let asking = server.request(Request::get("/version").body(Bytes::new()).unwrap());
    let (answer, request) = join(asking, serving).await;
    assert_eq!(answer.unwrap().status(), 200);
    for line in [
        "authorization: bearer fresh",
        "impersonate-user: joe",
        "impersonate-uid: u1",
        "impersonate-group: ops",
        "impersonate-group: devs",
        "impersonate-extra-a%2fb: c",
    ] {
        assert!(request.contains(&format!("\r\n{line}\r\n")), "{line} is missing: {request}");
    }
}

async fn a_server_that_could_be_anybody_has_to_be_allowed<R: Runtime + Net>(rt: R) {
    let folder = Folder::new();
    let tls = Authority::new().server(&["somebody.else"]);
    let mut listener = rt.bind(LOCALHOST).await.unwrap();
    let path = folder.config("insecure-skip-tls-verify: true", "token: t");
    let text = std::fs::read_to_string(&path).unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    std::fs::write(&path, text.replace("6443", &port)).unwrap();
    let access = Kubeconfig::from_files([&path]).unwrap();
    let access = access.choose(&Choice::new().allowing_insecure()).unwrap();
    let server = access.server(rt.clone()).unwrap();
    let serving = async {
        let (socket, _) = std::future::poll_fn(|cx| listener.poll_accept(cx)).await.unwrap();
        let mut socket = TlsSocket::accept(socket, tls).await.unwrap();
        read(&mut socket, 10_000).await.unwrap();
        write_all(&mut socket, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
    };
    let asking = server.request(Request::get("/version").body(Bytes::new()).unwrap());
    let (answer, ()) = join(asking, serving).await;
    assert_eq!(answer.unwrap().status(), 200);
}

on_every_runtime!(a_context_leads_to_its_server, a_server_that_could_be_anybody_has_to_be_allowed,);
