//! A clean end is a clean end: behind the last byte, and with a goodbye.

use futures_lite::future::zip;
use portway_driver::{Net, Runtime};

use crate::env::Env;
use crate::raw::{Message, Seen};

/// All that a pod said before it closed arrives before the end does.
pub async fn comes_behind_the_last_byte<R: Runtime + Net>(env: &Env<R>) {
    let mut line = env.line().await;
    let bytes = env.bulk();
    let saying = async {
        line.pod.write(&bytes).await;
        line.pod.finish().await;
    };
    let ((), (all, end)) = zip(saying, line.program.read_to_end()).await;
    assert_eq!((all.len(), end), (bytes.len(), Seen::End));
    assert!(all == bytes);
}

/// A WebSocket Close is answered with the same code, and then the connection ends.
pub async fn is_answered<R: Runtime + Net>(env: &Env<R>) {
    let mut line = env.line().await;
    let wire = line.wire();
    wire.send(&Message::Close(1000, String::new())).await.unwrap();
    let answer = wire.goodbye().await;
    assert!(matches!(answer, Some(Message::Close(1000, _))), "{answer:?}");
    assert_eq!(wire.next().await.unwrap_or(None), None);
}

/// A Close that says anything but 1000 is a reset at the program: what came may not be all.
pub async fn with_another_code_is_a_reset<R: Runtime + Net>(env: &Env<R>) {
    let mut line = env.line().await;
    line.pod.write(b"half").await;
    line.program.expect(b"half").await;
    line.pod.wire().send(&Message::Close(1011, "it broke".into())).await.unwrap();
    assert_eq!(line.program.read().await, Seen::Reset);
    let failure = line.failure().await;
    assert!(failure.contains("1011") && failure.contains("it broke"), "{failure}");
}
