use portway_testcluster::{Program, TestCluster};
use portway_tokio::{Port, Tokio};

use super::web::PAGE;
use crate::failure::Failure;

/// The pod and its ports.
pub(super) const POD: &str = "web-0";
pub(super) const NAMESPACE: &str = "default";
pub(super) const WEB: Port = Port::new(80).expect("not zero");
pub(super) const ECHO: Port = Port::new(7).expect("not zero");

/// The service in front of it, and a deployment with pods of its own.
pub(super) const SERVICE: &str = "web";
pub(super) const DEPLOYMENT: &str = "shop";

/// Starts an API server in this process, with a pod, a service and a deployment to forward to.
pub(super) async fn start(runtime: &Tokio) -> Result<TestCluster, Failure> {
    let cluster = TestCluster::start(runtime).await.map_err(Failure::new)?;
    let page = || Program::page(PAGE);
    let pod = cluster.pod(POD).namespace(NAMESPACE).label("app", SERVICE);
    pod.port("http", WEB.get(), page()).port("echo", ECHO.get(), Program::echo()).create();
    let service = cluster.service(SERVICE).namespace(NAMESPACE).selector("app", SERVICE);
    service.port("http", WEB.get(), "http").create();
    let deployment = cluster.deployment(DEPLOYMENT, 2).namespace(NAMESPACE);
    deployment.port("http", WEB.get(), page()).create();
    Ok(cluster)
}
