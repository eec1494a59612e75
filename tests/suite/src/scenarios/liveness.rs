//! Who is dead is noticed; who is only slow is not taken for dead.

use futures_lite::future::or;
use portway_driver::{Net, Runtime};
use portway_testkit::spdy::Frame;

use crate::env::{Env, Setup, ms};
use crate::raw::{Message, Seen};

/// The usual, with pings at short intervals, three of which may stay unanswered.
fn with_pings<R: Runtime + Net>(env: &Env<R>) -> Setup {
    let setup = env.setup();
    let session = setup.session.with_keep_alive(Some(ms(300))).with_keep_alive_misses(3);
    Setup { session, ..setup }
}

/// A peer that answers no ping is dead: whoever waits for it is told.
pub async fn of_a_silent_peer_is_denied<R: Runtime + Net>(env: &Env<R>) {
    let mut line = env.line_with(with_pings(env)).await;
    line.wire().answers = false;
    let Some(end) = line.end_at_ours(ms(5_000), env).await else { panic!("never noticed") };
    assert_eq!(end, Seen::Reset);
}

/// A peer that answers is alive, however long nothing moves.
pub async fn of_an_idle_peer_is_not_denied<R: Runtime + Net>(env: &Env<R>) {
    let mut line = env.line_with(with_pings(env)).await;
    line.wire().attend(|stream| stream.pings >= 5).await;
    line.program.write(b"still").await;
    line.pod.expect(b"still").await;
    line.pod.write(b"here").await;
    line.program.expect(b"here").await;
}

/// A program that does not read for longer than pings take is no dead peer.
pub async fn of_a_paused_session_is_not_denied<R: Runtime + Net>(env: &Env<R>) {
    let mut line = env.line_with(with_pings(env)).await;
    let bytes = env.bulk();
    // While it writes it does not read, and answers nobody.
    let serving = async {
        if line.pod.try_write(&bytes).await.is_ok() {
            line.pod.wire().attend(|_| false).await;
        }
        false
    };
    let reading = async {
        env.pass(ms(1_500)).await;
        line.program.expect(&bytes).await;
        true
    };
    if !or(reading, serving).await {
        let pings = line.pod.wire().pings;
        panic!("taken for dead after {pings} pings that came: {}", line.failure().await);
    }
}

/// A ping is answered, with what it says.
pub async fn is_told_who_asks<R: Runtime + Net>(env: &Env<R>) {
    let mut line = env.line().await;
    // Numbers of ours: even at a server, odd at a client.
    let number = if env.role() == crate::matrix::Role::Client { 2 } else { 7 };
    let (ping, pong) = if env.can().dynamic_open {
        (Message::Spdy(Frame::Ping(number)), Message::Spdy(Frame::Ping(number)))
    } else {
        (Message::Ping(b"there?".to_vec()), Message::Pong(b"there?".to_vec()))
    };
    let wire = line.wire();
    wire.send(&ping).await.unwrap();
    while wire.next().await.unwrap().expect("an answer") != pong {}
}

/// A WebSocket ping is answered by every form that has one.
pub async fn of_the_websocket_is_told<R: Runtime + Net>(env: &Env<R>) {
    let mut line = env.line().await;
    let wire = line.wire();
    wire.send(&Message::Ping(b"there?".to_vec())).await.unwrap();
    while wire.next().await.unwrap().expect("an answer") != Message::Pong(b"there?".to_vec()) {}
}

/// Where it is asked for, a session in which nothing moves is ended after a time, and its program told.
pub async fn of_an_idle_session_has_an_end<R: Runtime + Net>(env: &Env<R>) {
    let setup = env.setup();
    let session = setup.session.with_idle_timeout(Some(ms(300)));
    let mut line = env.line_with(Setup { session, ..setup }).await;
    line.program.write(b"x").await;
    line.pod.expect(b"x").await;
    let started = env.now();
    assert_eq!(line.end_at_ours(ms(3_000), env).await, Some(Seen::Reset));
    let took = env.now() - started;
    assert!(took >= ms(250), "{took:?}");
}

/// A session in which nothing moves is ended after the idle time, and its pod is told.
pub async fn of_an_idle_client_has_an_end<R: Runtime + Net>(env: &Env<R>) {
    let setup = env.setup();
    let session = setup.session.with_idle_timeout(Some(ms(300)));
    let mut line = env.line_with(Setup { session, ..setup }).await;
    line.program.write(b"x").await;
    line.pod.expect(b"x").await;
    let started = env.now();
    assert!(matches!(line.program.read().await, Seen::Reset | Seen::Failed(_)));
    assert_eq!(line.pod.read().await, Seen::Reset);
    let took = env.now() - started;
    assert!(took >= ms(250) && took < ms(3_000), "{took:?}");
}
