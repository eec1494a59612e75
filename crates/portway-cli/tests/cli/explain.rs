//! What is said of a mistake, and what to do about it: exact lines.

use portway_testcluster::{Program, Rule, TestCluster, User};
use serde_json::{Value, json};

use crate::process::Ended;
use crate::secure::Secure;

/// Ends with this error.
#[track_caller]
fn expect(ended: &Ended, line: &str) {
    ended.expect_error(1, &format!("error: {line}"));
}

/// A kubeconfig in which something is different.
fn change(kubeconfig: &str, change: impl FnOnce(&mut Value)) -> String {
    let mut object: Value = serde_json::from_str(kubeconfig).unwrap();
    change(&mut object);
    object.to_string()
}

fn user(kubeconfig: &str, user: Value) -> String {
    change(kubeconfig, |object| object["users"][0]["user"] = user)
}

/// The admin's, and a cluster with some things in it.
fn shop() -> (Secure, String) {
    let secure = Secure::start();
    let cluster = &secure.cluster;
    cluster.pod("web-0").label("app", "web").port("http", 8080, Program::page("<p>")).create();
    cluster.pod("cache").namespace("shop").create();
    cluster.service("web").selector("app", "web").port("http", 80, "http").create();
    cluster.service("database").selector("app", "db").port("db", 5432, "db").create();
    let kubeconfig = cluster.kubeconfig().unwrap();
    (secure, kubeconfig)
}

#[test]
fn a_name_that_is_not_found_comes_with_what_there_is() {
    let (secure, kubeconfig) = shop();
    let found = |args: &str, line: &str| expect(&secure.run(args, &kubeconfig), line);
    found(
        "svc/wbe :80",
        "cannot get service 'wbe' in namespace default: services \"wbe\" not found (404 Not Found); did you mean web?",
    );
    found(
        "web :80",
        "cannot get pod 'web' in namespace default: pods \"web\" not found (404 Not Found); did you mean web-0?",
    );
    found(
        "cache :80",
        "cannot get pod 'cache' in namespace default: pods \"cache\" not found (404 Not Found); there is one in namespace shop",
    );
    found(
        "svc/queue :80",
        "cannot get service 'queue' in namespace default: services \"queue\" not found (404 Not Found); in namespace default there is database and web",
    );
    found(
        "job/queue :80",
        "cannot get job 'queue' in namespace default: jobs.batch \"queue\" not found (404 Not Found); there is no job in namespace default",
    );
    found(
        "svc/queue :80 -n shpo",
        "cannot get service 'queue' in namespace shpo: services \"queue\" not found (404 Not Found); there is no namespace shpo; did you mean shop?",
    );
    // In a session between two programs nothing is different.
    found(
        "svc/wbe 80 --stdio",
        "cannot get service 'wbe' in namespace default: services \"wbe\" not found (404 Not Found); did you mean web?",
    );
    found(
        "svc/web :htp",
        "service 'web' does not have a named port 'htp'; of named ports it has http",
    );
}

#[test]
fn who_may_not_list_hears_no_more_than_the_server_said() {
    let (secure, _) = shop();
    secure.cluster.grant(Rule::of("jane").verbs(["get"]));
    let jane = secure.cluster.kubeconfig_of(&User::new("jane")).unwrap();
    expect(
        &secure.run("svc/wbe :80", &jane),
        "cannot get service 'wbe' in namespace default: services \"wbe\" not found (404 Not Found)",
    );
}

