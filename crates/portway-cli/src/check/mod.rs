//! `portway check`: looks at everything that a forward needs, in the order in which each needs what is
//! before it.

mod finding;
mod permission;
mod port;
mod rate;
mod server;
mod session;
mod target;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use portway_cluster::TargetConnector;
use portway_kube::KubeApi;
use portway_tokio::Tokio;

use self::finding::{Finding, Millis, PodState, PortState, Subject, Verdict};
use crate::access::Access;
use crate::args::{CheckArgs, Output, OutputArgs};
use crate::ask::Asker;
use crate::explain::Role;
use crate::failure::Failure;
use crate::output;

/// How long the server may take for an answer, if nothing else is said.
const PATIENCE: Duration = Duration::from_secs(10);

/// The way to a target.
type Target = TargetConnector<KubeApi, Tokio>;

/// Looks, and says what it sees.
pub(crate) async fn run(args: &CheckArgs) -> Result<ExitCode, Failure> {
    let mut said = Said { output: args.output, failed: false };
    look(args, &mut said).await;
    Ok(if said.failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// `None` where nothing further could be found out.
async fn look(args: &CheckArgs, said: &mut Said) -> Option<()> {
    let cluster = match Access::new(args.access.clone()).cluster(None).await {
        Ok(cluster) => cluster,
        Err(error) => {
            let of = Subject::Config { server: None, source: None, namespace: None };
            said.tell(&Finding::fail(of, error));
            return None;
        }
    };
    let namespace: Arc<str> = args.access.namespace.as_deref().unwrap_or(&cluster.namespace).into();
    said.tell(&Finding::ok(Subject::Config {
        server: Some(cluster.server.clone()),
        source: Some(cluster.source.clone()),
        namespace: Some(namespace.to_string()),
    }));

    let patience = cluster.request_timeout().unwrap_or(PATIENCE);
    let api = cluster.api().with_answer_timeout(patience);
    let asker = Asker::new(api.clone(), patience);
    let version = server::version(&asker, &cluster, said).await?;
    let user = server::user(&asker, &cluster, said).await?;
    let rights = permission::needed(&args.target, args.protocol, version);
    let lacking = permission::check(&asker, &rights, &namespace, said).await;

    // Nothing is waited for that is not there.
    let target =
        TargetConnector::new(api, Tokio::current(), Arc::clone(&namespace), args.target.clone())
            .with_watch(false)
            .with_patience(Duration::ZERO)
            .with_pod_running_timeout(Duration::ZERO)
            .with_request_timeout(patience);
    if target::look(&target, &asker, args, &namespace, said).await.is_some() {
        let ports = port::mapped(&target, &args.ports).await;
        let forward = session::open(&target, &ports, args.protocol, said).await;
        port::look(forward, &ports, said).await;
        if let Some(rate) = &args.rate {
            rate::measure(&target, rate, args.protocol, said).await;
        }
    }
    if lacking {
        let role = Role { namespace: &namespace, kind: args.target.kind, user: user.as_deref() };
        let of = Subject::Role { yaml: role.to_string() };
        said.tell(&Finding { of, result: Verdict::Note, problem: None });
    }
    Some(())
}

/// Where findings go, and whether one of them was bad.
#[derive(Debug)]
struct Said {
    output: OutputArgs,
    failed: bool,
}

impl Said {
    fn tell(&mut self, finding: &Finding) {
        self.failed |= finding.result == Verdict::Fail;
        if self.output.quiet {
            return;
        }
        match (self.output.output, &finding.of) {
            (Output::Json, _) => {
                // There is nothing in it that JSON could not say.
                output::line(serde_json::to_string(finding).unwrap_or_default());
            }
            (Output::Text, Subject::Role { yaml }) => output::block(format_args!(
                "\n# What is lacking, for somebody who may grant it: kubectl apply -f FILE\n{yaml}"
            )),
            (Output::Text, _) => output::line(finding),
        }
    }
}
