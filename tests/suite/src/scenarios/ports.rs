//! Which ports a session carries, and how they are named on the wire.

use portway_driver::{ConnectError, Net, Port, PortForward, Runtime, WireForm};
use portway_server::{Access, LocalPod, Verdict};
use portway_testkit::spdy::{self, Frame};

use super::forward::{expect, read_to_end, write};
use crate::env::{Env, Forwarded, LOCALHOST, PORT, Served, local_addr, ms};
use crate::matrix::Role;
use crate::pipe::Pipe;
use crate::raw::{Answer, Asked, Message, Raw, RawStream, RawStreams, Seen};

/// The bytes by which a server announces a port.
fn prefix(port: u16) -> Vec<u8> {
    port.to_le_bytes().to_vec()
}

/// A program that has connected, and the session that was granted for it: nothing is announced yet.
async fn unannounced<R: Runtime + Net>(
    env: &Env<R>,
) -> (crate::env::Site<R::Listener>, Pipe<R::Socket>, RawStream<R::Socket>) {
    let mut site = env.site(env.options()).await;
    let program = env.connect(site.listening.local_addr()).await;
    let mut pipe = env.accept(&mut site.server).await;
    let asked = Asked::read(&mut pipe).await.expect("a request");
    (site, program, RawStream::granted(pipe, &asked, env.form()))
}

/// A server that announces another port than was asked for leads nowhere: 1002, and both are named.
pub async fn announced_wrongly_end_the_session<R: Runtime + Net>(env: &Env<R>) {
    let (site, mut program, mut server) = unannounced(env).await;
    let mut events = site.listening.events();
    server.push(&Message::Channel(0, prefix(PORT.get() + 1)));
    server.push(&Message::Channel(0, b"of somebody else".to_vec()));
    let goodbye = server.goodbye().await;
    assert!(matches!(goodbye, Some(Message::Close(1002, _))), "{goodbye:?}");
    assert!(program.fill().await.is_err(), "the program is reset, and gets no byte");
    let failure = loop {
        if let portway_driver::ListenEvent::Ended { report, .. } = events.next().await.unwrap() {
            break report.failure.expect("a failure").to_string();
        }
    };
    for part in ["channel 0", "8080", "8081"] {
        assert!(failure.contains(part), "{part}: {failure}");
    }
}

/// An announcement that is cut short is none.
pub async fn announced_by_one_byte_end_the_session<R: Runtime + Net>(env: &Env<R>) {
    let (_site, mut program, mut server) = unannounced(env).await;
    server.push(&Message::Channel(0, vec![0x90]));
    let goodbye = server.goodbye().await;
    assert!(matches!(goodbye, Some(Message::Close(1002, _))), "{goodbye:?}");
    assert!(program.fill().await.is_err(), "the program is reset");
}

/// What comes in one message with an announcement is data.
pub async fn announced_with_data_are_no_loss<R: Runtime + Net>(env: &Env<R>) {
    let (_site, mut program, mut server) = unannounced(env).await;
    server.push(&Message::Channel(1, prefix(PORT.get())));
    server.push(&Message::Channel(0, [&prefix(PORT.get())[..], b"hello"].concat()));
    server.pipe.flush().await.unwrap();
    assert_eq!(program.take(5).await.unwrap(), b"hello"[..]);
}

/// What is said on a channel of no port is for nobody.
pub async fn nobody_asked_for_are_ignored<R: Runtime + Net>(env: &Env<R>) {
    let mut line = env.line().await;
    line.wire().send(&Message::Channel(14, b"for nobody".to_vec())).await.unwrap();
    line.wire().send(&Message::Empty).await.unwrap();
    line.program.write(b"hello").await;
    line.pod.expect(b"hello").await;
    line.pod.write(b"hello").await;
    line.program.expect(b"hello").await;
}

