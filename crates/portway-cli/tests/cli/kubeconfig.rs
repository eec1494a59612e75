//! The ways to a cluster, over TLS.

use std::net::{TcpListener, TcpStream};

use portway_testcluster::{Program, Rule, TestCluster, User};

use crate::cluster::{Cluster, expect_echo, file};
use crate::process::{Portway, command, run};

/// `portway` with this kubeconfig.
fn with(cluster: &Cluster, args: &str) -> Portway {
    let config = cluster.config_file();
    let args = format!("{args} --address 127.0.0.1 --kubeconfig {}", config.path().display());
    let portway = Portway::start(&args);
    // The file is read by now, or it ends with an error.
    let _ = config.keep();
    portway
}

#[test]
fn a_pod_is_found_behind_whatever_kubectl_takes_and_more() {
    let cluster = Cluster::tls();
    cluster.service("front").selector("app", "web").port("www", 8080, "http").create();
    cluster.deployment("shop", 1).port("http", 80, Program::echo()).create();
    for args in [
        "web :80",
        "po/web :http",
        "svc/front :8080",
        "service/front :www",
        "deployment/shop :80",
        "deploy/shop :http",
        "-l app=web :80",
        "-l app=web,app!=shop :http",
        "web :80 -n default",
    ] {
        let portway = with(&cluster, args);
        expect_echo(portway.forwarding(80), 10_000);
    }
}

#[test]
fn several_targets_are_forwarded_to_at_once() {
    let cluster = Cluster::tls();
    cluster.service("front").selector("app", "web").port("www", 8080, "http").create();
    cluster.pod("db").port("sql", 5432, Program::source("db")).create();
    let portway = with(&cluster, "-l app=web :80 svc/front :www pod/db :5432 :sql");
    for _ in 0..2 {
        expect_echo(portway.forwarding(80), 10_000);
    }
    for _ in 0..2 {
        let local = portway.forwarding(5432);
        let mut said = String::new();
        std::io::Read::read_to_string(&mut TcpStream::connect(local).unwrap(), &mut said).unwrap();
        assert_eq!(said, "db");
    }
}

#[test]
fn a_list_of_files_is_merged_and_those_that_are_not_there_are_left_out() {
    let cluster = Cluster::tls();
    let config = cluster.config_file();
    let mut command = command("web :80 --address 127.0.0.1");
    let list = std::env::join_paths(["/nonexistent/config".as_ref(), config.path()]).unwrap();
    let portway = Portway::spawn(command.env("KUBECONFIG", list));
    expect_echo(portway.forwarding(80), 100);
}

#[test]
fn flags_are_enough_without_a_file() {
    let builder = TestCluster::builder().tls().token("secret", User::admin());
    let cluster = Cluster::build(builder, Program::echo());
    let authority = file(&cluster.authority_pem().unwrap());
    let certificate = cluster.certificate(&User::admin()).unwrap().unwrap();
    let (pem, key) = (file(&certificate.pem), file(&certificate.key));
    let server = cluster.url();
    let host = server.strip_prefix("https://").unwrap();
    let ca = format!("--certificate-authority {}", authority.path().display());
    let cert = format!(
        "--client-certificate {} --client-key {}",
        pem.path().display(),
        key.path().display()
    );
    for flags in [
        format!("-s {server} {ca} {cert}"),
        format!("-s {server} {ca} --token secret"),
        // The scheme is that of what else is said.
        format!("-s {host} {ca} --token=secret"),
        format!("--server={server} --insecure-skip-tls-verify --token secret"),
        format!("-s {server} {ca} --tls-server-name localhost --token secret"),
    ] {
        let portway = Portway::start(&format!("web :80 --address 127.0.0.1 {flags}"));
        expect_echo(portway.forwarding(80), 100);
    }
}

/// The one line that it ends with: `{}` is the server.
#[track_caller]
fn expect(cluster: &Cluster, args: &str, config: &str, error: &str) {
    let config = file(config);
    let ended = run(&format!("{args} --kubeconfig {}", config.path().display()));
    ended.expect_error(1, &format!("error: {}", error.replace("{}", &cluster.url())));
}

