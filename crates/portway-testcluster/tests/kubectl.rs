//! Real kubectl, an old and a new one, against the cluster over TLS.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;

use common::*;
use portway_interop::{Kubectl, Kubectled};
use portway_testcluster::{Program, Rule, TestCluster, User};
use portway_tokio::Tokio;

/// A kubectl with a kubeconfig.
struct Caller {
    kubectl: Kubectl,
    kubeconfig: PathBuf,
}

/// What a call came to.
#[derive(Debug)]
struct Done {
    ok: bool,
    stdout: String,
    stderr: String,
}

impl Caller {
    fn new(kubectl: &Kubectl, cluster: &TestCluster, user: &User) -> Self {
        let name = format!("{kubectl}-{}-{}", user.name(), cluster.addr().port()).replace(' ', "-");
        let kubeconfig = file(&name, &cluster.kubeconfig_of(user).unwrap());
        Self { kubectl: kubectl.clone(), kubeconfig }
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(self.kubectl.path());
        command.env("KUBECONFIG", &self.kubeconfig);
        // Other servers may have had this address before: no answers kept from them.
        command.args(["--cache-dir", "/dev/null/none", "--request-timeout=30s"]);
        command.args(line.split_whitespace());
        command
    }

    async fn run(&self, line: &str) -> Done {
        let mut command = self.command(line);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Done {
            ok: output.status.success(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// What a call that has to go well prints.
    async fn says(&self, line: &str) -> String {
        let done = self.run(line).await;
        assert!(done.ok && done.stderr.is_empty(), "{} {line}: {done:?}", self.kubectl);
        done.stdout
    }

    /// Of a service kubectl says the port in the pod.
    async fn forward(&self, target: &str, port: u16, in_pod: u16) -> Kubectled {
        let forward = self.kubectl.port_forward(target, &[port]).kubeconfig(&self.kubeconfig);
        let forward = forward.says(&[in_pod]);
        tokio::task::spawn_blocking(move || forward.start().unwrap()).await.unwrap()
    }
}

async fn secure() -> TestCluster {
    TestCluster::builder().tls().no_anonymous().rbac().start(&Tokio::current()).await.unwrap()
}

/// The words of a table, row by row, without the ages at the end.
fn table(text: &str) -> Vec<Vec<&str>> {
    text.lines()
        .map(|line| {
            let mut words: Vec<_> = line.split_whitespace().collect();
            words.pop();
            words
        })
        .collect()
}

fn echoes(kubectl: &Kubectled, port: u16) {
    let mut stream = TcpStream::connect(kubectl.addr(port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"hello").unwrap();
    let mut back = [0; 5];
    stream.read_exact(&mut back).unwrap();
    assert_eq!(&back, b"hello");
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_gets_tables_of_everything() {
    for kubectl in Kubectl::all() {
        let cluster = secure().await;
        let pod = echo_pod(&cluster, "web-0");
        pod.restart();
        cluster.pod("slow").ready(false).create();
        cluster.service("web").selector("app", "web").port("echo", 80, "echo").create();
        cluster.stateful_set("db", 2).create();
        cluster.deployment("api", 1).namespace("else").create();
        let admin = Caller::new(&kubectl, &cluster, &User::admin());
        let expected = [
            vec!["NAME", "READY", "STATUS", "RESTARTS"],
            vec!["db-0", "1/1", "Running", "0"],
            vec!["db-1", "1/1", "Running", "0"],
            vec!["slow", "0/1", "Running", "0"],
            vec!["web-0", "1/1", "Running", "1"],
        ];
        assert_eq!(table(&admin.says("get pods").await), expected, "{kubectl}");
        let selected = admin.says("get po -l app=web -o name").await;
        assert_eq!(selected, "pod/web-0\n");
        assert!(admin.says("get svc web").await.contains("80/TCP"));
        assert_eq!(table(&admin.says("get sts").await)[1], ["db", "2/2"]);
        assert_eq!(table(&admin.says("get deploy -A").await)[1], ["else", "api", "1/1", "1", "1"]);
        assert!(
            admin
                .says("get endpointslices,endpoints,rs,ds,jobs,rc,ns")
                .await
                .contains("namespace/else")
        );
        assert!(admin.says("get all").await.contains("statefulset.apps/db"));
        let yaml = admin.says("get pod web-0 -o yaml").await;
        assert!(
            yaml.contains("containerPort: 7") && yaml.starts_with("apiVersion: v1\nkind: Pod\n"),
            "{yaml}"
        );
        assert!(admin.run("version").await.stdout.contains("Server Version: v1.37.0+portway."));
        assert!(admin.says("api-resources --api-group=apps").await.contains("deployments"));
        // Newer ones ask it in protobuf.
        assert_eq!(admin.says("auth can-i create pods/portforward").await, "yes\n");
        cluster.grant(Rule::of("jane").verbs(["get"]).on("pods"));
        let jane = Caller::new(&kubectl, &cluster, &User::new("jane").group("staff"));
        assert_eq!(jane.says("auth can-i get pods").await, "yes\n");
        let may_not = jane.run("auth can-i create pods --subresource=portforward").await;
        assert!(!may_not.ok && may_not.stdout.starts_with("no - User \"jane\""), "{may_not:?}");
        let who = jane.says("auth whoami").await;
        assert!(who.contains("jane") && who.contains("staff"), "{who}");
        let gone = admin.run("get pod gone").await;
        assert_eq!(gone.stderr, "Error from server (NotFound): pods \"gone\" not found\n");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_applies_what_it_has_the_server_validate_and_explains_kinds() {
    for kubectl in Kubectl::all() {
        let cluster = secure().await;
        let admin = Caller::new(&kubectl, &cluster, &User::admin());
        let service = |color: &str| {
            file(
                &format!("service-{}-{color}", cluster.addr().port()),
                &format!(
                    "apiVersion: v1\nkind: Service\nmetadata: {{name: web, labels: {{color: {color}}}}}\n\
                     spec: {{selector: {{app: web}}, ports: [{{port: 80}}]}}\n"
                ),
            )
        };
        for (color, done) in [("blue", "created"), ("green", "configured"), ("green", "unchanged")]
        {
            let said = admin.says(&format!("apply -f {}", service(color).display())).await;
            assert_eq!(said, format!("service/web {done}\n"), "{kubectl}");
        }
        assert_eq!(admin.says("get svc -l color=green -o name").await, "service/web\n");
        let explained = admin.says("explain deployment").await;
        assert!(explained.contains("KIND:       Deployment"), "{explained}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_deletes_scales_labels_and_waits() {
    for kubectl in Kubectl::all() {
        let cluster = secure().await;
        let pod = echo_pod(&cluster, "web-0");
        let api = cluster.deployment("api", 1).create();
        let admin = Caller::new(&kubectl, &cluster, &User::admin());
        // It waits until the pod is gone.
        assert!(admin.says("delete pod web-0").await.starts_with("pod \"web-0\" deleted"));
        assert_eq!(pod.uid(), None);
        let first = api.pods()[0].name().to_owned();
        admin.says(&format!("delete pod {first}")).await;
        assert_eq!(api.pods().len(), 1, "a deployment makes another");
        assert_ne!(api.pods()[0].name(), first);
        admin.says("label pod -l app=api tier=back").await;
        assert_eq!(api.pods()[0].object().unwrap()["metadata"]["labels"]["tier"], "back");
        api.pods()[0].set_ready(false);
        let watches = cluster.requests("watch", PODS);
        let mut waiting = admin.command("wait --for=condition=Ready pod -l app=api --timeout=30s");
        let waiting = tokio::task::spawn_blocking(move || waiting.output().unwrap());
        while cluster.requests("watch", PODS) == watches && !waiting.is_finished() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        api.pods()[0].set_ready(true);
        let waited = waiting.await.unwrap();
        assert!(String::from_utf8_lossy(&waited.stdout).contains("condition met"), "{waited:?}");
        admin.says("delete deployment api").await;
        assert!(api.pods().is_empty(), "they go with it");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_forwards_to_pods_services_and_workloads() {
    for kubectl in Kubectl::all() {
        let cluster = secure().await;
        echo_pod(&cluster, "web-0");
        cluster.service("web").selector("app", "web").port("echo", 80, "echo").create();
        cluster.deployment("api", 2).port("echo", 7, Program::echo()).create();
        cluster.stateful_set("db", 1).port("echo", 7, Program::echo()).create();
        let admin = Caller::new(&kubectl, &cluster, &User::admin());
        for (target, port, in_pod) in
            [("pod/web-0", 7, 7), ("svc/web", 80, 7), ("deploy/api", 7, 7), ("sts/db", 7, 7)]
        {
            let forward = admin.forward(target, port, in_pod).await;
            echoes(&forward, in_pod);
        }
        // Who may not is told so.
        cluster.grant(Rule::of("jane").verbs(["get", "list"]));
        let jane = Caller::new(&kubectl, &cluster, &User::new("jane"));
        let denied = jane.run("port-forward pod/web-0 :7").await;
        let text = "User \"jane\" cannot create resource \"pods/portforward\" in API group \"\" in the namespace \"default\"";
        assert!(!denied.ok && denied.stderr.contains(text), "{kubectl}: {denied:?}");
        let nobody = Caller {
            kubectl: kubectl.clone(),
            kubeconfig: file("nobody", &cluster.kubeconfig_with_token("wrong")),
        };
        let denied = nobody.run("get pods").await;
        assert!(denied.stderr.contains("You must be logged in to the server"), "{denied:?}");
    }
}
