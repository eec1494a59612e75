//! kube-rs against the cluster, over TLS, as it is: lists, watches, forwards.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::pin::pin;

use common::*;
use futures_lite::StreamExt;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Config};
use portway_testcluster::{Program, Rule, TestCluster, User, Version};
use portway_tokio::Tokio;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

async fn secure() -> TestCluster {
    TestCluster::builder().tls().no_anonymous().rbac().start(&Tokio::current()).await.unwrap()
}

async fn client(kubeconfig: &str) -> Client {
    let kubeconfig = Kubeconfig::from_yaml(kubeconfig).unwrap();
    let options = KubeConfigOptions::default();
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await.unwrap();
    Client::try_from(config).unwrap()
}

async fn admin(cluster: &TestCluster) -> Client {
    client(&cluster.kubeconfig().unwrap()).await
}

fn code<T: std::fmt::Debug>(result: kube::Result<T>) -> (u16, String, String) {
    let error = result.unwrap_err();
    let kube::Error::Api(status) = error else { panic!("{error:?}") };
    (status.code, status.reason, status.message)
}

#[tokio::test]
async fn objects_are_listed_read_changed_and_deleted() {
    let cluster = secure().await;
    echo_pod(&cluster, "web-0");
    echo_pod(&cluster, "web-1");
    cluster.service("web").selector("app", "web").port("echo", 80, "echo").create();
    cluster.deployment("api", 3).port("http", 8080, Program::page("<p>")).create();
    let client = admin(&cluster).await;
    let version = client.apiserver_version().await.unwrap();
    assert_eq!((version.major.as_str(), version.minor.as_str()), ("1", "37"));

    let pods: Api<Pod> = Api::default_namespaced(client.clone());
    let web = pods.list(&ListParams::default().labels("app=web")).await.unwrap();
    let found: Vec<_> = web.items.iter().filter_map(|pod| pod.metadata.name.as_deref()).collect();
    assert_eq!(found, ["web-0", "web-1"]);
    assert_eq!(
        pods.list(&ListParams::default().limit(2)).await.unwrap().metadata.remaining_item_count,
        Some(3)
    );
    let deployments: Api<Deployment> = Api::all(client.clone());
    let api = deployments.list(&ListParams::default()).await.unwrap().items.remove(0);
    assert_eq!(api.status.unwrap().ready_replicas, Some(3));
    let slices: Api<EndpointSlice> = Api::default_namespaced(client.clone());
    let slice = slices.list(&ListParams::default()).await.unwrap().items.remove(0);
    assert_eq!((slice.endpoints.unwrap().len(), slice.ports.unwrap()[0].port), (2, Some(7)));
    let services: Api<Service> = Api::default_namespaced(client.clone());
    assert!(
        services.get("web").await.unwrap().spec.unwrap().cluster_ip.unwrap().starts_with("10.96.")
    );

    let text = "pods \"web-2\" not found".to_owned();
    assert_eq!(code(pods.get("web-2").await), (404, "NotFound".to_owned(), text));
    let made: Pod = serde_json::from_value(json!({
        "metadata": { "name": "made", "labels": { "app": "web" } },
        "spec": { "containers": [{ "name": "c", "image": "i" }] },
    }))
    .unwrap();
    let pod = pods.create(&PostParams::default(), &made).await.unwrap();
    assert_eq!(pod.status.as_ref().unwrap().phase.as_deref(), Some("Running"));
    let again = code(pods.create(&PostParams::default(), &made).await);
    assert_eq!((again.0, again.1.as_str()), (409, "AlreadyExists"));
    let patch = Patch::Merge(json!({ "metadata": { "labels": { "app": null, "x": "y" } } }));
    let patched = pods.patch("made", &PatchParams::default(), &patch).await.unwrap();
    assert_eq!(
        patched.metadata.labels.clone().unwrap().into_iter().collect::<Vec<_>>(),
        [("x".to_owned(), "y".to_owned())]
    );
    let mut stale = pod;
    stale.metadata.resource_version = Some("1".to_owned());
    stale.status = None;
    let conflict = code(pods.replace("made", &PostParams::default(), &stale).await);
    assert_eq!((conflict.0, conflict.1.as_str()), (409, "Conflict"));
    pods.delete("made", &DeleteParams::default()).await.unwrap();
    assert_eq!(code(pods.get("made").await).0, 404);
}

#[tokio::test]
async fn a_watcher_follows_the_pods_through_every_accident() {
    for streaming in [false, true] {
        let cluster = secure().await;
        echo_pod(&cluster, "web-0");
        let pods: Api<Pod> = Api::default_namespaced(admin(&cluster).await);
        let config = watcher::Config::default().labels("app=web");
        let config = if streaming { config.streaming_lists() } else { config };
        let mut events = pin!(watcher(pods, config).default_backoff());
        let mut next = async || {
            loop {
                let event = timeout(PATIENCE, events.next()).await.unwrap().unwrap();
                let name = |pod: &Pod| pod.metadata.name.clone().unwrap();
                match event {
                    Ok(watcher::Event::InitApply(pod) | watcher::Event::Apply(pod)) => {
                        return format!("+{}", name(&pod));
                    }
                    Ok(watcher::Event::Delete(pod)) => return format!("-{}", name(&pod)),
                    Ok(watcher::Event::Init | watcher::Event::InitDone) => {}
                    // What was cut or forgotten is asked for anew.
                    Err(_) => {}
                }
            }
        };
        assert_eq!(next().await, "+web-0");
        let pod = echo_pod(&cluster, "web-1");
        assert_eq!(next().await, "+web-1");
        pod.delete();
        assert_eq!((next().await, next().await), ("+web-1".to_owned(), "-web-1".to_owned()));
        cluster.end_watches();
        echo_pod(&cluster, "web-2");
        assert_eq!(next().await, "+web-2");
        cluster.cut_connections();
        echo_pod(&cluster, "web-3");
        // Either the watch goes on from where it was, or everything is listed anew.
        while next().await != "+web-3" {}
        cluster.forget_history();
        cluster.end_watches();
        echo_pod(&cluster, "web-4");
        while next().await != "+web-4" {}
        assert!(cluster.requests("watch", PODS) >= 3);
    }
}

