//! Bytes in process, with no local port: the error travels with the stream.

use portway_driver::proto::{CloseReason, HalfClose};
use portway_driver::{Net, Port, PortForward, PortStream, Runtime};

use crate::env::{Env, Forwarded, PORT, local_addr};
use crate::raw::{RawStream, Seen};

async fn opened<R: Runtime + Net>(
    env: &Env<R>,
) -> (portway_driver::Forward, PortStream, RawStream<R::Socket>) {
    let mut server = env.bind().await;
    let options = env.options();
    let forward = env.runtime().forward(env.connector(local_addr(&server)), &[PORT], options);
    let serving = async {
        let mut pipe = env.accept(&mut server).await;
        let asked = crate::raw::Asked::read(&mut pipe).await.expect("a request");
        let mut session = RawStream::granted(pipe, &asked, env.form());
        session.pipe.flush().await.unwrap();
        session
    };
    let (forward, mut session) = futures_lite::future::zip(forward, serving).await;
    let mut forward = forward.expect("a session");
    let stream = forward.open(PORT).expect("a stream");
    session.open_as_server(PORT.get()).await;
    (forward, stream, session)
}

/// Writes all of it.
pub(super) async fn write(stream: &mut PortStream, bytes: &[u8]) {
    use futures_lite::AsyncWriteExt;
    stream.write_all(bytes).await.expect("the bytes are taken");
}

/// These bytes come next, in any pieces.
pub(super) async fn expect(stream: &mut PortStream, bytes: &[u8]) {
    use futures_lite::AsyncReadExt;
    let mut all = vec![0; bytes.len()];
    stream.read_exact(&mut all).await.expect("the bytes");
    assert!(all == bytes, "{}", all.escape_ascii());
}

/// Everything up to the end, and the words of the error that it was.
pub(super) async fn read_to_end(stream: &mut PortStream) -> (Vec<u8>, Option<String>) {
    let mut all = Vec::new();
    loop {
        match stream.bytes().await {
            Ok(Some(bytes)) => all.extend(bytes),
            Ok(None) => return (all, None),
            Err(error) => return (all, Some(error.to_string())),
        }
    }
}

/// Bytes there and back, and an end that is one.
pub async fn carries_bytes_and_ends<R: Runtime + Net>(env: &Env<R>) {
    let (_forward, mut stream, mut pod) = opened(env).await;
    write(&mut stream, b"request").await;
    pod.expect(b"request").await;
    pod.push_data(b"answer");
    pod.push_end();
    pod.pipe.flush().await.unwrap();
    assert_eq!(read_to_end(&mut stream).await, (b"answer".to_vec(), None));
    assert_eq!(stream.error(), None);
}

/// The words of a failure are in the error of the read that meets it, behind the data.
pub async fn tells_the_error_where_it_is_met<R: Runtime + Net>(env: &Env<R>) {
    let (_forward, mut stream, mut pod) = opened(env).await;
    pod.push_data(b"partial");
    pod.push_failure("it broke");
    pod.pipe.flush().await.unwrap();
    let told = (b"partial".to_vec(), Some("it broke".to_owned()));
    assert_eq!(read_to_end(&mut stream).await, told);
}

/// The session lives as long as anybody uses it, and ends with a goodbye.
pub async fn ends_with_its_last_handle<R: Runtime + Net>(env: &Env<R>) {
    let (forward, mut stream, mut pod) = opened(env).await;
    drop(forward);
    write(&mut stream, b"still").await;
    pod.expect(b"still").await;
    drop(stream);
    assert!(pod.goodbye().await.is_some());
}

/// A stream that is dropped is reset, and no other is.
pub async fn drops_one_stream_and_no_other<R: Runtime + Net>(env: &Env<R>) {
    let ports = [PORT, Port::new(9090).unwrap()];
    let Forwarded { forward: _forward, mut streams, mut session } =
        env.forward(&ports, env.options()).await;
    for (stream, text) in streams.iter_mut().zip([b"one", b"two"]) {
        write(stream, text).await;
    }
    session.expect(0, b"one").await;
    session.expect(1, b"two").await;
    drop(streams.remove(0));
    assert_eq!(session.next().await, Some((0, Seen::Reset)));
    session.push_data(1, b"answer");
    session.flush().await;
    expect(&mut streams[0], b"answer").await;
}

/// A shutdown sends what was written before, says goodbye, and says how the session ended.
pub async fn is_shut_down_behind_what_was_written<R: Runtime + Net>(env: &Env<R>) {
    let (forward, mut stream, mut pod) = opened(env).await;
    write(&mut stream, b"last words").await;
    let reading = async {
        pod.expect(b"last words").await;
        assert!(pod.goodbye().await.is_some());
    };
    let (reason, ()) = futures_lite::future::zip(forward.shutdown(), reading).await;
    assert_eq!(reason, CloseReason::Local);
    assert!(matches!(env.setup().session.half_close(), HalfClose::Immediate));
}