#[test]
fn who_is_not_let_in_is_told_why() {
    let cluster = Cluster::tls();
    let other = Cluster::tls();
    let admin = cluster.kubeconfig().unwrap();
    cluster.deny(Rule::of("jane").on("pods/portforward").verbs(["create"]));
    cluster.deny(Rule::of("jim").on("services"));
    let jane = cluster.kubeconfig_of(&User::new("jane")).unwrap();
    let jim = cluster.kubeconfig_of(&User::new("jim")).unwrap();
    cluster.service("front").selector("app", "web").port("www", 8080, "http").create();
    let authority = file(&other.authority_pem().unwrap());
    for (args, config, error) in [
        (
            "nobody :80",
            &admin,
            r#"cannot get pod 'nobody' in namespace default: pods "nobody" not found (404 Not Found); in namespace default there is web"#.to_owned(),
        ),
        (
            "svc/nobody :80",
            &admin,
            r#"cannot get service 'nobody' in namespace default: services "nobody" not found (404 Not Found); in namespace default there is front"#.to_owned(),
        ),
        (
            "svc/front :81",
            &admin,
            "service 'front' does not have a service port 81; of ports it has 8080".to_owned(),
        ),
        (
            "svc/front :8080",
            &jim,
            r#"cannot get service 'front' in namespace default: services "front" is forbidden: User "jim" cannot get resource "services" in API group "" in the namespace "default" (403 Forbidden); the role lacks this right; `portway check service/front` shows the Role to apply"#.to_owned(),
        ),
        (
            "web :80 --token wrong",
            &admin,
            "cannot get pod 'web' in namespace default: Unauthorized (401 Unauthorized); get fresh credentials; the token that was sent is over, revoked, or another cluster's: log in again".to_owned(),
        ),
        (
            &format!("web :80 --certificate-authority {}", authority.path().display()),
            &admin,
            "cannot use {}: its certificate was issued by nobody who is trusted here; is it the right CA?".to_owned(),
        ),
        (
            "web :80 --tls-server-name elsewhere.example",
            &admin,
            "cannot use {}: invalid peer certificate: certificate not valid for name \"elsewhere.example\"; certificate is only valid for IpAddress(127.0.0.1), DnsName(\"localhost\") or DnsName(\"kubernetes\"); its certificate is for other names: reach it by one of those, or give that to --tls-server-name".to_owned(),
        ),
        (
            "web :80 --context nowhere",
            &admin,
            "context \"nowhere\" does not exist in the kubeconfig; there are: portway-testcluster".to_owned(),
        ),
        (
            "web :80 --cluster nowhere",
            &admin,
            "cluster \"nowhere\" does not exist in the kubeconfig; there are: portway-testcluster".to_owned(),
        ),
        (
            "web :80 --user nobody",
            &admin,
            "user \"nobody\" does not exist in the kubeconfig; there are: portway-testcluster".to_owned(),
        ),
        (
            "web :80",
            &jane,
            r#"{} refused to forward to pod web in namespace default: forwarding to this pod is not allowed (403 Forbidden): pods "web" is forbidden: User "jane" cannot create resource "pods/portforward" in API group "" in the namespace "default"; create is missing, the role needs both verbs get and create on pods/portforward; `portway check pod/web` shows the Role to apply"#.to_owned(),
        ),
    ] {
        expect(&cluster, args, config, &error);
    }
}

#[test]
fn where_no_cluster_is_configured_it_is_said_where_it_was_looked_for() {
    run("web :80").expect_error(
        1,
        "error: no cluster is configured: there is no file /nonexistent/.kube/config, and this is no pod of a cluster (KUBERNETES_SERVICE_HOST is not set); give --kubeconfig FILE, or --server URL for one that asks for no credentials, such as `kubectl proxy`",
    );
    run("web :80 --kubeconfig /nonexistent/config").expect_error(
        1,
        "error: cannot read the kubeconfig /nonexistent/config: No such file or directory (os error 2)",
    );
    let empty = file("");
    let empty = empty.path().display();
    run(&format!("web :80 --kubeconfig {empty}")).expect_error(
        1,
        &format!("error: no cluster is configured: {empty} is empty, and this is no pod of a cluster (KUBERNETES_SERVICE_HOST is not set); give --kubeconfig FILE, or --server URL for one that asks for no credentials, such as `kubectl proxy`"),
    );
}

#[test]
fn an_unreachable_server_is_an_error_at_once() {
    let at = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let refused = TcpStream::connect(at).unwrap_err();
    run(&format!("web :80 --server https://{at}"))
        .expect_error(1, &format!("error: cannot reach https://{at}: {refused}; nothing listens there: is the cluster up, and is this its address?"));
}

#[test]
fn what_a_file_knows_of_credentials_is_not_sent_in_plain_http() {
    let cluster = Cluster::start();
    let config = file(&cluster.kubeconfig_with_token("secret"));
    let portway = Portway::start(&format!(
        "web :80 --address 127.0.0.1 --kubeconfig {}",
        config.path().display()
    ));
    // It would be a token that nobody knows there, and a warning.
    expect_echo(portway.forwarding(80), 100);
}

#[test]
fn the_flags_of_kubectl_are_understood_in_all_their_spellings() {
    let cluster = Cluster::tls();
    let portway = with(
        &cluster,
        "pod/web :80 -ndefault --namespace=default --request-timeout=5 --pod-running-timeout=1m0s \
         -v=0 --context portway-testcluster --insecure-skip-tls-verify=false",
    );
    expect_echo(portway.forwarding(80), 100);
}