#[tokio::test]
async fn a_pod_is_forwarded_to() {
    let cluster = secure().await;
    echo_pod(&cluster, "web-0");
    let pods: Api<Pod> = Api::default_namespaced(admin(&cluster).await);
    let mut forward = pods.portforward("web-0", &[7]).await.unwrap();
    let mut stream = forward.take_stream(7).unwrap();
    stream.write_all(b"hello").await.unwrap();
    let mut back = [0; 5];
    timeout(PATIENCE, stream.read_exact(&mut back)).await.unwrap().unwrap();
    assert_eq!(&back, b"hello");
    drop(stream);
    let mut refused = pods.portforward("web-0", &[8]).await.unwrap();
    let error = timeout(PATIENCE, refused.take_error(8).unwrap()).await.unwrap().unwrap();
    assert!(error.contains("connection refused"), "{error}");
}

#[tokio::test]
async fn who_may_what_is_told_by_certificates_and_tokens() {
    let cluster = secure().await;
    echo_pod(&cluster, "web-0");
    cluster.add_token("secret", User::new("ci"));
    cluster.grant(Rule::of("devs").verbs(["get", "list"]).on("pods"));
    let jane = User::new("jane").group("devs");
    let jane = client(&cluster.kubeconfig_of(&jane).unwrap()).await;
    let pods: Api<Pod> = Api::default_namespaced(jane.clone());
    pods.get("web-0").await.unwrap();
    let text = "pods \"web-0\" is forbidden: User \"jane\" cannot delete resource \"pods\" in API group \"\" in the namespace \"default\"";
    let denied = code(pods.delete("web-0", &DeleteParams::default()).await);
    assert_eq!(denied, (403, "Forbidden".to_owned(), text.to_owned()));
    let deployments: Api<Deployment> = Api::all(jane.clone());
    let text = "deployments.apps is forbidden: User \"jane\" cannot list resource \"deployments\" in API group \"apps\" at the cluster scope";
    assert_eq!(code(deployments.list(&ListParams::default()).await).2, text);

    let may = async |client: &Client, verb: &str| {
        let attributes = ResourceAttributes {
            namespace: Some("default".to_owned()),
            verb: Some(verb.to_owned()),
            resource: Some("pods".to_owned()),
            subresource: Some("portforward".to_owned()),
            ..ResourceAttributes::default()
        };
        let spec = SelfSubjectAccessReviewSpec {
            resource_attributes: Some(attributes),
            ..SelfSubjectAccessReviewSpec::default()
        };
        let review = SelfSubjectAccessReview { spec, ..SelfSubjectAccessReview::default() };
        let reviews: Api<SelfSubjectAccessReview> = Api::all(client.clone());
        reviews.create(&PostParams::default(), &review).await.unwrap().status.unwrap().allowed
    };
    let ci = client(&cluster.kubeconfig_with_token("secret")).await;
    cluster.grant(Rule::of("ci").verbs(["create"]).on("pods/portforward"));
    assert!(may(&ci, "create").await && !may(&ci, "get").await);
    assert!(!may(&jane, "create").await);
    assert!(may(&admin(&cluster).await, "get").await);
    let nobody = client(&cluster.kubeconfig_with_token("wrong")).await;
    let pods: Api<Pod> = Api::default_namespaced(nobody);
    assert_eq!(code(pods.get("web-0").await).0, 401);
}

#[tokio::test]
async fn who_somebody_is_is_told_from_1_28_on() {
    let who = async |cluster: &TestCluster, user: &User| {
        let reviews: Api<SelfSubjectReview> =
            Api::all(client(&cluster.kubeconfig_of(user).unwrap()).await);
        let review = SelfSubjectReview::default();
        reviews.create(&PostParams::default(), &review).await.map(|review| {
            let info = review.status.unwrap().user_info.unwrap();
            (info.username.unwrap(), info.groups.unwrap())
        })
    };
    let cluster = secure().await;
    let jane = User::new("jane").group("devs");
    let groups = ["devs", "system:authenticated"].map(str::to_owned).to_vec();
    // Nothing is granted to her, and nothing has to be.
    assert_eq!(who(&cluster, &jane).await.unwrap(), ("jane".to_owned(), groups));
    let builder = TestCluster::builder().tls().version(Version::new(27));
    let old = builder.start(&Tokio::current()).await.unwrap();
    let (status, _, message) = code(who(&old, &jane).await);
    assert_eq!(
        (status, message.as_str()),
        (404, "the server could not find the requested resource")
    );
}
