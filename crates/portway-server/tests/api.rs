//! The API around a forward: what there is, and pods by name.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use bytes::Bytes;
use common::*;
use http::{Request, Response};
use portway_driver::{Net, Port, Runtime};
use portway_runtimes::on_every_runtime;
use portway_server::{
    Access, Action, Limits, LocalPod, LocalPods, NoPod, PodError, Pods, Server, ServerEvent,
    Target, Verdict,
};
use serde_json::{Value, json};

on_every_runtime!(
    there_is_no_api_unless_asked_for,
    discovery_says_what_there_is,
    a_pod_can_be_read,
    a_pod_that_runs_nowhere_is_pending,
    only_who_may_reads_a_pod,
    other_shapes_are_not_acceptable,
    what_is_not_there_is_a_status,
    a_fallback_comes_behind_the_api,
    kubectls_requests_fit_on_one_connection,
    requests_of_one_connection_are_bounded,
);

const POD: &str = "/api/v1/namespaces/default/pods/demo";

fn get(path: &str, more: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\n{more}\r\n")
}

#[track_caller]
fn json_of(answer: &Answer) -> Value {
    assert_eq!(answer.header("Content-Type"), Some("application/json"), "{answer:?}");
    serde_json::from_str(&answer.body).unwrap()
}

async fn there_is_no_api_unless_asked_for<R: Runtime + Net>(rt: R) {
    let serving = server(&rt).listen(LOCALHOST).await.unwrap();
    for path in ["/api", "/apis", "/version", "/api/v1", POD, "/api/v1/services"] {
        let answer = Raw::ask(serving.local_addr(), &get(path, ""));
        assert_eq!((answer.status, answer.body.as_str()), (404, "404 page not found\n"), "{path}");
    }
}

async fn discovery_says_what_there_is<R: Runtime + Net>(rt: R) {
    // It is no secret, so nobody is asked.
    let nobody = |_| async { Verdict::Unauthorized };
    let serving = server(&rt).with_api().with_authorizer(nobody).listen(LOCALHOST).await.unwrap();
    let ask = |path: &str| {
        let answer =
            Raw::ask(serving.local_addr(), &get(path, "Accept: application/json, */*\r\n"));
        assert_eq!(answer.status, 200, "{answer:?}");
        json_of(&answer)
    };
    assert_eq!(ask("/api?timeout=32s"), json!({ "kind": "APIVersions", "versions": ["v1"] }));
    let groups = json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": [] });
    assert_eq!(ask("/apis?timeout=32s"), groups);
    let resources = ask("/api/v1");
    assert_eq!(resources["groupVersion"], "v1");
    let named: Vec<_> = resources["resources"].as_array().unwrap().iter().collect();
    assert_eq!(
        (&named[0]["name"], &named[1]["name"]),
        (&json!("pods"), &json!("pods/portforward"))
    );
    assert_eq!(named.len(), 2);
    assert!(ask("/version")["gitVersion"].as_str().unwrap().starts_with("v1.36.0+portway."));

    let page = get("/api", "Origin: https://evil.example\r\n");
    assert_eq!(Raw::ask(serving.local_addr(), &page).status, 403);
    let answer = Raw::ask(serving.local_addr(), &get("/api", "").replace("GET", "DELETE"));
    assert_eq!((answer.status, answer.header("Allow")), (405, Some("GET, HEAD")));
    assert_eq!(json_of(&answer)["reason"], "MethodNotAllowed");
}

