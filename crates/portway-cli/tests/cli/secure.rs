use std::fs;
use std::path::PathBuf;
use std::process::Command;

use portway_testcluster::{Builder, TestCluster};
use portway_tokio::Tokio;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::process::{Ended, Portway, command};

/// A cluster of Kubernetes' objects, and a home with nothing in it to run `portway` in.
pub(crate) struct Secure {
    // Before the runtime it runs on.
    pub(crate) cluster: TestCluster,
    _runtime: Runtime,
    home: TempDir,
}

impl Secure {
    /// Over TLS, and whoever is granted nothing may do nothing.
    pub(crate) fn start() -> Self {
        Self::with(TestCluster::builder().tls().no_anonymous().rbac())
    }

    pub(crate) fn with(builder: Builder) -> Self {
        let runtime = Runtime::new().unwrap();
        let tokio = Tokio::new(runtime.handle().clone());
        let cluster = runtime.block_on(builder.start(&tokio)).unwrap();
        Self { cluster, _runtime: runtime, home: TempDir::new().unwrap() }
    }

    /// A file in the home.
    pub(crate) fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.home.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// The binary with this kubeconfig, not started yet.
    pub(crate) fn command(&self, args: &str, kubeconfig: &str) -> Command {
        let path = self.file("kubeconfig", kubeconfig);
        let mut command = self.lost(args);
        command.env("KUBECONFIG", path);
        command
    }

    /// The same with no kubeconfig at all.
    pub(crate) fn lost(&self, args: &str) -> Command {
        let mut command = command(args);
        command.env("HOME", self.home.path());
        for name in ["KUBECONFIG", "KUBERNETES_SERVICE_HOST", "HTTPS_PROXY", "https_proxy"] {
            command.env_remove(name);
        }
        command
    }

    /// Runs it to its end with this kubeconfig.
    pub(crate) fn run(&self, args: &str, kubeconfig: &str) -> Ended {
        self.end(&mut self.command(args, kubeconfig))
    }

    /// Runs it to its end. What differs from run to run is named instead: `HOME`, `URL`, `_ ms`.
    pub(crate) fn end(&self, command: &mut Command) -> Ended {
        let mut ended = Portway::spawn(command).end();
        let home = self.home.path().display().to_string();
        let (url, address) = (self.cluster.url(), self.cluster.addr().to_string());
        for line in ended.stdout.iter_mut().chain(&mut ended.stderr) {
            let named =
                line.replace(&url, "URL").replace(&address, "ADDRESS").replace(&home, "HOME");
            *line = without_times(&named);
        }
        ended
    }
}

/// `12.3 ms` is `_ ms`.
fn without_times(line: &str) -> String {
    let mut parts = line.split(" ms").peekable();
    let mut named = String::new();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            named.push_str(part);
            break;
        }
        let rest = part.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
        named.push_str(rest);
        named.push_str(if rest.len() == part.len() { " ms" } else { "_ ms" });
    }
    named
}
