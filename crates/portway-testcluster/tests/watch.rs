//! Lists and watches, over plain HTTP.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::*;
use serde_json::json;

#[tokio::test]
async fn a_list_says_what_there_is_and_a_watch_goes_on_from_there() {
    let cluster = cluster().await;
    echo_pod(&cluster, "web-1");
    echo_pod(&cluster, "web-0");
    cluster.pod("other").namespace("else").create();
    let list = get(&cluster, PODS).await.json();
    assert_eq!((&list["kind"], &list["apiVersion"]), (&json!("PodList"), &json!("v1")));
    assert_eq!(names(&list), ["web-0", "web-1"]);
    assert_eq!(list["items"][0].get("kind"), None, "the kind of a list is said once");
    assert_eq!(names(&get(&cluster, "/api/v1/pods").await.json()), ["web-0", "web-1", "other"]);

    let version = list["metadata"]["resourceVersion"].as_str().unwrap();
    let mut watch =
        Watch::begin(&cluster, &format!("{PODS}?watch=true&resourceVersion={version}")).await;
    let pod = echo_pod(&cluster, "web-2");
    pod.set_ready(false);
    pod.set_ready(false);
    cluster.pod("other").namespace("else").create();
    pod.delete();
    let (kind, object) = watch.next().await.unwrap();
    assert_eq!((kind.as_str(), &object["metadata"]["name"]), ("ADDED", &json!("web-2")));
    assert_eq!((&object["kind"], &object["status"]["phase"]), (&json!("Pod"), &json!("Running")));
    let (kind, object) = watch.next().await.unwrap();
    assert_eq!(
        (kind.as_str(), &object["status"]["conditions"][3]["status"]),
        ("MODIFIED", &json!("False"))
    );
    let (kind, object) = watch.next().await.unwrap();
    assert_eq!(kind, "MODIFIED");
    assert!(object["metadata"]["deletionTimestamp"].is_string());
    assert_eq!(watch.told().await, "DELETED web-2");
    // A watch from before tells the same again.
    let mut again =
        Watch::begin(&cluster, &format!("{PODS}?watch=1&resourceVersion={version}")).await;
    let mut told = Vec::new();
    for _ in 0..4 {
        told.push(again.told().await);
    }
    assert_eq!(told, ["ADDED web-2", "MODIFIED web-2", "MODIFIED web-2", "DELETED web-2"]);
}

