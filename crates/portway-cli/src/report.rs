use std::thread;
use std::time::Duration;

use portway_tokio::proto::printable;
use portway_tokio::{Bound, ConnectError, Events, ListenEvent, LocalAddr, Port, RelayFailure};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::output;

/// Says in kubectl's words what happens at a listener (protocol.md E.5).
///
/// It has a thread of its own: whoever reads our output may be slow or asleep, and neither a forward
/// nor an interrupt may wait for that.
#[derive(Debug)]
pub(crate) struct Reporter {
    done: oneshot::Receiver<()>,
}

impl Reporter {
    /// Says which addresses are open, and then every event until the listener is gone.
    pub(crate) fn start(bound: &[Bound], mut events: Events) -> Self {
        let (ended, done) = oneshot::channel();
        let (bound, runtime) = (bound.to_vec(), Handle::current());
        thread::spawn(move || {
            for bound in bound {
                output::line(forwarding(&bound));
            }
            while let Some(event) = runtime.block_on(events.next()) {
                tell(event);
            }
            let _ = ended.send(());
        });
        Self { done }
    }

    /// Waits until everything is said, unless nobody reads it.
    pub(crate) async fn finish(self) {
        const PATIENCE: Duration = Duration::from_millis(500);
        let _ = tokio::time::timeout(PATIENCE, self.done).await;
    }
}

/// One event, as far as the user should know.
pub(crate) fn tell(event: ListenEvent) {
    match event {
        ListenEvent::Accepted { local, .. } => output::line(handling(&local)),
        ListenEvent::Failed { connection, local, remote, error } => {
            let name = name(connection, &local, remote);
            output::note(format_args!("{name}: {}", reason(&error)));
        }
        ListenEvent::Ended { connection, local, remote, report, .. } => match report.failure {
            // What the local program does is its own business, and so is our own end.
            None | Some(RelayFailure::Socket(_) | RelayFailure::Aborted) => {}
            Some(failure) => {
                output::note(format_args!("{}: {failure}", name(connection, &local, remote)));
            }
        },
        ListenEvent::Full { sessions } => output::note(format_args!(
            "{sessions} connections are open, which is the limit: further ones wait"
        )),
        ListenEvent::Missed(events) => {
            output::note(format_args!("{events} events came too fast to be told"));
        }
        ListenEvent::Target(event) => {
            let text = event.to_string();
            output::note(format_args!("{}", printable(&text).limit(1_500)));
        }
        // What cannot be accepted is logged by the driver.
        ListenEvent::Connected { .. }
        | ListenEvent::Retried { .. }
        | ListenEvent::AcceptFailed { .. }
        | _ => {}
    }
}

/// What a connection that has ended is called.
fn name(connection: u64, local: &LocalAddr, remote: Port) -> String {
    format!("connection {connection} ({local} -> {remote})")
}

/// `Forwarding from 127.0.0.1:5000 -> 5000`
pub(crate) fn forwarding(Bound { local, remote, .. }: &Bound) -> String {
    format!("Forwarding from {local} -> {remote}")
}

/// `Handling connection for 5000`
pub(crate) fn handling(local: &LocalAddr) -> String {
    match local.socket_addr() {
        Some(addr) => format!("Handling connection for {}", addr.port()),
        None => format!("Handling connection for {local}"),
    }
}

/// Why there is no session, as one line.
pub(crate) fn reason(error: &ConnectError) -> String {
    let text = error.to_string();
    printable(&text).limit(1_500).to_string()
}