#[test]
fn a_denial_names_verb_and_resource_and_where_the_role_is() {
    let (secure, _) = shop();
    let cluster = &secure.cluster;
    let jane = cluster.kubeconfig_of(&User::new("jane")).unwrap();
    let shown = |target: &str| format!("`portway check {target}` shows the Role to apply");
    let place = "in API group \"\" in the namespace \"default\"";
    expect(
        &secure.run("svc/web :80", &jane),
        &format!(
            "cannot get service 'web' in namespace default: services \"web\" is forbidden: User \"jane\" cannot get resource \"services\" {place} (403 Forbidden); the role lacks this right; {}",
            shown("service/web")
        ),
    );
    cluster.grant(Rule::of("jane").verbs(["get", "list", "watch"]).on("pods"));
    cluster.grant(Rule::of("jane").verbs(["get"]).on("pods/portforward"));
    expect(
        &secure.run("web-0 :8080", &jane),
        &format!(
            "URL refused to forward to pod web-0 in namespace default: forwarding to this pod is not allowed (403 Forbidden): pods \"web-0\" is forbidden: User \"jane\" cannot create resource \"pods/portforward\" {place}; create is missing, the role needs both verbs get and create on pods/portforward; {}",
            shown("pod/web-0")
        ),
    );
}

#[test]
fn credentials_that_are_not_taken_say_which_they_were() {
    let (secure, kubeconfig) = shop();
    let refused = |credentials: Value, advice: &str| {
        let said = "cannot get pod 'web-0' in namespace default: Unauthorized (401 Unauthorized); get fresh credentials";
        let ended = secure.run("web-0 :8080", &user(&kubeconfig, credentials));
        expect(&ended, &format!("{said}; {advice}"));
    };
    refused(
        json!({"token": "wrong"}),
        "the token that was sent is over, revoked, or another cluster's: log in again",
    );
    refused(
        json!({}),
        "no credentials were sent: the user of the context has none, or give --token",
    );
    // {"exp":1}
    let ended =
        secure.run("check web-0", &user(&kubeconfig, json!({"token": "e30.eyJleHAiOjF9.x"})));
    assert_eq!(ended.code, Some(1));
    assert_eq!(
        ended.stdout[1],
        "ok    server       does not tell its version (401 Unauthorized), TLS, _ ms"
    );
    let (begin, end) = ended.stdout[2].split_once("expired ").unwrap();
    assert_eq!(
        begin,
        "FAIL  user         cannot ask who we are: Unauthorized (401 Unauthorized); get fresh credentials; the token that was sent "
    );
    assert!(end.ends_with(" days ago: log in again"), "{end}");
    assert_eq!(ended.stdout.len(), 3);
}

#[test]
fn a_credential_plugin_that_is_missing_or_fails_is_named() {
    let (secure, kubeconfig) = shop();
    let plugin = |exec: Value| user(&kubeconfig, json!({ "exec": exec }));
    let v1 = "client.authentication.k8s.io/v1";
    let missing = json!({"apiVersion": v1, "command": "no-such-login", "interactiveMode": "Never"});
    expect(
        &secure.run("web-0 :8080", &plugin(missing.clone())),
        "cannot run the credential plugin `no-such-login`: No such file or directory (os error 2); install it, or put it on the PATH",
    );
    let mut hinted = missing;
    hinted["installHint"] = "\nbrew install no-such-login\nand more".into();
    expect(
        &secure.run("web-0 :8080", &plugin(hinted)),
        "cannot run the credential plugin `no-such-login`: No such file or directory (os error 2); brew install no-such-login",
    );
    let failing = json!({"apiVersion": v1, "command": "sh", "interactiveMode": "Never",
        "args": ["-c", "echo 'session is over' >&2; exit 3"]});
    expect(
        &secure.run("web-0 :8080", &plugin(failing)),
        "the credential plugin failed (exit status: 3): session is over; run it by itself to see why: `sh -c echo 'session is over' >&2; exit 3`",
    );
    let empty = json!({"apiVersion": v1, "command": "echo", "interactiveMode": "Never",
        "args": [json!({"apiVersion": v1, "kind": "ExecCredential"}).to_string()]});
    let ended = secure.run("check web-0", &plugin(empty));
    assert!(
        ended.stdout[0].starts_with("FAIL  config       the credential plugin `echo "),
        "{:?}",
        ended.stdout
    );
    assert!(ended.stdout[0].ends_with("` gave no credentials"), "{:?}", ended.stdout);
    assert_eq!((ended.stdout.len(), ended.code), (1, Some(1)));
}