#[tokio::test]
async fn a_watch_with_no_version_begins_with_what_there_is() {
    let cluster = cluster().await;
    echo_pod(&cluster, "web-0");
    for version in ["", "&resourceVersion=", "&resourceVersion=0"] {
        let mut watch = Watch::begin(&cluster, &format!("{PODS}?watch=true{version}")).await;
        assert_eq!(watch.told().await, "ADDED web-0");
    }
    // As newer clients list: the end of what there was is marked.
    let all = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let mut watch = Watch::begin(&cluster, &format!("{PODS}?watch=true&{all}")).await;
    assert_eq!(watch.told().await, "ADDED web-0");
    let (kind, object) = watch.next().await.unwrap();
    assert_eq!(kind, "BOOKMARK");
    assert_eq!(object["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
    assert_eq!(object["metadata"]["resourceVersion"], cluster.resource_version().as_str());
    echo_pod(&cluster, "web-1");
    assert_eq!(watch.told().await, "ADDED web-1");
}

#[tokio::test]
async fn what_is_not_selected_any_more_is_gone_for_its_watch() {
    let cluster = cluster().await;
    let pod = echo_pod(&cluster, "web-0");
    let mut watch =
        Watch::begin(&cluster, &format!("{PODS}?watch=1&labelSelector=app%3Dweb")).await;
    let mut one =
        Watch::begin(&cluster, &format!("{PODS}?watch=1&fieldSelector=metadata.name%3Dweb-1"))
            .await;
    assert_eq!(watch.told().await, "ADDED web-0");
    pod.set_labels([("app", "api")]);
    assert_eq!(watch.told().await, "DELETED web-0");
    pod.set_ready(false);
    pod.set_labels([("app", "web")]);
    assert_eq!(watch.told().await, "ADDED web-0");
    echo_pod(&cluster, "web-1");
    assert_eq!(one.told().await, "ADDED web-1");
    let list = get(&cluster, &format!("{PODS}?labelSelector=app+in+(web),!x&limit=500")).await;
    assert_eq!(names(&list.json()), ["web-0", "web-1"]);
    let refused = get(&cluster, &format!("{PODS}?fieldSelector=spec.secret=1")).await;
    assert_eq!(
        (refused.status, &refused.json()["message"]),
        (400, &json!("field label not supported: spec.secret"))
    );
}

#[tokio::test]
async fn who_comes_too_late_begins_anew() {
    let cluster = cluster().await;
    echo_pod(&cluster, "web-0");
    let version = cluster.resource_version();
    cluster.forget_history();
    let mut watch =
        Watch::begin(&cluster, &format!("{PODS}?watch=1&resourceVersion={version}")).await;
    let (kind, status) = watch.next().await.unwrap();
    assert_eq!(
        (kind.as_str(), &status["code"], &status["reason"]),
        ("ERROR", &json!(410), &json!("Expired"))
    );
    let text = format!("too old resource version: {version} ({})", cluster.resource_version());
    assert_eq!(status["message"], text);
    assert_eq!(watch.told().await, "END");
    let list =
        get(&cluster, &format!("{PODS}?resourceVersion={version}&resourceVersionMatch=Exact"))
            .await;
    assert_eq!((list.status, &list.json()["reason"]), (410, &json!("Expired")));
    // Long histories forget by themselves.
    let pod = echo_pod(&cluster, "web-1");
    let version = cluster.resource_version();
    for round in 0..5_000 {
        pod.set_ready(round % 2 == 0);
    }
    let mut watch =
        Watch::begin(&cluster, &format!("{PODS}?watch=1&resourceVersion={version}")).await;
    assert_eq!(watch.next().await.unwrap().1["code"], 410);
}

#[tokio::test]
async fn watches_end_in_time_or_when_told_to() {
    let cluster = cluster().await;
    let mut watch = Watch::begin(&cluster, &format!("{PODS}?watch=1&timeoutSeconds=1")).await;
    assert_eq!(watch.told().await, "END");
    let marked = format!("{PODS}?watch=1&timeoutSeconds=1&allowWatchBookmarks=true");
    let mut watch = Watch::begin(&cluster, &marked).await;
    let (kind, object) = watch.next().await.unwrap();
    assert_eq!((kind.as_str(), &object["kind"]), ("BOOKMARK", &json!("Pod")));
    assert_eq!(object["metadata"]["resourceVersion"], cluster.resource_version().as_str());
    assert_eq!(watch.told().await, "END");

    let mut watch = Watch::begin(&cluster, &format!("{PODS}?watch=1")).await;
    cluster.end_watches();
    assert_eq!(watch.told().await, "END");
    assert_eq!(cluster.requests("watch", PODS), 3);
    assert_eq!(cluster.requests("list", PODS), 0);
}

#[tokio::test]
async fn pages_are_of_one_version() {
    let cluster = cluster().await;
    let pods: Vec<_> = (0..5).map(|i| echo_pod(&cluster, &format!("web-{i}"))).collect();
    let first = get(&cluster, &format!("{PODS}?limit=2")).await.json();
    assert_eq!(names(&first), ["web-0", "web-1"]);
    assert_eq!(first["metadata"]["remainingItemCount"], 3);
    // What happens between two pages is in neither.
    pods[3].delete();
    echo_pod(&cluster, "web-2a");
    let token =
        |page: &serde_json::Value| page["metadata"]["continue"].as_str().unwrap().to_owned();
    let second = get(&cluster, &format!("{PODS}?limit=2&continue={}", token(&first))).await.json();
    assert_eq!(names(&second), ["web-2", "web-3"]);
    assert_eq!(first["metadata"]["resourceVersion"], second["metadata"]["resourceVersion"]);
    let last = get(&cluster, &format!("{PODS}?limit=2&continue={}", token(&second))).await.json();
    assert_eq!(names(&last), ["web-4"]);
    assert_eq!(last["metadata"].get("continue"), None);
    cluster.forget_history();
    let late = get(&cluster, &format!("{PODS}?limit=2&continue={}", token(&second))).await;
    assert_eq!((late.status, &late.json()["reason"]), (410, &json!("Expired")));
    assert_eq!(get(&cluster, &format!("{PODS}?continue=x")).await.status, 400);
}
