use std::time::Duration;

use portway_cluster::LookupError;
use portway_resolve::{LocalPort, PortSpec};
use portway_tokio::proto::StreamError;
use portway_tokio::{Connector, Forward, Mapping, PortStream};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::{Finding, PortState, Said, Subject, Target};

/// A port that was asked for, and what it means for the target.
#[derive(Debug)]
pub(crate) struct Mapped {
    /// As it was given.
    port: String,
    pub(crate) mapping: Result<Mapping, LookupError>,
    /// What it is in the pod.
    pod_port: Option<u16>,
}

/// What each port means, by itself: one that means nothing does not hide the others.
pub(crate) async fn mapped(target: &Target, specs: &[PortSpec]) -> Vec<Mapped> {
    let mut all = Vec::with_capacity(specs.len());
    for spec in specs {
        let mapping = map(target, spec).await;
        let pod_port = match &mapping {
            Ok(mapping) => {
                let found = target.resolve(&[mapping.remote()]).await.ok();
                found.and_then(|found| found.ports.first().map(|port| port.get()))
            }
            Err(_) => None,
        };
        all.push(Mapped { port: spec.remote.to_string(), mapping, pod_port });
    }
    all
}

/// Where a port leads.
pub(crate) async fn map(target: &Target, spec: &PortSpec) -> Result<Mapping, LookupError> {
    // The local side is nobody's business here.
    let spec = PortSpec::new(LocalPort::Free, spec.remote.clone());
    let mut mappings = target.mappings(std::slice::from_ref(&spec)).await?;
    Ok(mappings.remove(0))
}

/// Connects to each, all at once, and says what came of it.
pub(crate) async fn look(forward: Option<Forward>, ports: &[Mapped], said: &mut Said) {
    let of = |mapped: &Mapped, state| Subject::Port {
        port: mapped.port.clone(),
        pod_port: mapped.pod_port,
        state,
    };
    let Some(mut forward) = forward else {
        for mapped in ports {
            said.tell(&match &mapped.mapping {
                Ok(_) => Finding::skip(of(mapped, None), "there is no session to try it with"),
                Err(error) => Finding::fail(of(mapped, None), error),
            });
        }
        return;
    };
    let ends = forward.form().capabilities().half_close;
    let mut trying = Vec::new();
    for mapped in ports {
        let stream = mapped.mapping.as_ref().ok().map(|mapping| forward.open(mapping.remote()));
        trying.push(stream.map(|stream| stream.map(|stream| tokio::spawn(connect(stream, ends)))));
    }
    for (mapped, trying) in ports.iter().zip(trying) {
        said.tell(&match (trying, &mapped.mapping) {
            (_, Err(error)) => Finding::fail(of(mapped, None), error),
            (Some(Ok(trying)), _) => match trying.await {
                Ok(Ok(state)) => Finding::ok(of(mapped, Some(state))),
                Ok(Err(Trouble { state, problem })) if state == Some(PortState::Deaf) => {
                    Finding::note(of(mapped, state), problem)
                }
                Ok(Err(Trouble { state, problem })) => Finding::fail(of(mapped, state), problem),
                Err(error) => Finding::fail(of(mapped, None), error),
            },
            (Some(Err(error)), _) => Finding::fail(of(mapped, None), error),
            // A port asked for twice.
            (None, _) => continue,
        });
    }
    forward.shutdown().await;
}

/// Why a port is not known to be open.
struct Trouble {
    state: Option<PortState>,
    problem: String,
}

/// Connects, and leaves as a program does that has nothing to say.
///
/// Nobody says that a port is open: a runtime that could not connect says so, and one that could says
/// nothing. Where the wire has an end of our direction, its answer tells the two apart for sure.
async fn connect(mut stream: PortStream, ends: bool) -> Result<PortState, Trouble> {
    /// What says nothing for so long waits to be spoken to.
    const QUIET: Duration = Duration::from_millis(300);
    /// The same where nothing else can tell: time for a runtime to connect within its own machine.
    const LONGER: Duration = Duration::from_millis(1_500);
    /// Runtimes end a second after we do (protocol.md C.6).
    const LEAVE: Duration = Duration::from_secs(5);
    let quiet = if ends { QUIET } else { LONGER };
    match timeout(quiet, stream.bytes()).await {
        Ok(Ok(Some(_))) => return Ok(PortState::Open),
        Ok(Ok(None)) => return Ok(PortState::Ends),
        Ok(Err(error)) => return Err(trouble(&stream, &error)),
        Err(_) if !ends => return Ok(PortState::Open),
        Err(_) => {}
    }
    let leaving = async {
        // A stream that broke says why when it is read.
        let _ = stream.shutdown().await;
        stream.bytes().await
    };
    match timeout(LEAVE, leaving).await {
        Ok(Ok(_)) => Ok(PortState::Open),
        // It was taken, and cut off instead of ended.
        Ok(Err(_)) if stream.error() == Some(StreamError::RemoteReset) => Ok(PortState::Open),
        Ok(Err(error)) => Err(trouble(&stream, &error)),
        Err(_) => Err(Trouble {
            state: Some(PortState::Deaf),
            problem: format!(
                "neither a word nor an end within {} s of ours: a program that waits, or one that hangs",
                LEAVE.as_secs()
            ),
        }),
    }
}

fn trouble(stream: &PortStream, error: &std::io::Error) -> Trouble {
    match stream.error() {
        Some(StreamError::Remote(text)) => {
            Trouble { state: Some(PortState::Refused), problem: text.to_string() }
        }
        _ => Trouble { state: None, problem: error.to_string() },
    }
}
