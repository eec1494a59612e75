use std::time::Duration;

use portway_proto::{CloseReason, Side, StreamError};

use crate::link::Rule;
use crate::model::{Account, Ending};
use crate::ops::{Action, Op, Setup};
use crate::pair::Pair;
use crate::source::Source;

const SIDES: [Side; 2] = [Side::Client, Side::Server];

/// Two honest sides understand each other whatever the applications and the links do: what is read is
/// what was written, an end that looks clean is one, and nothing hangs.
///
/// A [`Setup`], what the links hold, seed of the cuts; then [`Op`]s.
pub fn pair_honest(data: &[u8]) {
    let mut source = Source::new(data);
    let setup = Setup::honest(&mut source);
    let capacity = source.pick(&[100_000, 1, 300, 5000]);
    let seed = u64::from(source.byte());
    let mut pair = Pair::new(&setup, capacity, seed);
    let mut faults = false;
    for _ in 0..300 {
        if source.is_empty() {
            break;
        }
        let op = Op::read(&mut source, setup.ports.len());
        faults |= op.is_fault();
        pair.apply(&op);
    }
    settle(&mut pair, faults);
}

/// The links are well again, the applications finish and read everything: all must come to an end.
fn settle(pair: &mut Pair, faults: bool) {
    let minutes = Duration::from_secs(300);
    let streams = pair.app(Side::Client).len();
    for side in SIDES {
        pair.rule(side, Rule::Pass);
        for stream in 0..streams {
            pair.act(side, &Action::Finish { stream });
        }
    }
    pair.drive_bounded(200_000, pair.now() + minutes, Pair::read_all);
    pair.check();
    for stream in 0..streams {
        check_settled(pair, stream, faults);
    }

    // A client that never says its end waits for the server's.
    for stream in 0..streams {
        pair.act(Side::Server, &Action::Stop { stream });
    }
    pair.drive_bounded(200_000, pair.now() + minutes, Pair::read_all);
    pair.check();
    assert!(pair.is_closed(), "the pair does not come to an end");
}

fn check_settled(pair: &Pair, stream: usize, faults: bool) {
    let overflow = SIDES.iter().any(|side| {
        let app = pair.app(*side);
        pair.subject(*side).look().failure(app.id(stream)) == Some(&StreamError::Overflow)
    });
    let client = pair.subject(Side::Client);
    // v4 has no other way to say the client's end than the end of everything.
    let client_ended = client.closed() == Some(&CloseReason::Done) && !client.heard_close();
    for from in SIDES {
        let direction = pair.direction(from, stream).expect("both have it");
        let ended = from == Side::Server && client_ended;
        let open = !pair.subject(Side::Client).look().is_closed()
            && !pair.subject(Side::Server).look().is_closed();
        let wanted = direction.reader.ending.is_none() && !direction.writer.gave_up;
        if (open && wanted) || !(faults || overflow || ended) {
            direction.check_complete();
        }
        if !(faults || overflow) {
            let failed = matches!(direction.reader.ending, Some(Ending::Failed(_)));
            assert!(
                !failed || ended || client_ended,
                "{:?} for no reason",
                direction.reader.ending
            );
        }
    }
}

/// As [`pair_honest`], over SPDY: streams are opened at any time, several at once, and one that has
/// ended makes room for the next.
pub fn pair_spdy(data: &[u8]) {
    let mut source = Source::new(data);
    let setup = Setup::honest_spdy(&mut source);
    let capacity = source.pick(&[100_000, 1, 300, 5000]);
    let seed = u64::from(source.byte());
    let mut pair = Pair::new(&setup, capacity, seed);
    pair.act(Side::Client, &Action::Open);
    let mut faults = false;
    for _ in 0..300 {
        if source.is_empty() {
            break;
        }
        let op = Op::read(&mut source, 8);
        faults |= op.is_fault();
        pair.apply(&op);
    }
    settle_spdy(&mut pair, faults);
}

fn settle_spdy(pair: &mut Pair, faults: bool) {
    let minutes = Duration::from_secs(100);
    for side in SIDES {
        pair.rule(side, Rule::Pass);
    }
    pair.finish_all(Side::Client);
    pair.drive_bounded(200_000, pair.now() + minutes, Pair::read_all);
    pair.check();
    for stream in 0..pair.app(Side::Client).len() {
        check_direction(pair, Side::Client, stream, faults);
    }
    pair.finish_all(Side::Server);
    pair.drive_bounded(200_000, pair.now() + minutes, Pair::read_all);
    pair.check();
    for stream in 0..pair.app(Side::Client).len() {
        check_direction(pair, Side::Server, stream, faults);
        let released = pair.app(Side::Client).is_released(stream);
        let account = pair.app(Side::Client).account(stream);
        let id = pair.app(Side::Client).id(stream);
        let failure = pair.subject(Side::Client).look().failure(id);
        // Of an overflow only `Failed` tells, and an application that waits for `Readable` reads no more.
        let overflow = failure == Some(&StreamError::Overflow);
        let ended = released || overflow || account.ending.is_some();
        assert!(ended, "a stream that does not end: {account:?}, {failure:?}");
    }
    pair.act(Side::Client, &Action::Close(CloseReason::Local));
    pair.drive_bounded(200_000, pair.now() + minutes, Pair::read_all);
    assert!(pair.is_closed(), "the pair does not come to an end");
}

/// Everything has arrived that was written, unless somebody gave up.
fn check_direction(pair: &Pair, from: Side, stream: usize, faults: bool) {
    let key = pair.app(Side::Client).key(stream);
    let given_up = |side: Side| {
        let app = pair.app(side);
        let id = app.find(key).map(|stream| app.id(stream));
        id.and_then(|id| pair.subject(side).look().failure(id)).cloned()
    };
    let (client, server) = (given_up(Side::Client), given_up(Side::Server));
    // Nobody could read it, or a slow reader kept the server from reading the opening.
    let slow = [&client, &server]
        .into_iter()
        .any(|failure| matches!(failure, Some(StreamError::Overflow | StreamError::OpenTimeout)));
    if faults || slow {
        return;
    }
    assert_eq!(client, None, "a stream failed for no reason");
    let Some(direction) = pair.direction(from, stream) else {
        let account: &Account = pair.app(Side::Client).account(stream);
        panic!("the server never heard of a stream: {account:?}");
    };
    // What comes after the pod's end is dropped: it wedges servers of Kubernetes.
    if from == Side::Server || !direction.reader.finished {
        direction.check_complete();
        assert!(server.is_none() || from == Side::Server, "{server:?}");
    }
    if from == Side::Server {
        assert_eq!(direction.reader.ending, Some(Ending::Clean));
    }
}
