//! From a kubeconfig through a service into its pods, over TLS, on every runtime.
#![cfg(feature = "kubeconfig")]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use ::smol::io::{AsyncReadExt, AsyncWriteExt};
use ::smol::net::TcpStream;
use portway_driver::{Listening, Net, Options, PortForward, Runtime};
use portway_runtimes::on_every_runtime;
use portway_rustls::{ApiServer, Choice, ClientTls, Kubeconfig, Target, Token};
use portway_testcluster::{Program, Rule, TestCluster, User};

/// Nobody is let in without credentials, and `jane` may do what a forward to a service needs.
async fn cluster<R: Runtime + Net>(rt: &R) -> TestCluster {
    let builder = TestCluster::builder().tls().rbac().no_anonymous();
    let cluster = builder.start(rt).await.unwrap();
    let jane = || Rule::of("jane").within("default");
    cluster.grant(jane().verbs(["get"]).on("services"));
    cluster.grant(jane().verbs(["get", "list", "watch"]).on("pods"));
    cluster.grant(jane().verbs(["get", "create"]).on("pods/portforward"));
    pod(&cluster, "web-0");
    cluster.service("web").selector("app", "web").port("echo", 80, "echo").create();
    cluster
}

fn pod(cluster: &TestCluster, name: &str) -> portway_testcluster::Pod {
    cluster.pod(name).label("app", "web").port("echo", 7, Program::echo()).create()
}

fn of_kubeconfig<R: Runtime + Net>(rt: &R, text: &str) -> ApiServer<R> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config");
    std::fs::write(&path, text).unwrap();
    let access = Kubeconfig::from_files([path]).unwrap().choose(&Choice::new()).unwrap();
    assert_eq!(access.namespace(), "default");
    access.server(rt.clone()).unwrap()
}

async fn listen<R: Runtime + Net>(rt: &R, server: &ApiServer<R>) -> Result<Listening, String> {
    let web = server.target("default", "svc/web".parse::<Target>().unwrap());
    let mappings = web.mappings(&[":80".parse().unwrap()]).await;
    let mappings = mappings.map_err(|error| error.to_string())?;
    Ok(rt.listen(web, mappings, Options::new()).await.unwrap())
}

/// A program that connects to the local port gets back what it says.
async fn echoes(listening: &Listening) {
    assert!(echo(listening).await.expect("an echo"), "what came back is not what was sent");
}

async fn echo(listening: &Listening) -> std::io::Result<bool> {
    let sent = common::pattern(200_000);
    let stream = TcpStream::connect(listening.local_addr()).await?;
    let (mut reader, mut writer) = ::smol::io::split(stream);
    let mut got = vec![0; sent.len()];
    let (written, read) = common::join(writer.write_all(&sent), reader.read_exact(&mut got)).await;
    written.and(read)?;
    Ok(got == sent)
}

async fn a_client_certificate_leads_into_a_service<R: Runtime + Net>(rt: R) {
    let cluster = cluster(&rt).await;
    let kubeconfig = cluster.kubeconfig_of(&User::new("jane")).unwrap();
    let listening = listen(&rt, &of_kubeconfig(&rt, &kubeconfig)).await.unwrap();
    echoes(&listening).await;
    // Another pod takes over, and the same listener leads there, once the deletion has been heard of.
    pod(&cluster, "web-1");
    cluster.find_pod("default", "web-0").delete();
    while echo(&listening).await.is_err() {}
    echoes(&listening).await;
}

async fn a_token_leads_into_a_service_until_it_is_revoked<R: Runtime + Net>(rt: R) {
    let cluster = cluster(&rt).await;
    cluster.add_token("secret", User::new("jane"));
    let server = of_kubeconfig(&rt, &cluster.kubeconfig_with_token("secret"));
    let listening = listen(&rt, &server).await.unwrap();
    echoes(&listening).await;
    cluster.revoke_token("secret");
    assert_eq!(
        listen(&rt, &server).await.unwrap_err(),
        "cannot get service 'web' in namespace default: Unauthorized (401 Unauthorized); get fresh \
         credentials"
    );
}

async fn a_token_that_is_renewed_goes_on<R: Runtime + Net>(rt: R) {
    let cluster = cluster(&rt).await;
    cluster.add_token("new", User::new("jane"));
    let authority = cluster.authority_pem().unwrap();
    let tls = ClientTls::new().with_authorities(authority.as_bytes()).unwrap();
    let token = Token::from_fn(|refused| {
        let token = if refused { "new" } else { "old" };
        std::future::ready(Ok::<_, std::io::Error>(token.to_owned()))
    });
    let server = ApiServer::new(rt.clone(), &cluster.url(), tls).unwrap().with_token(token);
    echoes(&listen(&rt, &server).await.unwrap()).await;
}

async fn a_missing_verb_is_named<R: Runtime + Net>(rt: R) {
    let cluster = cluster(&rt).await;
    let server = of_kubeconfig(&rt, &cluster.kubeconfig_of(&User::new("jane")).unwrap());
    cluster.deny(Rule::of("jane").verbs(["list"]).on("pods"));
    assert_eq!(
        listen(&rt, &server).await.unwrap_err(),
        "cannot list pods in namespace default: pods is forbidden: User \"jane\" cannot list resource \
         \"pods\" in API group \"\" in the namespace \"default\" (403 Forbidden); the role lacks this right"
    );
}

async fn somebody_unknown_hears_it<R: Runtime + Net>(rt: R) {
    let cluster = cluster(&rt).await;
    let authority = cluster.authority_pem().unwrap();
    let tls = ClientTls::new().with_authorities(authority.as_bytes()).unwrap();
    let server = ApiServer::new(rt.clone(), &cluster.url(), tls).unwrap();
    assert_eq!(
        listen(&rt, &server).await.unwrap_err(),
        "cannot get service 'web' in namespace default: Unauthorized (401 Unauthorized); get fresh \
         credentials"
    );
}

async fn the_ca_of_another_cluster_is_not_trusted<R: Runtime + Net>(rt: R) {
    let (cluster, other) = (cluster(&rt).await, cluster(&rt).await);
    let authority = other.authority_pem().unwrap();
    let tls = ClientTls::new().with_authorities(authority.as_bytes()).unwrap();
    let server = ApiServer::new(rt.clone(), &cluster.url(), tls).unwrap();
    assert_eq!(
        listen(&rt, &server).await.unwrap_err(),
        format!(
            "cannot use {}: its certificate was issued by nobody who is trusted here; is it the right CA?",
            cluster.addr()
        )
    );
}

on_every_runtime!(
    a_client_certificate_leads_into_a_service,
    a_token_leads_into_a_service_until_it_is_revoked,
    a_token_that_is_renewed_goes_on,
    a_missing_verb_is_named,
    somebody_unknown_hears_it,
    the_ca_of_another_cluster_is_not_trusted,
);
