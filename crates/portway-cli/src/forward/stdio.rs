use std::io;
use std::process::ExitCode;
use std::sync::Arc;

use portway_resolve::LocalPort;
use portway_tokio::{Forward, Port, PortForward, PortStream, Tokio};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf, split};

use super::open::{OpenError, Opening};
use crate::access::Access;
use crate::args::ForwardArgs;
use crate::explain::failed;
use crate::failure::Failure;
use crate::interrupt::Interrupts;
use crate::wanted::Wanted;

/// `--stdio`: one connection, between the standard streams and a port.
///
/// The end of standard input ends the sending and nothing else. It is over when the pod has ended its
/// own, or nobody reads standard output any more.
pub(super) async fn run(args: ForwardArgs, wanted: &[Wanted]) -> Result<ExitCode, Failure> {
    let wanted = the_only_one(wanted)?;
    let mut interrupts = Interrupts::install().map_err(Failure::new)?;
    let bridged = async {
        let mut access = Access::new(args.access.clone());
        let forward = match open(&args, wanted, &mut access).await {
            Ok(forward) => forward,
            Err(error) => return Err(failed(error, wanted, &mut access).await),
        };
        bridge(forward).await
    };
    tokio::select! {
        bridged = bridged => bridged.map(|()| ExitCode::SUCCESS),
        // What was under way is cut short, which is no success.
        signal = interrupts.next() => Ok(signal.exit_code()),
    }
}

/// There are no two standard inputs.
fn the_only_one(wanted: &[Wanted]) -> Result<&Wanted, Failure> {
    if let [wanted] = wanted
        && let [spec] = wanted.ports.as_slice()
    {
        return match &spec.local {
            LocalPort::Number(_) | LocalPort::Unix(_) => Err(Failure::usage(format_args!(
                "--stdio opens no local port; give {} in place of {spec}",
                spec.remote
            ))),
            LocalPort::Same | LocalPort::Free | _ => Ok(wanted),
        };
    }
    Err(Failure::usage("--stdio is for one port; give one target and one port of it"))
}

/// The session, and its one port.
async fn open(
    args: &ForwardArgs,
    wanted: &Wanted,
    access: &mut Access,
) -> Result<Forward, OpenError> {
    let opening = Opening::of(args);
    let cluster = access.cluster(wanted.context.as_deref()).await?;
    let namespace: Arc<str> = wanted.namespace.as_deref().unwrap_or(&cluster.namespace).into();
    let connector = opening.connector(wanted, &cluster, &namespace);
    let mappings = opening.mappings(wanted, &connector).await?;
    let ports: Vec<Port> = mappings.iter().map(portway_tokio::Mapping::remote).collect();
    let options = wanted.policies.options(cluster.request_timeout());
    Ok(Tokio::current().forward(connector, &ports, options).await?)
}

async fn bridge(mut forward: Forward) -> Result<(), Failure> {
    let ports: &[Port] = forward.ports();
    let port = *ports.first().ok_or_else(|| Failure::new("no port was opened"))?;
    let stream = forward.open(port).map_err(Failure::new)?;
    let (from_pod, to_pod) = split(stream);
    let mut up = std::pin::pin!(send(to_pod));
    let mut down = std::pin::pin!(receive(from_pod));
    let ended = tokio::select! {
        ended = &mut down => ended,
        // What the pod says of a failure is with what it has said before.
        () = &mut up => down.await,
    };
    if ended.is_ok() {
        // The session is told that it is over; it may take its time.
        let _ = tokio::time::timeout(super::DRAIN, forward.shutdown()).await;
    }
    ended
}

/// From standard input to the pod.
async fn send(mut to_pod: WriteHalf<PortStream>) {
    // A failure is seen by who receives.
    let _ = copy(tokio::io::stdin(), &mut to_pod).await;
    let _ = to_pod.shutdown().await;
}

/// From the pod to standard output.
async fn receive(from_pod: ReadHalf<PortStream>) -> Result<(), Failure> {
    match copy(from_pod, &mut tokio::io::stdout()).await {
        Ok(()) => Ok(()),
        Err(Broken::Reading(error)) => Err(Failure::new(error)),
        // Who has read enough needs no more.
        Err(Broken::Writing(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(Broken::Writing(error)) => {
            Err(Failure::new(format_args!("cannot write to standard output: {error}")))
        }
    }
}

/// Which side of a copy broke.
enum Broken {
    Reading(io::Error),
    Writing(io::Error),
}

/// Every piece goes out at once, since who is at the other end may wait for it.
async fn copy(
    mut from: impl AsyncRead + Unpin,
    to: &mut (impl AsyncWrite + Unpin),
) -> Result<(), Broken> {
    const PIECE: usize = 256 * 1024;
    let mut piece = vec![0; PIECE];
    loop {
        let read = from.read(&mut piece).await.map_err(Broken::Reading)?;
        if read == 0 {
            return Ok(());
        }
        to.write_all(&piece[..read]).await.map_err(Broken::Writing)?;
        to.flush().await.map_err(Broken::Writing)?;
    }
}
