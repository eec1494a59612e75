//! What went wrong is told in words, behind everything that was said before.

use portway_driver::{Net, Runtime};

use crate::env::{Env, PORT, Setup};
use crate::matrix::Role;
use crate::raw::Seen;

/// What was said before a failure arrives; then the program is reset, and the reason is known.
pub async fn is_told_after_the_data<R: Runtime + Net>(env: &Env<R>) {
    let mut line = env.line().await;
    line.program.write(b"x").await;
    line.pod.expect(b"x").await;
    line.pod.write(b"partial").await;
    // Before the failure, because what is on its way to a program when it is reset, TCP may drop.
    line.program.expect(b"partial").await;
    if env.role() == Role::Client {
        line.pod.wire().push_failure("it broke");
        line.pod.flush().await;
        assert_eq!(line.program.read().await, Seen::Reset);
        assert_eq!(line.failure().await, "it broke");
    } else {
        line.pod.reset().await;
        let end = line.program.read().await;
        let Seen::Failed(text) = &end else { panic!("{end:?}") };
        assert!(text.starts_with("error forwarding port 8080 to pod demo, uid : "), "{text}");
        assert!(text.ends_with("connection reset by peer"), "{text}");
    }
}

/// A text is put together before it is read, also one that was cut within a letter.
pub async fn may_come_in_pieces<R: Runtime + Net>(env: &Env<R>) {
    let mut line = env.line().await;
    for piece in [&b"caf"[..], b"\xc3", b"\xa9 closed"] {
        line.pod.wire().push_text(piece);
        line.pod.flush().await;
    }
    line.pod.wire().push_failure("!");
    line.pod.flush().await;
    assert_eq!(line.program.read().await, Seen::Reset);
    assert_eq!(line.failure().await, "café closed!");
}

/// A text that is none is shown as far as it goes.
pub async fn may_be_no_text<R: Runtime + Net>(env: &Env<R>) {
    let mut line = env.line().await;
    line.pod.wire().push_text(b"caf\xff\x1b[2J");
    line.pod.wire().push_failure(" closed");
    line.pod.flush().await;
    assert_eq!(line.program.read().await, Seen::Reset);
    assert_eq!(line.failure().await, "caf\u{fffd}\u{fffd}[2J closed");
}

/// A text without end is cut, and its stream ends like any that failed.
pub async fn has_an_end<R: Runtime + Net>(env: &Env<R>) {
    let setup = env.setup();
    let session = setup.session.with_error_text(100);
    let mut line = env.line_with(Setup { session, ..setup }).await;
    for _ in 0..100 {
        line.pod.wire().push_text(&[b'a'; 1_000]);
    }
    line.pod.wire().push_failure("the end");
    line.pod.flush().await;
    assert_eq!(line.program.read().await, Seen::Reset);
    let text = line.failure().await;
    assert!(text.starts_with(&"a".repeat(100)) && text.len() < 200, "{text}");
}

/// A port that nobody listens on is named, with the reason.
pub async fn of_a_refused_port<R: Runtime + Net>(env: &Env<R>) {
    let (mut program, _serving) = env.refused().await;
    let end = program.read().await;
    let Seen::Failed(text) = &end else { panic!("{end:?}") };
    assert_eq!(
        *text,
        format!(
            "error forwarding port {PORT} to pod demo, uid : failed to connect to localhost:{PORT} \
             inside namespace: dial tcp4 127.0.0.1:{PORT}: connect: connection refused"
        )
    );
}
