use std::io::ErrorKind;
use std::time::Duration;

use portway_resolve::PortSpec;
use portway_tokio::{PortForward, PortStream, Protocol, Tokio};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::session::why;
use super::{Finding, Said, Subject, Target, port};
use crate::transfer::both_ways;

/// How long a transfer is to take, about.
const LASTING: f64 = 2.0;

const MIB: u64 = 1024 * 1024;

/// Sends bytes to an echo and reads them back.
///
/// There is nothing else in a pod that bytes could be measured by: what a program does with those it is
/// sent is its own business, and what a port-forward ends at is a program.
pub(crate) async fn measure(target: &Target, spec: &PortSpec, protocol: Protocol, said: &mut Said) {
    let none = Subject::Rate {
        port: spec.remote.to_string(),
        bytes: 0,
        bytes_per_second: None,
        took_ms: None,
    };
    said.tell(&match through(target, spec, protocol).await {
        Ok((bytes, took)) => Finding::ok(Subject::Rate {
            port: spec.remote.to_string(),
            bytes,
            bytes_per_second: Some((bytes as f64 / took.as_secs_f64().max(1e-9)) as u64),
            took_ms: Some(took.into()),
        }),
        Err(problem) => Finding::fail(none, problem),
    });
}

/// How many bytes went each way, in which time.
async fn through(
    target: &Target,
    spec: &PortSpec,
    protocol: Protocol,
) -> Result<(u64, Duration), String> {
    let mapping = port::map(target, spec).await.map_err(|error| error.to_string())?;
    let port = mapping.remote();
    let options = portway_tokio::Options::new().with_protocol(protocol);
    let forward = Tokio::current().forward(target.clone(), &[port], options).await;
    let mut forward = forward.map_err(|error| why(&error))?;
    let mut stream = forward.open(port).map_err(|error| error.to_string())?;
    prove(&mut stream).await?;
    let mut all = (MIB, Duration::ZERO);
    // The first finds out how much the second can be.
    for last in [false, true] {
        let transfer = both_ways(&mut stream, all.0).await.map_err(|error| error.to_string())?;
        if !transfer.is_whole() {
            return Err("what came back is not what was sent: it is no echo".to_owned());
        }
        if last {
            all.1 = transfer.took;
        } else {
            let rate = MIB as f64 / transfer.took.as_secs_f64().max(1e-9);
            all.0 = ((rate * LASTING) as u64).clamp(MIB, 256 * MIB);
        }
    }
    drop(stream);
    forward.shutdown().await;
    Ok(all)
}

/// Whoever listens there is not sent a flood unless it is an echo.
async fn prove(stream: &mut PortStream) -> Result<(), String> {
    const PATIENCE: Duration = Duration::from_secs(3);
    let sent = *b"portway: echo?\r\n";
    let asking = async {
        stream.write_all(&sent).await?;
        let mut back = [0; 16];
        stream.read_exact(&mut back).await?;
        Ok::<_, std::io::Error>(back)
    };
    let instead = "; nothing was measured, for which the port has to be an echo: it sends back what it is sent";
    match timeout(PATIENCE, asking).await {
        Ok(Ok(back)) if back == sent => Ok(()),
        Ok(Ok(_)) => Err(format!("what came back is not what was sent{instead}")),
        Ok(Err(error)) if error.kind() == ErrorKind::UnexpectedEof => {
            Err(format!("it ended before it had sent back what it was sent{instead}"))
        }
        Ok(Err(error)) => Err(format!("{error}{instead}")),
        Err(_) => Err(format!("nothing came back within {} s{instead}", PATIENCE.as_secs())),
    }
}
