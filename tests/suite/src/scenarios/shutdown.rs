//! An owner's word ends everything: what is done in time is done, what is not is told.

use std::time::Duration;

use futures_lite::future::{or, zip};
use portway_driver::{Net, Runtime};

use crate::env::{Env, ms};
use crate::line::{Line, Ours};
use crate::matrix::Role;
use crate::raw::Seen;

/// Shuts our half down; how many connections it had to cut.
async fn shut_down(ours: Ours, deadline: Duration) -> usize {
    match ours {
        Ours::Client(listening, _) => listening.shutdown(deadline).await.connections,
        Ours::Server(serving) => serving.shutdown(deadline).await.connections,
    }
}

/// Neither end takes what it got for all. Only a v4 client has no other end to say than that of its
/// session, which its server takes for one of every stream (protocol.md B.8 #4).
fn assert_cut<R: Runtime + Net>(env: &Env<R>, at_program: &Seen, at_pod: &Seen) {
    let says_ends = env.can().reset || env.role() == Role::Server;
    let cut = |end: &Seen| matches!(end, Seen::Reset | Seen::Failed(_));
    assert!(cut(at_program), "{at_program:?} at the program");
    assert!(cut(at_pod) || !says_ends, "{at_pod:?} at the pod");
}

/// Who is connected goes on to its end, and then it is over.
pub async fn lets_connections_finish<R: Runtime + Net>(env: &Env<R>) {
    let Line { mut program, mut pod, ours } = env.line().await;
    program.write(b"request").await;
    pod.expect(b"request").await;
    let finishing = async {
        env.pass(ms(50)).await;
        pod.write(b"answer").await;
        pod.finish().await;
        assert_eq!(program.read_to_end().await, (b"answer".to_vec(), Seen::End));
        // Both ends are gone, and with the last one the session.
        drop(program);
        or(async { drop(pod.read_to_end().await) }, env.pass(ms(3_000))).await;
    };
    let (cut, ()) = zip(shut_down(ours, Duration::from_secs(20)), finishing).await;
    assert_eq!(cut, 0);
}

/// Who is not done by the deadline is reset, and its peer is told.
pub async fn resets_what_takes_longer<R: Runtime + Net>(env: &Env<R>) {
    let Line { mut program, mut pod, ours } = env.line().await;
    program.write(b"half an upl").await;
    pod.expect(b"half an upl").await;
    pod.write(b"half an ans").await;
    program.expect(b"half an ans").await;
    let started = env.now();
    let ends = zip(program.read_to_end(), pod.read_to_end());
    let (cut, ((to_program, at_program), (to_pod, at_pod))) =
        zip(shut_down(ours, ms(100)), ends).await;
    assert_eq!(cut, 1);
    assert!((to_program.is_empty(), to_pod.is_empty()) == (true, true));
    assert_cut(env, &at_program, &at_pod);
    let took = env.now() - started;
    assert!(took < ms(2_000), "{took:?}");
}

/// What is dropped is over at once, and looks like it.
pub async fn by_a_drop_is_at_once<R: Runtime + Net>(env: &Env<R>) {
    let Line { mut program, mut pod, ours } = env.line().await;
    program.write(b"half").await;
    pod.expect(b"half").await;
    drop(ours);
    let ends = zip(program.read_to_end(), pod.read_to_end());
    let ((_, at_program), (_, at_pod)) = env.within(ms(3_000), ends).await.expect("ends at once");
    assert_cut(env, &at_program, &at_pod);
}

/// A peer that reads nothing and answers nothing holds a shutdown up for no longer than a goodbye may
/// take.
pub async fn does_not_wait_for_the_dead<R: Runtime + Net>(env: &Env<R>) {
    let Line { program, pod, ours } = env.line().await;
    let started = env.now();
    assert_eq!(shut_down(ours, ms(100)).await, 1);
    let took = env.now() - started;
    assert!(took < ms(3_000), "{took:?}");
    drop((program, pod));
}