/// Each of several ports of a session has bytes of its own, whoever speaks first.
pub async fn carry_each_its_own_bytes<R: Runtime + Net>(env: &Env<R>) {
    let ports = several(5);
    let numbers: Vec<u16> = ports.iter().map(|port| port.get()).collect();
    if env.role() == Role::Client {
        let Forwarded { forward: _forward, mut streams, mut session } =
            env.forward(&ports, env.options()).await;
        for (number, stream) in streams.iter_mut().enumerate() {
            write(stream, &[number as u8; 3_000]).await;
            session.expect(number, &[number as u8; 3_000]).await;
        }
        assert_eq!(session.ports(), numbers);
        for number in (0..ports.len()).rev() {
            session.push_data(number, &[number as u8; 3_000]);
        }
        session.flush().await;
        for (number, stream) in streams.iter_mut().enumerate() {
            expect(stream, &[number as u8; 3_000]).await;
        }
    } else {
        let Served { mut session, mut pods, serving: _serving } =
            env.served(&ports, &env.setup()).await;
        for number in (0..ports.len()).rev() {
            session.push_data(number, &[number as u8; 3_000]);
        }
        session.flush().await;
        for (number, pod) in pods.iter_mut().enumerate() {
            assert_eq!(pod.take(3_000).await.unwrap(), [number as u8; 3_000][..]);
            pod.push(&[number as u8; 3_000]);
            pod.flush().await.unwrap();
            session.expect(number, &[number as u8; 3_000]).await;
        }
    }
}

/// One port that fails, in words, leaves the others of its session alone.
pub async fn fail_alone<R: Runtime + Net>(env: &Env<R>) {
    if env.role() == Role::Client {
        let Forwarded { forward: _forward, mut streams, mut session } =
            env.forward(&several(3), env.options()).await;
        for (number, stream) in streams.iter_mut().enumerate() {
            write(stream, b"hello").await;
            session.expect(number, b"hello").await;
        }
        session.push_failure(1, "it broke");
        session.flush().await;
        assert_eq!(read_to_end(&mut streams[1]).await, (vec![], Some("it broke".to_owned())));
        for number in [0, 2] {
            write(&mut streams[number], b"still").await;
            session.expect(number, b"still").await;
            session.push_data(number, b"here");
            session.flush().await;
            expect(&mut streams[number], b"here").await;
        }
    } else {
        let mut pods = env.bind().await;
        let pod = LocalPod::closed().with_port(PORT, local_addr(&pods));
        let serving = env.server(pod, &env.setup()).listen(LOCALHOST).await.unwrap();
        let pipe = env.connect(serving.local_addr()).await;
        let nobody = PORT.get() + 1;
        let mut session = RawStreams::connect(pipe, env.form(), &[nobody, PORT.get()]).await;
        let failed = loop {
            if let (0, Seen::Failed(text)) = session.next().await.expect("the session goes on") {
                break text;
            }
        };
        assert!(failed.contains("8081") && failed.ends_with("connection refused"), "{failed}");
        session.push_data(1, b"hello");
        session.flush().await;
        let mut pod = env.accept(&mut pods).await;
        assert_eq!(pod.take(5).await.unwrap(), b"hello"[..]);
        pod.push(b"still here");
        pod.flush().await.unwrap();
        session.expect(1, b"still here").await;
    }
}

fn several(many: u16) -> Vec<Port> {
    (PORT.get()..).take(many.into()).filter_map(Port::new).collect()
}

/// The most ports that one session can be asked for.
const fn most(form: WireForm) -> u16 {
    if matches!(form, WireForm::V4Base64) { 40 } else { 127 }
}

/// As many ports as channels have numbers for are asked for at once, and the last of them works.
pub async fn as_many_as_can_be_are_served<R: Runtime + Net>(env: &Env<R>) {
    let ports = several(most(env.form()));
    let last = ports.len() - 1;
    let Forwarded { forward: _forward, mut streams, mut session } =
        env.forward(&ports, env.options()).await;
    write(&mut streams[last], b"hello").await;
    session.expect(last, b"hello").await;
    session.push_data(last, b"answer");
    session.flush().await;
    expect(&mut streams[last], b"answer").await;
}

/// A port that is named twice, or one too many, are refused before anybody is asked.
pub async fn that_cannot_be_are_refused_before_dialling<R: Runtime + Net>(env: &Env<R>) {
    let mut server = env.bind().await;
    let port = |number| Port::new(number).unwrap();
    let twice = vec![port(80), port(443), port(80)];
    let one_too_many = several(most(env.form()) + 1);
    for ports in [twice, one_too_many] {
        let connector = env.connector(local_addr(&server));
        let refused = env.runtime().forward(connector, &ports, env.options()).await;
        assert!(matches!(refused, Err(ConnectError::Dial(_))), "{refused:?}");
    }
    env.nothing_for(ms(50), env.accept(&mut server)).await;
}

