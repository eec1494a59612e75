use std::fmt::Display;
use std::net::SocketAddr;

use portway_tokio::proto::printable;

use super::Report;
use crate::event::{End, Event, What};
use crate::output;

/// kubectl's words for what kubectl has words for (protocol.md E.5), and notes on stderr for the rest.
#[derive(Debug)]
pub(crate) struct Text {
    words: Words,
}

/// Where kubectl's words go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Words {
    Stdout,
    /// Where stdout is somebody else's.
    Stderr,
    Nowhere,
}

impl Words {
    /// One line.
    pub(super) fn say(self, text: impl Display) {
        match self {
            Self::Stdout => output::line(text),
            Self::Stderr => output::note(text),
            Self::Nowhere => {}
        }
    }
}

impl Text {
    pub(crate) const fn new(words: Words) -> Self {
        Self { words }
    }
}

impl Report for Text {
    fn tell(&mut self, event: &Event) {
        match &event.what {
            What::Listening { local, remote, .. } => self.words.say(forwarding(*local, *remote)),
            What::Unopened { error, .. } => output::note(error),
            What::Accepted { local, .. } => self.words.say(handling(*local)),
            What::Failed { connection, local, remote, error, .. } => {
                output::note(format_args!("{}: {error}", name(*connection, *local, *remote)));
            }
            // What the local program does is its own business, and so is our own end.
            What::Ended { end: End::Failed, connection, local, remote, error, .. } => {
                let error = error.as_deref().unwrap_or("it failed");
                output::note(format_args!("{}: {error}", name(*connection, *local, *remote)));
            }
            What::Lost { pod, reason, .. } => note(format_args!("lost pod {pod}: {reason}")),
            What::Resolving { error, .. } => {
                note(format_args!("connections wait for a pod: {error}"));
            }
            What::Restored { pod, after, .. } => note(format_args!(
                "connections go to pod {pod} after {:.1} s",
                after.as_secs_f32()
            )),
            What::Unwatched { error, .. } => {
                note(format_args!("every connection looks its pod up: {error}"));
            }
            What::Full { connections, .. } => output::note(format_args!(
                "{connections} connections are open, which is the limit: further ones wait"
            )),
            What::Missed { events, .. } => {
                output::note(format_args!("{events} events came too fast to be told"));
            }
            What::Stopped { cut: 1 } => {
                output::note("a connection did not end in time and was cut off");
            }
            What::Stopped { cut: more @ 2.. } => output::note(format_args!(
                "{more} connections did not end in time and were cut off"
            )),
            What::Ready
            | What::Connected { .. }
            | What::Retried { .. }
            | What::Ended { .. }
            | What::Stopped { cut: 0 }
            | What::Reached { .. }
            | What::Progress { .. }
            // It is the last word of the command, which says it itself.
            | What::Error { .. } => {}
        }
    }
}

/// What a connection that has ended is called.
fn name(connection: u64, local: SocketAddr, remote: u16) -> String {
    format!("connection {connection} ({local} -> {remote})")
}

/// `Forwarding from 127.0.0.1:5000 -> 5000`
pub(crate) fn forwarding(local: SocketAddr, remote: u16) -> String {
    format!("Forwarding from {local} -> {remote}")
}

/// `Handling connection for 5000`
fn handling(local: SocketAddr) -> String {
    format!("Handling connection for {}", local.port())
}

fn note(text: impl Display) {
    let text = text.to_string();
    output::note(printable(&text).limit(1_500));
}
