//! Every byte arrives, in order, both ways.

use futures_lite::future::zip;
use portway_driver::{Net, Runtime};

use crate::env::{Env, Setup, pattern};
use crate::raw::Seen;

/// One byte there, and one back.
pub async fn one_byte<R: Runtime + Net>(env: &Env<R>) {
    let mut line = env.line().await;
    line.program.write(b"?").await;
    line.pod.expect(b"?").await;
    line.pod.write(b"!").await;
    line.program.expect(b"!").await;
}

/// Far more than all buffers on the way hold, there and back at the same time.
pub async fn more_than_fits_on_the_way<R: Runtime + Net>(env: &Env<R>) {
    let mut line = env.line().await;
    let bytes = env.bulk();
    let talking = async {
        line.program.expect_echo(&bytes).await;
        drop(line.program);
    };
    let (end, ()) = zip(line.pod.echo(), talking).await;
    assert!(matches!(end, Seen::End | Seen::Reset), "{end:?}");
}

/// The pod says something before it has heard anything.
pub async fn a_pod_that_speaks_first<R: Runtime + Net>(env: &Env<R>) {
    let mut line = env.line().await;
    let greeting = pattern(100_000);
    zip(line.pod.write(&greeting), line.program.expect(&greeting)).await;
    line.program.write(b"hello").await;
    line.pod.expect(b"hello").await;
}

/// What a program says before anybody has answered it is not lost.
pub async fn bytes_that_come_with_the_opening<R: Runtime + Net>(env: &Env<R>) {
    let mut line = env.line_with(Setup { first: b"at once", ..env.setup() }).await;
    line.pod.expect(b"at once").await;
    line.pod.write(b"answer").await;
    line.program.expect(b"answer").await;
}
