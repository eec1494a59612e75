//! Both roles against each other: what one says the other understands.

use portway_proto::{Config, Port, Reuse, Side, StreamError, WireForm};
use portway_testkit::rig::{End, Rig, exchange};

fn pair(client: Config) -> (Rig, Rig) {
    let client = Rig::new(Side::Client, WireForm::Tunnel, client.with_keep_alive(None), &[]);
    let server = Config::server().with_keep_alive(None);
    (client, Rig::new(Side::Server, WireForm::Tunnel, server, &[]))
}

#[test]
fn a_request_and_an_answer_and_another_connection_after_them() {
    let (mut client, mut server) = pair(Config::client());
    let now = client.now();
    assert_eq!(client.session.reusable(now), Reuse::Ready, "never used");
    for port in [8080, 9090] {
        let id = client.open(port);
        client.write(id, b"request");
        exchange(&mut client, &mut server);
        let pod = server.session.accept().unwrap();
        assert_eq!(server.session.port(pod), Port::new(port));
        assert_eq!(server.read_all(pod), (b"request".to_vec(), End::Open));
        server.write(pod, b"answer");
        server.finish(pod);
        server.stop(pod);
        exchange(&mut client, &mut server);
        assert_eq!(client.read_all(id), (b"answer".to_vec(), End::Eof));
        assert_eq!(client.session.reusable(now), Reuse::InUse);
        server.session.release(pod, now);
        client.session.release(id, now);
        exchange(&mut client, &mut server);
        assert_eq!(client.session.reusable(now), Reuse::Checking);
        exchange(&mut client, &mut server);
        assert_eq!(client.session.reusable(now), Reuse::Ready);
        assert_eq!((client.session.streams(), server.session.streams()), (0, 0));
    }
}

#[test]
fn an_error_text_reaches_the_client_behind_the_data() {
    let (mut client, mut server) = pair(Config::client());
    let id = client.open(1);
    exchange(&mut client, &mut server);
    let pod = server.session.accept().unwrap();
    server.write(pod, b"partial");
    server.fail(pod, "connection reset").unwrap();
    exchange(&mut client, &mut server);
    assert_eq!(client.read_all(id), (b"partial".to_vec(), End::Failed));
    assert!(
        matches!(client.failure(id), Some(StreamError::Remote(text)) if text.as_str() == "connection reset")
    );
}

#[test]
fn a_reset_of_one_stream_reaches_the_other_side_and_no_other_stream() {
    let (mut client, mut server) = pair(Config::client());
    let (a, b) = (client.open(1), client.open(2));
    exchange(&mut client, &mut server);
    let (pod_a, pod_b) = (server.session.accept().unwrap(), server.session.accept().unwrap());
    client.reset(a);
    exchange(&mut client, &mut server);
    assert_eq!(server.read_all(pod_a), (vec![], End::Failed));
    assert_eq!(server.failure(pod_a), Some(StreamError::RemoteReset));
    server.write(pod_b, b"still here");
    exchange(&mut client, &mut server);
    assert_eq!(client.read_all(b), (b"still here".to_vec(), End::Open));
}
