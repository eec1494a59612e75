//! Which session a connection gets, and which it does not.

use portway_driver::{ListenEvent, Listening, Net, Runtime, Socket};
use portway_testkit::spdy::{self, Frame};

use crate::env::{Env, Opened, PORT, Site, ms};
use crate::raw::{Asked, Message, RawStream, Seen};

/// A program that has come and gone, and the session it has left behind.
async fn left_behind<R: Runtime + Net>(
    env: &Env<R>,
    site: &mut Site<R::Listener>,
) -> RawStream<R::Socket> {
    gone(env.open(site).await).await
}

/// A program that goes, and the session it leaves behind.
async fn gone<S: Socket>(mut opened: Opened<S>) -> RawStream<S> {
    opened.program.write(b"first").await;
    opened.pod.expect(b"first").await;
    opened.program.finish().await;
    assert_eq!(opened.pod.read().await, Seen::End);
    opened.pod.push_end();
    opened.pod.pipe.flush().await.unwrap();
    assert_eq!(opened.program.read().await, Seen::End);
    opened.pod
}

async fn idle<R: Runtime + Net>(env: &Env<R>, listening: &Listening, sessions: usize) {
    let what = format!("{sessions} sessions wait");
    env.eventually(&what, || listening.stats().idle == sessions).await;
}

/// A session whose connection is over and whose five workers answer carries the next one.
pub async fn a_session_is_left_to_the_next<R: Runtime + Net>(env: &Env<R>) {
    let mut site = env.site(env.options()).await;
    let mut session = left_behind(env, &mut site).await;
    session.attend(|session| session.pings >= 5).await;
    idle(env, &site.listening, 1).await;
    let mut program = env.connect(site.listening.local_addr()).await;
    program.push(b"second");
    program.flush().await.unwrap();
    session.open_as_server(PORT.get()).await;
    session.expect(b"second").await;
    assert_eq!(session.pings, 5, "no more than five pings, and no fewer");
    assert_eq!(site.listening.stats().dialled, 1);
}

/// A session one of whose workers is stuck carries nobody any more (protocol.md C.8).
pub async fn a_stuck_session_is_not_used_again<R: Runtime + Net>(env: &Env<R>) {
    let session = env.setup().session.with_check_timeout(ms(300));
    let mut site = env.site(env.options().with_session(session)).await;
    let mut session = left_behind(env, &mut site).await;
    session.answers = false;
    session.attend(|session| session.pings >= 5).await;
    for id in [1, 3, 5, 7] {
        session.push(&Message::Spdy(Frame::Ping(id)));
    }
    // It goes, with a goodbye; the next program gets another.
    assert!(session.goodbye().await.is_some());
    assert_eq!(site.listening.stats().idle, 0);
    let mut opened = env.open(&mut site).await;
    opened.program.write(b"second").await;
    opened.pod.expect(b"second").await;
}

/// Until a session's health is known, nobody is sent to it.
pub async fn nobody_waits_for_a_check<R: Runtime + Net>(env: &Env<R>) {
    let mut site = env.site(env.options()).await;
    let mut session = left_behind(env, &mut site).await;
    session.answers = false;
    session.attend(|session| session.pings >= 5).await;
    let opened = env.within(ms(2_000), env.open(&mut site)).await;
    let mut opened = opened.expect("another session at once");
    opened.program.write(b"second").await;
    opened.pod.expect(b"second").await;
}

/// A session that turns out dead as it is used costs the program nothing: the same bytes go to another.
pub async fn a_dead_session_costs_no_byte<R: Runtime + Net>(env: &Env<R>) {
    let mut site = env.site(env.options()).await;
    let mut session = left_behind(env, &mut site).await;
    session.attend(|session| session.pings >= 5).await;
    idle(env, &site.listening, 1).await;
    let mut events = site.listening.events();
    let mut program = env.connect(site.listening.local_addr()).await;
    program.push(b"second");
    program.flush().await.unwrap();
    session.wait_for_opening(PORT.get()).await;
    session.cut();
    let mut next = env.serve(&mut site.server).await;
    next.expect(b"second").await;
    let retried = async {
        while !matches!(events.next().await.unwrap(), ListenEvent::Retried { connection: 2, .. }) {}
    };
    retried.await;
    next.push_data(b"answer");
    next.pipe.flush().await.unwrap();
    assert_eq!(program.take(6).await.unwrap(), b"answer"[..]);
}

/// A session that is lost between two connections is missed at once, and the next gets another.
pub async fn a_lost_session_is_not_waited_for<R: Runtime + Net>(env: &Env<R>) {
    let mut site = env.site(env.options()).await;
    let mut session = left_behind(env, &mut site).await;
    session.attend(|session| session.pings >= 5).await;
    idle(env, &site.listening, 1).await;
    session.cut();
    idle(env, &site.listening, 0).await;
    let mut events = site.listening.events();
    let mut opened = env.open(&mut site).await;
    opened.program.write(b"second").await;
    opened.pod.expect(b"second").await;
    // It was known before: the connection has noticed nothing.
    for _ in 0..2 {
        let event = events.next().await.unwrap();
        assert!(
            matches!(event, ListenEvent::Accepted { .. } | ListenEvent::Connected { .. }),
            "{event:?}"
        );
    }
}

/// A server that says goodbye to a session that waits is not asked for a stream on it any more.
pub async fn a_goodbye_sends_the_next_elsewhere<R: Runtime + Net>(env: &Env<R>) {
    let mut site = env.site(env.options()).await;
    let mut session = left_behind(env, &mut site).await;
    session.attend(|session| session.pings >= 5).await;
    idle(env, &site.listening, 1).await;
    let last = session.data_id();
    session.send(&Message::Spdy(spdy::go_away(last, 0))).await.unwrap();
    idle(env, &site.listening, 0).await;
    let mut opened = env.open(&mut site).await;
    opened.program.write(b"second").await;
    opened.pod.expect(b"second").await;
}

