//! The end of one direction is not the end of the other.

use futures_lite::future::zip;
use portway_driver::proto::HalfClose;
use portway_driver::{Net, Runtime};

use crate::env::{Env, Setup, ms, pattern};
use crate::raw::Seen;

/// The pod's end is a FIN at the program's socket, at once and while the program still sends: not the
/// end of the connection, which comes later.
pub async fn fin_reaches_the_program_while_it_sends<R: Runtime + Net>(env: &Env<R>) {
    let mut line = env.line().await;
    line.program.write(b"half an upl").await;
    line.pod.expect(b"half an upl").await;
    line.pod.write(b"that will do").await;
    line.pod.finish().await;
    let ended = env.within(ms(1_000), line.program.read_to_end()).await;
    assert_eq!(ended.expect("a FIN at once"), (b"that will do".to_vec(), Seen::End));
    // The program is still taken seriously: no reset comes for what it sends.
    line.program.write(b"oad").await;
}

/// The program's end reaches the pod, and its answer comes back as long as it likes.
pub async fn fin_reaches_the_pod_while_it_sends<R: Runtime + Net>(env: &Env<R>) {
    let mut line = env.line().await;
    line.program.write(b"everything").await;
    line.program.finish().await;
    assert_eq!(line.pod.read_to_end().await, (b"everything".to_vec(), Seen::End));
    for part in [b"one", b"two"] {
        env.pass(ms(700)).await;
        line.pod.write(part).await;
        line.program.expect(part).await;
    }
    line.pod.finish().await;
    assert_eq!(line.program.read().await, Seen::End);
}

/// A program that closes its sending side early gets all of the answer.
pub async fn request_fin_then_response<R: Runtime + Net>(env: &Env<R>) {
    let setup = env.setup();
    let session = setup.session.with_half_close(HalfClose::DEFAULT);
    let mut line = env.line_with(Setup { session, ..setup }).await;
    line.program.write(b"request").await;
    line.program.finish().await;
    line.pod.expect(b"request").await;
    let answer = pattern(500_000);
    let answering = async {
        line.pod.write(&answer).await;
        line.pod.finish().await;
    };
    let ((), (all, end)) = zip(answering, line.program.read_to_end()).await;
    assert_eq!((all.len(), end), (answer.len(), Seen::End));
    assert!(all == answer);
}

/// A pod that has said everything still hears the program.
pub async fn response_fin_then_upload<R: Runtime + Net>(env: &Env<R>) {
    let mut line = env.line().await;
    line.pod.write(b"go on").await;
    line.pod.finish().await;
    line.program.expect(b"go on").await;
    line.program.write(b"and on").await;
    line.pod.expect(b"and on").await;
}