async fn a_pod_can_be_read<R: Runtime + Net>(rt: R) {
    let port = |port| Port::new(port).unwrap();
    let nowhere = "127.0.0.1:9".parse().unwrap();
    let pod = LocalPod::closed().with_uid("u-1").with_port(port(7), nowhere).with_named_port(
        "http",
        port(80),
        nowhere,
    );
    let pods = LocalPods::new(rt.clone()).with("default", "demo", pod);
    let serving = Server::new(rt.clone(), pods).with_api().listen(LOCALHOST).await.unwrap();
    let answer = Raw::ask(serving.local_addr(), &get(POD, ""));
    assert_eq!(answer.status, 200, "{answer:?}");
    let expected = json!({
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": { "name": "demo", "namespace": "default", "uid": "u-1" },
        "spec": {
            "nodeName": "portway",
            "containers": [{
                "name": "demo",
                "image": "",
                "ports": [
                    { "containerPort": 7, "protocol": "TCP" },
                    { "name": "http", "containerPort": 80, "protocol": "TCP" },
                ],
            }],
        },
        "status": { "phase": "Running", "conditions": [{ "type": "Ready", "status": "True" }] },
    });
    assert_eq!(json_of(&answer), expected);

    let gone = Raw::ask(serving.local_addr(), &get(&POD.replace("demo", "gone"), ""));
    assert_eq!(gone.status, 404);
    assert_eq!(json_of(&gone)["message"], "pods \"gone\" not found");
    assert_eq!(json_of(&gone)["details"], json!({ "name": "gone", "kind": "pods" }));
}

struct Waiting;

impl Pods for Waiting {
    type Pod = ();
    type Socket = portway_tokio::TokioSocket;

    async fn find(&self, _: &Target) -> Result<(), NoPod> {
        Err(NoPod::Unscheduled)
    }

    async fn dial(&self, (): &(), _: Port) -> Result<Self::Socket, PodError> {
        Err(PodError::new("never found"))
    }
}

async fn a_pod_that_runs_nowhere_is_pending<R: Runtime + Net>(rt: R) {
    let serving = Server::new(rt.clone(), Waiting).with_api().listen(LOCALHOST).await.unwrap();
    let answer = Raw::ask(serving.local_addr(), &get(POD, ""));
    let pod = json_of(&answer);
    assert_eq!((answer.status, &pod["status"]["phase"]), (200, &json!("Pending")));
    assert_eq!(pod["spec"]["nodeName"], Value::Null);
}

async fn only_who_may_reads_a_pod<R: Runtime + Net>(rt: R) {
    let readers = |access: Access| async move {
        assert_eq!(access.target, Target::new("default", "demo"));
        match (access.bearer_token().unwrap().as_deref(), access.action) {
            (Some("reader"), Action::Read) => Verdict::Allow,
            (Some(user), _) => Verdict::Forbidden { user: user.into() },
            (None, _) => Verdict::Unauthorized,
        }
    };
    let (server, events) = observed(server(&rt).with_api().with_authorizer(readers));
    let serving = server.listen(LOCALHOST).await.unwrap();
    let addr = serving.local_addr();
    let reader = "Authorization: Bearer reader\r\n";
    assert_eq!(Raw::ask(addr, &get(POD, reader)).status, 200);
    let answer = Raw::ask(addr, &get(POD, "Authorization: Bearer joe\r\n"));
    let text = "pods \"demo\" is forbidden: User \"joe\" cannot get resource \"pods\" in API group \
                \"\" in the namespace \"default\"";
    assert_eq!((answer.status, &json_of(&answer)["message"]), (403, &json!(text)));
    let Ok(ServerEvent::Refused { target, status, .. }) = events.recv() else { panic!() };
    assert_eq!((target.pod.as_str(), status.as_u16()), ("demo", 403));
    assert_eq!(Raw::ask(addr, &get(POD, "")).status, 401);
    // To read is not to forward; and who may do neither is not told what he could read it as.
    let forward = v4_request(&format!("{API}?ports=80"), &[reader.trim()]);
    assert_eq!(Raw::ask(addr, &forward).status, 403);
    assert_eq!(Raw::ask(addr, &get(POD, "Accept: text/html\r\n")).status, 401);
    let page = format!("Origin: https://evil.example\r\n{reader}");
    assert_eq!(Raw::ask(addr, &get(POD, &page)).status, 403);
    let answer = Raw::ask(addr, &get(POD, reader).replace("GET", "DELETE"));
    assert_eq!(answer.status, 405);
}

async fn other_shapes_are_not_acceptable<R: Runtime + Net>(rt: R) {
    let serving = server(&rt).with_api().listen(LOCALHOST).await.unwrap();
    for path in ["/api", "/version", POD] {
        let ask = |accept: &str| {
            Raw::ask(serving.local_addr(), &get(path, &format!("Accept: {accept}\r\n")))
        };
        let answer = ask("application/vnd.kubernetes.protobuf");
        let text = "only the following media types are accepted: application/json";
        assert_eq!((answer.status, &json_of(&answer)["message"]), (406, &json!(text)));
        assert_eq!(json_of(&answer)["reason"], "NotAcceptable");
        assert_eq!(ask("application/vnd.kubernetes.protobuf,application/json").status, 200);
        let aggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
        assert_eq!(ask(aggregated).status, 406);
        assert_eq!(ask(&format!("{aggregated},application/json")).status, 200);
    }
}