/// A goodbye lets who is connected finish, both ways; who comes meanwhile gets another session.
pub async fn a_goodbye_lets_who_is_there_finish<R: Runtime + Net>(env: &Env<R>) {
    let mut site = env.site(env.options()).await;
    let mut first = env.open(&mut site).await;
    first.program.write(b"half a req").await;
    first.pod.expect(b"half a req").await;
    let last = first.pod.data_id();
    first.pod.push(&Message::Spdy(spdy::go_away(last, 0)));
    first.pod.push_data(b"half an ans");
    first.pod.pipe.flush().await.unwrap();
    first.program.expect(b"half an ans").await;
    let mut second = env.open(&mut site).await;
    second.program.write(b"second").await;
    second.pod.expect(b"second").await;
    first.program.write(b"uest").await;
    first.pod.expect(b"uest").await;
    first.program.finish().await;
    assert_eq!(first.pod.read().await, Seen::End);
    first.pod.push_data(b"wer");
    first.pod.push_end();
    first.pod.pipe.flush().await.unwrap();
    assert_eq!(first.program.read_to_end().await, (b"wer".to_vec(), Seen::End));
    assert_eq!(site.listening.stats().broken, 0);
}

/// A text in place of an answer may mean that the pod is gone: whatever else leads there takes its leave,
/// and the next connection asks anew where the pod is.
pub async fn a_text_ends_what_waits<R: Runtime + Net>(env: &Env<R>) {
    let mut site = env.site(env.options()).await;
    let both = [env.open(&mut site).await, env.open(&mut site).await];
    let mut waiting = Vec::new();
    for opened in both {
        let mut session = gone(opened).await;
        session.attend(|session| session.pings >= 5).await;
        waiting.push(session);
    }
    idle(env, &site.listening, 2).await;
    let mut program = env.connect(site.listening.local_addr()).await;
    // The one left last is taken first.
    let mut taken = waiting.pop().unwrap();
    taken.open_as_server(PORT.get()).await;
    taken.push_failure("network namespace is closed");
    taken.pipe.flush().await.unwrap();
    assert!(program.fill().await.is_err(), "the program is reset");
    assert!(waiting[0].goodbye().await.is_some());
    let mut opened = env.open(&mut site).await;
    opened.program.write(b"second").await;
    opened.pod.expect(b"second").await;
}

/// What the server has opened is not sent again, whatever happens to it.
pub async fn what_a_pod_may_have_got_is_not_sent_again<R: Runtime + Net>(env: &Env<R>) {
    let mut site = env.site(env.options()).await;
    let mut session = left_behind(env, &mut site).await;
    session.attend(|session| session.pings >= 5).await;
    idle(env, &site.listening, 1).await;
    let mut program = env.connect(site.listening.local_addr()).await;
    program.push(b"second");
    program.flush().await.unwrap();
    session.open_as_server(PORT.get()).await;
    session.expect(b"second").await;
    // Once this is answered our side has seen that the stream is open.
    session.send(&Message::Spdy(Frame::Ping(2))).await.unwrap();
    assert_eq!(session.next().await.unwrap(), Some(Message::Spdy(Frame::Ping(2))));
    session.cut();
    assert!(program.fill().await.is_err(), "the program is reset");
    env.nothing_for(ms(100), env.accept(&mut site.server)).await;
}

/// Where one session carries one connection, each gets one.
pub async fn a_fixed_session_is_for_one<R: Runtime + Net>(env: &Env<R>) {
    let mut site = env.site(env.options().with_spare(true)).await;
    // The upgrade itself connects to the pod, so nothing is dialled before it is needed.
    env.nothing_for(ms(100), env.accept(&mut site.server)).await;
    for text in [b"one", b"two"] {
        let mut opened = env.open(&mut site).await;
        opened.program.write(text).await;
        opened.pod.expect(text).await;
    }
    assert_eq!(site.listening.stats().dialled, 2);
}

/// A spare stands before anybody connects, and the first who does gets it.
pub async fn a_spare_is_there_for_the_first<R: Runtime + Net>(env: &Env<R>) {
    let mut site = env.site(env.options().with_spare(true)).await;
    let mut pipe = env.accept(&mut site.server).await;
    let asked = Asked::read(&mut pipe).await.expect("a request");
    let mut session = RawStream::granted(pipe, &asked, env.form());
    session.pipe.flush().await.unwrap();
    idle(env, &site.listening, 1).await;
    let mut program = env.connect(site.listening.local_addr()).await;
    program.push(b"first");
    program.flush().await.unwrap();
    session.open_as_server(PORT.get()).await;
    session.expect(b"first").await;
}

/// A server that does not open the stream in time is not waited for any longer.
pub async fn a_stream_that_is_not_opened_is_given_up<R: Runtime + Net>(env: &Env<R>) {
    let session = env.setup().session.with_open_timeout(ms(300));
    let mut site = env.site(env.options().with_session(session)).await;
    let mut events = site.listening.events();
    let mut program = env.connect(site.listening.local_addr()).await;
    let mut pipe = env.accept(&mut site.server).await;
    let asked = Asked::read(&mut pipe).await.expect("a request");
    let mut session = RawStream::granted(pipe, &asked, env.form());
    while let Ok(Some(_)) = session.next().await {}
    assert!(program.fill().await.is_err(), "the program is reset");
    let failure = loop {
        if let ListenEvent::Ended { report, .. } = events.next().await.unwrap() {
            break report.failure.expect("a failure").to_string();
        }
    };
    assert!(failure.ends_with("in time"), "{failure}");
}
