//! What a session over SPDY promises, in virtual time. Each file is about one thing, each test about
//! one promise.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic fails the test"
)]

mod chunking;
mod close;
mod data;
mod ends_client;
mod ends_server;
mod error_text;
mod goaway;
mod half_close;
mod limits;
mod liveness;
mod misuse;
mod open;
mod overflow;
mod pair;
mod pairing;
mod ping;
mod reset;
mod reuse;

use portway_proto::{Config, Event, StreamEvent, StreamId};
use portway_testkit::spdy::Spdy;

/// A client that says nothing by itself.
const CLIENT: Config = Config::client().with_keep_alive(None);

/// A server that says nothing by itself.
const SERVER: Config = Config::server().with_keep_alive(None).with_idle_timeout(None);

/// What the server says when it cannot reach the pod's port.
const TEXT: &str = "error forwarding port 8080 to pod demo, uid : connection refused";

/// How often the stream was reported as that.
fn count(rig: &mut Spdy, id: StreamId, event: StreamEvent) -> usize {
    rig.events_of(id).into_iter().filter(|seen| *seen == event).count()
}

/// The reason of `Closed`, which is the last event.
fn closed(rig: &mut Spdy) -> portway_proto::CloseReason {
    match rig.events().pop() {
        Some(Event::Closed(reason)) => reason,
        other => panic!("{other:?} instead of Closed"),
    }
}