async fn what_is_not_there_is_a_status<R: Runtime + Net>(rt: R) {
    let serving = server(&rt).with_api().listen(LOCALHOST).await.unwrap();
    for path in [
        "/api/v1/namespaces/default/services/demo",
        "/api/v1/namespaces/default/pods",
        "/api/v1/nodes?watch=true",
        "/apis/apps/v1/namespaces/default/deployments/demo",
        "/api/v1/namespaces/default/pods/demo/exec",
    ] {
        let answer = Raw::ask(serving.local_addr(), &get(path, ""));
        let text = "the server could not find the requested resource";
        assert_eq!((answer.status, &json_of(&answer)["message"]), (404, &json!(text)), "{path}");
        assert_eq!(json_of(&answer)["reason"], "NotFound");
    }
    for path in ["/", "/openapi/v2", "/openapi/v3", "/metrics", "/apiary"] {
        let answer = Raw::ask(serving.local_addr(), &get(path, ""));
        assert_eq!((answer.status, answer.body.as_str()), (404, "404 page not found\n"), "{path}");
    }
}

async fn a_fallback_comes_behind_the_api<R: Runtime + Net>(rt: R) {
    let fallback =
        |request: Request<Bytes>| async move { Response::new(request.uri().to_string().into()) };
    let server = server(&rt).with_api().with_fallback(fallback);
    let serving = server.listen(LOCALHOST).await.unwrap();
    let ask = |path: &str| Raw::ask(serving.local_addr(), &get(path, ""));
    assert_eq!(ask("/api/v1/nodes").body, "/api/v1/nodes");
    assert_eq!(json_of(&ask("/api"))["kind"], "APIVersions");
    assert_eq!(json_of(&ask(&POD.replace("demo", "gone")))["code"], 404);
}

async fn kubectls_requests_fit_on_one_connection<R: Runtime + Net>(rt: R) {
    let serving = server(&rt).with_api().listen(LOCALHOST).await.unwrap();
    let paths = ["/api", "/apis", "/api/v1", POD, POD];
    let forward = v4_request(&format!("{API}?ports={}", echo_pod()), &[]);
    let requests: String = paths.iter().map(|path| get(path, "")).chain([forward]).collect();
    // All at once, and byte by byte.
    for pieces in [1, requests.len()] {
        let mut raw = Raw::connect(serving.local_addr());
        let mut left = requests.as_bytes().chunks(requests.len().div_ceil(pieces));
        raw.send(left.next().unwrap());
        left.for_each(|piece| raw.send(piece));
        for path in paths {
            let answer = raw.answer();
            assert_eq!(answer.status, 200, "{path}");
            json_of(&answer);
        }
        assert_eq!(raw.answer().status, 101);
        assert_eq!(raw.frame().unwrap().opcode, 2);
    }
}

async fn requests_of_one_connection_are_bounded<R: Runtime + Net>(rt: R) {
    let server = server(&rt).with_api().with_limits(Limits::new().with_requests(3));
    let serving = server.listen(LOCALHOST).await.unwrap();
    let mut raw = Raw::connect(serving.local_addr());
    raw.send(get("/api", "").repeat(5).as_bytes());
    for last in [false, false, true] {
        let answer = raw.answer();
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("Connection").is_some_and(|it| it == "close"), last);
    }
    raw.expect_end();
    // An upgrade is no answer behind which a connection could be closed.
    let mut raw = Raw::connect(serving.local_addr());
    raw.send(get("/api", "").repeat(2).as_bytes());
    raw.send(v4_request(&format!("{API}?ports={}", echo_pod()), &[]).as_bytes());
    assert_eq!([raw.answer().status, raw.answer().status, raw.answer().status], [200, 200, 101]);
    assert_eq!(raw.frame().unwrap().opcode, 2);
}
