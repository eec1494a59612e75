use tokio::sync::{mpsc, oneshot};

/// What becomes of the terminal.
#[derive(Debug)]
#[cfg_attr(not(unix), allow(dead_code, reason = "other systems do not tell"))]
pub(super) enum Change {
    /// It has another size.
    Resized,
    /// It is to be left to others, which is awaited, but not for long.
    Leaving(oneshot::Sender<()>),
    /// It is ours again, and somebody else may have written on it.
    Back,
}

/// Tells of changes for as long as anybody wants to know, and stops the process when its user does.
#[cfg(unix)]
pub(super) async fn watch(changes: mpsc::Sender<Change>) {
    use tokio::signal::unix::{SignalKind, signal};
    let suspend = SignalKind::from_raw(rustix::process::Signal::TSTP.as_raw());
    let resume = SignalKind::from_raw(rustix::process::Signal::CONT.as_raw());
    let all = [SignalKind::window_change(), suspend, resume].map(signal);
    let [Ok(mut resized), Ok(mut suspended), Ok(mut resumed)] = all else { return };
    loop {
        let change = tokio::select! {
            _ = resized.recv() => Change::Resized,
            _ = suspended.recv() => {
                stop(&changes).await;
                Change::Back
            }
            _ = resumed.recv() => Change::Back,
        };
        if changes.send(change).await.is_err() {
            return;
        }
    }
}

/// Stops the process, which goes on here when it is told to.
#[cfg(unix)]
async fn stop(changes: &mpsc::Sender<Change>) {
    use std::time::Duration;

    use rustix::process::{Signal, getpid, kill_process};
    /// A terminal that takes nothing is not waited for.
    const PATIENCE: Duration = Duration::from_millis(200);
    let (sender, left) = oneshot::channel();
    let leaving = async {
        let _ = changes.send(Change::Leaving(sender)).await;
        let _ = left.await;
    };
    let _ = tokio::time::timeout(PATIENCE, leaving).await;
    let _ = kill_process(getpid(), Signal::STOP);
}

/// Nothing tells of changes here.
#[cfg(not(unix))]
pub(super) async fn watch(changes: mpsc::Sender<Change>) {
    changes.closed().await;
}
