//! Who does not read is waited for, or reset; nothing is lost in silence, and memory is bounded.

use futures_lite::future::{or, zip};
use portway_driver::proto::{Config, OverflowPolicy};
use portway_driver::{Net, Port, Runtime};

use super::forward::{expect, read_to_end, write};
use crate::env::{Env, Forwarded, PORT, Served, Setup, ms};
use crate::line::End;
use crate::matrix::Role;
use crate::raw::Seen;

/// A program that pauses gets everything.
pub async fn of_a_slow_program_loses_nothing<R: Runtime + Net>(env: &Env<R>) {
    let mut line = env.line().await;
    let bytes = env.bulk();
    let reading = async {
        env.pass(ms(300)).await;
        line.program.expect(&bytes).await;
    };
    zip(line.pod.write(&bytes), reading).await;
}

/// A pod that pauses gets everything.
pub async fn of_a_slow_pod_loses_nothing<R: Runtime + Net>(env: &Env<R>) {
    let mut line = env.line().await;
    let bytes = env.bulk();
    let reading = async {
        env.pass(ms(300)).await;
        line.pod.expect(&bytes).await;
    };
    zip(line.program.write(&bytes), reading).await;
}

/// A pod that sends and sends to a program that does not read is stopped.
pub async fn of_a_program_is_bounded<R: Runtime + Net>(env: &Env<R>) {
    let mut line = env.line().await;
    let begun = line.pod.flood(env).await;
    // It goes on where it stopped.
    zip(line.pod.flush(), line.program.expect(&vec![1; begun])).await;
}

/// A program that sends and sends to a pod that does not read is stopped.
pub async fn of_a_pod_is_bounded<R: Runtime + Net>(env: &Env<R>) {
    let mut line = env.line().await;
    let begun = line.program.flood(env).await;
    zip(line.program.flush(), line.pod.expect(&vec![1; begun])).await;
}

/// Where the policy says so, who does not read is reset: it gets the front of what was said and then no
/// clean end.
pub async fn with_reset_is_no_clean_end<R: Runtime + Net>(env: &Env<R>) {
    let policy =
        |config: Config| config.with_overflow(OverflowPolicy::Reset).with_recv_buffer(64 * 1024);
    let setup = env.setup();
    let mut line = env.line_with(Setup { session: policy(setup.session.clone()), ..setup }).await;
    let (writer, reader) = match env.role() {
        Role::Client => (&mut line.pod, &mut line.program),
        Role::Server => (&mut line.program, &mut line.pod),
    };
    // A pod that is not reached yet has nothing to be reset.
    writer.write(&[1]).await;
    reader.expect(&[1]).await;
    // On v4 the session ends with it, and nothing is taken any more; else what comes is dropped.
    let reset = async {
        while writer.try_write(&[1; 64 * 1024]).await.is_ok() {
            env.pass(ms(1)).await;
        }
        std::future::pending().await
    };
    let reading = async {
        env.pass(ms(1_000)).await;
        reader.read_to_end().await
    };
    let (all, end) = or(reading, reset).await;
    assert_eq!(end, Seen::Reset);
    assert!(all.iter().all(|byte| *byte == 1), "{}", all.len());
}

/// One stream that is not read holds its neighbours on the session up for its time; then it ends with
/// an error behind what was kept, and they go on.
pub async fn of_one_is_the_end_of_one<R: Runtime + Net>(env: &Env<R>) {
    let setup = env.setup();
    let patience = OverflowPolicy::PauseThenReset(ms(300));
    let config = setup.session.clone().with_overflow(patience).with_recv_buffer(64 * 1024);
    let ports = [PORT, Port::new(9090).unwrap()];
    let flood = vec![1; 12 * env.bulk().len()];
    if env.role() == Role::Client {
        let Forwarded { forward: _forward, mut streams, mut session } =
            env.forward(&ports, env.options().with_session(config)).await;
        // Opened in this order, where it is the first byte that opens.
        for (number, stream) in streams.iter_mut().enumerate() {
            write(stream, b"hello").await;
            session.expect(number, b"hello").await;
        }
        session.push_data(0, &flood);
        session.push_data(1, b"go on");
        let serving = session.flush();
        zip(serving, expect(&mut streams[1], b"go on")).await;
        let (all, end) = read_to_end(&mut streams[0]).await;
        assert!(all.len() < flood.len() && all.iter().all(|byte| *byte == 1), "{}", all.len());
        assert!(end.is_some_and(|error| error.contains("too slow")), "no overflow");
    } else {
        let Served { mut session, mut pods, serving: _serving } =
            env.served(&ports, &Setup { session: config, ..setup }).await;
        session.push_data(0, &flood);
        session.push_data(1, b"go on");
        let reading = async {
            assert_eq!(pods[1].take(5).await.unwrap(), b"go on"[..]);
            pods[1].push(b"gone on");
            pods[1].flush().await.unwrap();
        };
        zip(reading, session.expect(1, b"gone on")).await;
        let (all, end) = End::Socket(pods.remove(0)).read_to_end().await;
        assert_eq!(end, Seen::Reset);
        assert!(all.iter().all(|byte| *byte == 1), "{}", all.len());
    }
}
