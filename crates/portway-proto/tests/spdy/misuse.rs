//! Local misuse is a typed error and never more.

use portway_proto::{CloseReason, OpenError, Port, ReadError, StreamError, WriteError};
use portway_testkit::spdy::{Spdy, cancel, data, fin};

use crate::{CLIENT, SERVER};

#[test]
fn an_id_that_was_released_is_unknown_also_when_its_place_is_taken() {
    let (mut rig, old) = Spdy::opened(CLIENT);
    rig.release(old);
    let new = rig.open_replied_after(5);
    assert_ne!(old, new);
    let now = rig.now();
    assert!(rig.session.send(old).is_err() && rig.session.recv(old).is_err());
    assert_eq!((rig.session.port(old), rig.session.failure(old)), (None, None));
    assert!(rig.session.is_done(old));
    rig.session.release(old, now);
    rig.write(new, b"x");
    assert_eq!(rig.frames(), [data(7, "x")]);
}

trait OpenAfter {
    fn open_replied_after(&mut self, error: u32) -> portway_proto::StreamId;
}

impl OpenAfter for Spdy {
    fn open_replied_after(&mut self, error: u32) -> portway_proto::StreamId {
        self.frames();
        self.open_replied(8080, error)
    }
}

#[test]
fn an_id_of_another_session_is_no_stream_of_this_one() {
    let (_, foreign) = {
        let (mut other, _) = Spdy::opened(CLIENT);
        let second = other.open(2);
        (other, second)
    };
    let (mut rig, _) = Spdy::opened(CLIENT);
    assert!(rig.session.send(foreign).is_err());
    rig.release(foreign);
    assert_eq!(rig.frames(), []);
}

#[test]
fn calls_after_the_end_say_so() {
    let (mut rig, id) = Spdy::opened(CLIENT);
    rig.disconnect();
    let now = rig.now();
    assert_eq!(rig.session.open(Port::new(1).unwrap(), now), Err(OpenError::Closed));
    assert_eq!(rig.try_write(id, b"x"), Err(WriteError::Ended));
    assert_eq!(rig.try_finish(id), Err(WriteError::Ended));
    assert_eq!(rig.read(id), Err(ReadError::Failed));
    rig.reset(id);
    assert_eq!(rig.failure(id), Some(StreamError::Session(CloseReason::Disconnected)));
    rig.session.release(id, now);
    rig.session.close(CloseReason::Local, now);
    rig.session.abort(now);
    rig.data(3, "late");
    rig.timeout();
    assert_eq!(rig.frames(), []);
}

#[test]
fn calls_after_the_beginning_of_the_end_say_so() {
    let (mut rig, id) = Spdy::opened(CLIENT);
    let now = rig.now();
    rig.session.close(CloseReason::Local, now);
    assert_eq!(rig.session.open(Port::new(1).unwrap(), now), Err(OpenError::Closed));
    assert_eq!(rig.try_write(id, b"x"), Err(WriteError::Finished));
}

#[test]
fn a_stream_is_finished_once_and_written_to_no_more() {
    let (mut rig, id) = Spdy::accepted(SERVER);
    rig.finish(id);
    assert_eq!(rig.try_finish(id), Err(WriteError::Finished));
    assert_eq!(rig.try_write(id, b"x"), Err(WriteError::Finished));
    assert_eq!(rig.fail(id, "x"), Err(WriteError::Finished));
    assert_eq!(rig.frames(), [fin(3), fin(1)]);
}

#[test]
fn a_client_has_no_error_texts() {
    let (mut rig, id) = Spdy::opened(CLIENT);
    assert_eq!(rig.fail(id, "x"), Err(WriteError::Finished));
    assert_eq!(rig.frames(), []);
    rig.reset(id);
    assert_eq!(rig.frames(), [cancel(3), cancel(1)]);
}

#[test]
fn a_stream_that_nobody_accepted_can_be_released() {
    let mut rig = Spdy::server(SERVER);
    rig.syn_pair(1, 1, "0");
    rig.frames();
    let portway_proto::Event::Stream { id, .. } = rig.events()[0] else { panic!() };
    rig.release(id);
    assert_eq!(rig.session.accept(), None);
    assert_eq!(rig.frames(), [cancel(3), cancel(1)]);
}
