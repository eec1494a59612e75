//! Sessions that carry many connections at a time, for those who want the fewest upgrades.

use std::time::Duration;

use futures_lite::future::zip;
use portway_driver::proto::OverflowPolicy;
use portway_driver::{Net, Options, Runtime, Sessions};

use crate::env::{Env, Site, ms};
use crate::line::End;
use crate::raw::{RawStreams, Seen};

fn shared<R: Runtime + Net>(env: &Env<R>, max_streams: usize) -> Options {
    env.options().with_sessions(Sessions::Shared { max_streams })
}

/// A program that connects and says that.
async fn says<R: Runtime + Net>(
    env: &Env<R>,
    site: &Site<R::Listener>,
    text: &[u8],
) -> End<R::Socket> {
    let mut program = End::Socket(env.connect(site.listening.local_addr()).await);
    program.write(text).await;
    program
}

/// As many programs as a session takes share one upgrade, each with its own bytes; one more dials.
pub async fn is_one_upgrade_for_many<R: Runtime + Net>(env: &Env<R>) {
    let mut site = env.site(shared(env, 5)).await;
    // They come at once: whoever is first dials for all.
    let mut programs = Vec::new();
    for number in 0..5_u8 {
        programs.push(says(env, &site, &[number; 100]).await);
    }
    let mut session = RawStreams::serve(env.accept(&mut site.server).await, env.form()).await;
    let mut said = Vec::new();
    while said.iter().map(Vec::len).sum::<usize>() < 500 {
        let (stream, seen) = session.next().await.expect("the session goes on");
        let Seen::Bytes(bytes) = seen else { panic!("{seen:?}") };
        said.resize(said.len().max(stream + 1), Vec::new());
        said[stream].extend(bytes);
    }
    for (stream, bytes) in said.iter().enumerate() {
        assert_eq!(*bytes, [bytes[0]; 100], "bytes of two programs on stream {stream}");
        session.push_data(stream, bytes);
    }
    session.flush().await;
    for (number, program) in programs.iter_mut().enumerate() {
        program.expect(&[number as u8; 100]).await;
    }
    assert_eq!(site.listening.stats().dialled, 1);
    let mut more = says(env, &site, b"more").await;
    let mut second = RawStreams::serve(env.accept(&mut site.server).await, env.form()).await;
    second.expect(0, b"more").await;
    second.push_data(0, b"answer");
    second.flush().await;
    more.expect(b"answer").await;
    assert_eq!(site.listening.stats().dialled, 2);
}

/// Where a session cannot carry several, each program gets one.
pub async fn is_one_each_where_ports_are_fixed<R: Runtime + Net>(env: &Env<R>) {
    let mut site = env.site(shared(env, 5)).await;
    let mut opened = Vec::new();
    for number in 0..3_u8 {
        let mut one = env.open(&mut site).await;
        one.program.write(&[number; 100]).await;
        one.pod.expect(&[number; 100]).await;
        opened.push(one);
    }
    assert_eq!(site.listening.stats().dialled, 3);
}

/// A program that does not read holds the others of its session up for its time; then it is reset, and
/// they go on.
pub async fn goes_on_without_who_does_not_read<R: Runtime + Net>(env: &Env<R>) {
    let patience = OverflowPolicy::PauseThenReset(ms(300));
    let session = env.setup().session.with_overflow(patience).with_recv_buffer(64 * 1024);
    let mut site = env.site(shared(env, 5).with_session(session)).await;
    let mut slow = says(env, &site, b"slow").await;
    let mut session = RawStreams::serve(env.accept(&mut site.server).await, env.form()).await;
    session.expect(0, b"slow").await;
    let mut quick = says(env, &site, b"quick").await;
    session.expect(1, b"quick").await;
    session.push_data(0, &vec![1; 16 * env.bulk().len()]);
    session.push_data(1, b"answer");
    let held_up = async { while session.next().await != Some((0, Seen::Reset)) {} };
    env.within(Duration::from_secs(20), held_up).await.expect("the slow program is reset");
    let talking = async {
        quick.expect(b"answer").await;
        quick.write(b"and on").await;
    };
    // It sends what was pushed before as well.
    let serving = session.expect(1, b"and on");
    zip(talking, serving).await;
    let (all, end) = slow.read_to_end().await;
    assert_eq!(end, Seen::Reset);
    assert!(all.iter().all(|byte| *byte == 1));
}

/// The loss of a session ends who is on it, and nobody else; who comes next gets another one.
pub async fn is_lost_for_those_on_it<R: Runtime + Net>(env: &Env<R>) {
    let mut site = env.site(shared(env, 2)).await;
    let mut one = says(env, &site, b"one").await;
    let mut first = RawStreams::serve(env.accept(&mut site.server).await, env.form()).await;
    first.expect(0, b"one").await;
    let mut two = says(env, &site, b"two").await;
    first.expect(1, b"two").await;
    let mut three = says(env, &site, b"three").await;
    let mut second = RawStreams::serve(env.accept(&mut site.server).await, env.form()).await;
    second.expect(0, b"three").await;
    first.cut();
    assert_eq!((one.read().await, two.read().await), (Seen::Reset, Seen::Reset));
    three.write(b"and on").await;
    second.expect(0, b"and on").await;
    let _four = says(env, &site, b"four").await;
    second.expect(1, b"four").await;
    let _five = says(env, &site, b"five").await;
    let mut third = RawStreams::serve(env.accept(&mut site.server).await, env.form()).await;
    third.expect(0, b"five").await;
}
