//! Over TLS, with credentials: a line for each thing that keeps a forward out, and none that is tried again
//! in vain.
use std::time::{Duration, Instant};

use super::common::{ask, named, watched};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use portway_driver::ListenEvent;
use portway_kube::{KubeApi, KubeForward};
use portway_testcluster::{Rule, TestCluster, User};
use portway_tokio::Tokio;

/// Nobody is let in without credentials, and `jane` may do what a forward to a service needs.
async fn cluster() -> TestCluster {
    let builder = TestCluster::builder().tls().rbac().no_anonymous();
    let cluster = builder.start(&Tokio::current()).await.unwrap();
    let jane = || Rule::of("jane").within("default");
    cluster.grant(jane().verbs(["get", "watch"]).on("services"));
    cluster.grant(jane().verbs(["get", "list", "watch"]).on("pods"));
    cluster.grant(jane().verbs(["get", "create"]).on("pods/portforward"));
    cluster.add_token("jane's", User::new("jane"));
    cluster.pod("web-a").label("app", "web").port("http", 8080, named("web-a")).create();
    cluster.service("web").selector("app", "web").port("http", 80, "http").create();
    cluster
}

async fn config(kubeconfig: &str) -> Config {
    let kubeconfig = Kubeconfig::from_yaml(kubeconfig).unwrap();
    let options = KubeConfigOptions::default();
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &options).await.unwrap();
    // The environment's is none of ours.
    config.proxy_url = None;
    config
}

async fn client(kubeconfig: &str) -> Client {
    Client::try_from(config(kubeconfig).await).unwrap()
}

/// What is said instead of a listener, at once and in a line.
async fn told(client: &Client) -> String {
    let started = Instant::now();
    let error = client.listen("svc/web", [":80"]).await.unwrap_err().to_string();
    assert!(started.elapsed() < Duration::from_secs(10), "{error}: {:?}", started.elapsed());
    assert!(!error.contains('\n'), "{error}");
    error
}

#[tokio::test]
async fn a_token_or_a_certificate_leads_into_a_service() {
    let cluster = cluster().await;
    let of_jane = cluster.kubeconfig_of(&User::new("jane")).unwrap();
    for kubeconfig in [cluster.kubeconfig_with_token("jane's"), of_jane] {
        let listening = client(&kubeconfig).await.listen("svc/web", [":80"]).await.unwrap();
        assert_eq!(ask(listening.local_addr()).await.unwrap(), "web-a");
        listening.shutdown(Duration::from_secs(5)).await;
    }
}

#[tokio::test]
async fn the_ca_of_another_cluster_is_not_trusted() {
    let (cluster, other) = (cluster().await, cluster().await);
    let mut config = config(&cluster.kubeconfig_with_token("jane's")).await;
    config.root_cert = self::config(&other.kubeconfig_with_token("")).await.root_cert;
    let client = Client::try_from(config).unwrap();
    assert_eq!(
        told(&client).await,
        "cannot use the API server: its certificate was issued by nobody who is trusted here; is it the right \
         CA?"
    );
}

#[tokio::test]
async fn an_expired_token_is_said_to_be_one() {
    let cluster = cluster().await;
    let client = client(&cluster.kubeconfig_with_token("jane's")).await;
    let listening = client.listen("svc/web", [":80"]).await.unwrap();
    assert_eq!(ask(listening.local_addr()).await.unwrap(), "web-a");
    cluster.revoke_token("jane's");
    assert_eq!(
        told(&client).await,
        "cannot get service 'web' in namespace default: Unauthorized (401 Unauthorized); get fresh \
         credentials"
    );
    listening.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_missing_verb_is_named() {
    let cluster = cluster().await;
    let client = client(&cluster.kubeconfig_with_token("jane's")).await;
    let listening = client.listen("svc/web", [":80"]).await.unwrap();
    let mut events = listening.events();
    watched(&cluster).await;
    for (verb, resource) in [("list", "pods"), ("get", "services")] {
        let right = || Rule::of("jane").verbs([verb]).on(resource);
        cluster.deny(right());
        let what = if resource == "pods" { "pods" } else { "service 'web'" };
        let of = if resource == "pods" { "pods" } else { "services \"web\"" };
        assert_eq!(
            told(&client).await,
            format!(
                "cannot {verb} {what} in namespace default: {of} is forbidden: User \"jane\" cannot {verb} \
                 resource \"{resource}\" in API group \"\" in the namespace \"default\" (403 Forbidden); \
                 the role lacks this right"
            )
        );
        cluster.grant(right());
    }
    // Only the forward itself is refused, to whoever connects.
    cluster.deny(Rule::of("jane").verbs(["create"]).on("pods/portforward"));
    cluster.cut_connections();
    let error = loop {
        let _ = ask(listening.local_addr()).await;
        let mut failed = None;
        while let Ok(Some(event)) =
            tokio::time::timeout(Duration::from_millis(100), events.next()).await
        {
            if let ListenEvent::Failed { error, .. } = event {
                failed = Some(error.to_string());
            }
        }
        if let Some(error) = failed {
            break error;
        }
    };
    assert_eq!(
        error,
        "the API server refused to forward to pod web-a in namespace default: forwarding to this pod is \
         not allowed (403 Forbidden): pods \"web-a\" is forbidden: User \"jane\" cannot create resource \
         \"pods/portforward\" in API group \"\" in the namespace \"default\"; create is missing, the role \
         needs both verbs get and create on pods/portforward"
    );
    listening.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_as_it_was_given() {
    let cluster = cluster().await;
    let config = config(&cluster.kubeconfig_with_token("jane's")).await;
    let url = config.cluster_url.to_string();
    let client = Client::try_from(config).unwrap();
    cluster.shutdown(Duration::ZERO).await;
    assert_eq!(
        told(&client).await,
        "cannot reach the API server: Connection refused (os error 111)"
    );
    let api = KubeApi::new(client).with_server_name(&*url);
    let target: portway_kube::Target = "svc/web".parse().unwrap();
    let target = portway_cluster::TargetConnector::new(api, Tokio::current(), "default", target);
    let error = target.mappings(&[":80".parse().unwrap()]).await.unwrap_err();
    assert_eq!(error.to_string(), format!("cannot reach {url}: Connection refused (os error 111)"));
}