#[test]
fn a_server_that_is_not_trusted_or_not_there_says_what_to_look_at() {
    let (secure, kubeconfig) = shop();
    let other = Secure::start();
    let theirs: Value = serde_json::from_str(&other.cluster.kubeconfig().unwrap()).unwrap();
    let authority = &theirs["clusters"][0]["cluster"]["certificate-authority-data"];
    let wrong = change(&kubeconfig, |object| {
        object["clusters"][0]["cluster"]["certificate-authority-data"] = authority.clone();
    });
    let ended = secure.run("web-0 :8080", &wrong);
    assert_eq!(ended.code, Some(1));
    let untrusted = "error: cannot use URL: its certificate was issued by nobody who is trusted here; is it the right CA?";
    assert_eq!(ended.stderr, [untrusted]);
    // A certificate of somebody else's authority.
    let stranger = user(&kubeconfig, theirs["users"][0]["user"].clone());
    let ended = secure.run("web-0 :8080", &stranger);
    let line = &ended.stderr[0];
    assert!(
        line.ends_with(
            "; it does not take our certificate, which another cluster's authority may have issued"
        ),
        "{line}"
    );

    let gone = change(&kubeconfig, |object| {
        object["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1".into();
    });
    expect(
        &secure.run("web-0 :8080", &gone),
        "cannot reach https://127.0.0.1:1: Connection refused (os error 111); nothing listens there: is the cluster up, and is this its address?",
    );
    let ended = secure.run("check web-0", &gone);
    assert_eq!(
        ended.stdout[1],
        "FAIL  server       cannot reach https://127.0.0.1:1: Connection refused (os error 111); nothing listens there: is the cluster up, and is this its address?"
    );
    let plain = change(&kubeconfig, |object| {
        let other = TestCluster::builder();
        let plain = Secure::with(other);
        object["clusters"][0]["cluster"]["server"] =
            plain.cluster.url().replace("http://", "https://").into();
        std::mem::forget(plain);
    });
    let ended = secure.run("web-0 :8080", &plain);
    let line = &ended.stderr[0];
    assert!(line.ends_with("; it does not speak TLS: is it plain HTTP, http:// ?"), "{line}");
}

#[test]
fn where_no_cluster_is_configured_it_says_where_it_looked() {
    let (secure, kubeconfig) = shop();
    let give = "give --kubeconfig FILE, or --server URL for one that asks for no credentials, such as `kubectl proxy`";
    let nowhere = "this is no pod of a cluster (KUBERNETES_SERVICE_HOST is not set)";
    expect(
        &secure.end(&mut secure.lost("web-0 80")),
        &format!(
            "no cluster is configured: there is no file HOME/.kube/config, and {nowhere}; {give}"
        ),
    );
    let a = secure.file("a", "");
    let b = secure.file("b", "# nothing yet\n");
    let paths = std::env::join_paths([a.clone(), "/nonexistent/c".into(), b]).unwrap();
    expect(
        &secure.end(secure.lost("web-0 80").env("KUBECONFIG", &paths)),
        &format!(
            "no cluster is configured: HOME/a is empty, there is no file /nonexistent/c, HOME/b names no cluster, and {nowhere}; {give}"
        ),
    );
    let unset = change(&kubeconfig, |object| object["current-context"] = "".into());
    expect(
        &secure.run("web-0 80", &unset),
        "no current context is set in the kubeconfig; there are: portway-testcluster; give --context",
    );
}

#[test]
fn a_name_that_the_kubeconfig_does_not_have_comes_with_those_it_has() {
    let (secure, kubeconfig) = shop();
    let missing = |args: &str, line: &str| expect(&secure.run(args, &kubeconfig), line);
    for kind in ["context", "cluster", "user"] {
        missing(
            &format!("web-0 80 --{kind} portway-testclutser"),
            &format!(
                "{kind} \"portway-testclutser\" does not exist in the kubeconfig; did you mean portway-testcluster?"
            ),
        );
        missing(
            &format!("web-0 80 --{kind} prod"),
            &format!(
                "{kind} \"prod\" does not exist in the kubeconfig; there are: portway-testcluster"
            ),
        );
    }
}
