//! An end that was not clean looks like one: nobody takes half for all.

use portway_driver::{Net, Runtime};

use crate::env::Env;
use crate::raw::Seen;

/// A program that gives up is heard of at the pod.
pub async fn of_the_program_reaches_the_pod<R: Runtime + Net>(env: &Env<R>) {
    let mut line = env.line().await;
    line.program.write(b"half an upl").await;
    line.pod.expect(b"half an upl").await;
    let _session = line.program.reset().await;
    assert_eq!(line.pod.read().await, Seen::Reset);
}

/// A pod that gives up is no end of what it said.
pub async fn of_the_pod_is_no_clean_end<R: Runtime + Net>(env: &Env<R>) {
    let mut line = env.line().await;
    line.pod.write(b"half an ans").await;
    line.program.expect(b"half an ans").await;
    let _session = line.pod.reset().await;
    let end = line.program.read().await;
    assert!(matches!(end, Seen::Reset | Seen::Failed(_)), "{end:?}");
}

/// A connection that is lost below the session is no end either, at neither side.
pub async fn of_the_transport_is_no_clean_end<R: Runtime + Net>(env: &Env<R>) {
    let mut line = env.line().await;
    line.program.write(b"half an upl").await;
    line.pod.expect(b"half an upl").await;
    line.pod.write(b"half an ans").await;
    line.program.expect(b"half an ans").await;
    let mut left = line.cut();
    assert_eq!(left.read().await, Seen::Reset);
}