/// Every port is announced twice, in the order of the request, before anything else is said.
pub async fn are_announced_in_order<R: Runtime + Net>(env: &Env<R>) {
    let numbers = [443, 8080, 1, 65535];
    let server = env.server(LocalPod::closed(), &env.setup());
    let serving = server.listen(LOCALHOST).await.unwrap();
    let mut pipe = env.connect(serving.local_addr()).await;
    Answer::to(&mut pipe, env.form(), &numbers).await.assert_granted(env.form());
    let mut client = Raw::new(pipe, env.form(), portway_driver::proto::Side::Client);
    for channel in 0..8 {
        let expected = Message::Channel(channel, prefix(numbers[usize::from(channel) / 2]));
        assert_eq!(client.next().await.unwrap(), Some(expected));
    }
}

/// More ports than channels have numbers, and ports that are none, are the client's mistake: 400.
pub async fn that_no_channel_can_carry_are_refused<R: Runtime + Net>(env: &Env<R>) {
    let server = env.server(LocalPod::closed(), &env.setup());
    let serving = server.listen(LOCALHOST).await.unwrap();
    let many: Vec<u16> = (1..=200).collect();
    for ports in [&many[..], &[0], &[]] {
        let mut pipe = env.connect(serving.local_addr()).await;
        let answer = Answer::to(&mut pipe, env.form(), ports).await;
        assert_eq!(answer.status, 400, "{answer:?}");
    }
}

/// A stream to a port that is none is refused without a reply, and the next one is served.
pub async fn that_are_none_are_refused_one_by_one<R: Runtime + Net>(env: &Env<R>) {
    let mut pods = env.bind().await;
    let pod = LocalPod::closed().with_port(PORT, local_addr(&pods));
    let serving = env.server(pod, &env.setup()).listen(LOCALHOST).await.unwrap();
    let mut pipe = env.connect(serving.local_addr()).await;
    Answer::to(&mut pipe, env.form(), &[]).await.assert_granted(env.form());
    let mut client = Raw::new(pipe, env.form(), portway_driver::proto::Side::Client);
    client.push(&Message::Spdy(spdy::syn(1, "error", 0, "0")));
    let refused = client.next().await.unwrap();
    assert!(matches!(refused, Some(Message::Spdy(Frame::Rst { id: 1, .. }))), "{refused:?}");
    for (id, kind) in [(3, "error"), (5, "data")] {
        client.push(&Message::Spdy(spdy::syn(id, kind, PORT.get(), "1")));
    }
    client.push(&Message::Spdy(spdy::data(5, "hello")));
    client.pipe.flush().await.unwrap();
    assert_eq!(env.accept(&mut pods).await.take(5).await.unwrap(), b"hello"[..]);
}

/// Who was granted some ports reaches no other, whenever it is named, and the pod hears nothing of it.
pub async fn that_are_not_granted_are_not_reached<R: Runtime + Net>(env: &Env<R>) {
    let mut pods = env.bind().await;
    let pod = LocalPod::closed().with_port(PORT, local_addr(&pods));
    let granted = Port::new(80).unwrap();
    let server = env.server(pod, &env.setup());
    let server =
        server.with_authorizer(move |_: Access| async move { Verdict::AllowPorts(vec![granted]) });
    let serving = server.listen(LOCALHOST).await.unwrap();
    let mut pipe = env.connect(serving.local_addr()).await;
    let answer = Answer::to(&mut pipe, env.form(), &[PORT.get()]).await;
    if answer.status == 101 {
        let mut client = RawStream::new_client(pipe, env.form());
        client.open_as_client(PORT.get()).await;
        let end = client.read().await;
        assert!(matches!(end, Seen::Failed(_) | Seen::Reset), "{end:?}");
    } else {
        assert_eq!(answer.status, 403, "{answer:?}");
    }
    env.nothing_for(ms(50), env.accept(&mut pods)).await;
}
