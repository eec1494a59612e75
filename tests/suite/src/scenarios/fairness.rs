//! Who sends much does not keep a neighbour waiting who says little.

use futures_lite::future::{or, yield_now};
use portway_driver::{Net, Port, Runtime};

use super::forward::{expect, write};
use crate::env::{Env, Forwarded, PORT, Served};
use crate::matrix::Role;
use crate::raw::Seen;

/// A stream that sends without end lets each word of its neighbour on the same session by, behind no
/// more than what was on its way before.
pub async fn lets_small_ones_by<R: Runtime + Net>(env: &Env<R>) {
    const ROUNDS: usize = 4;
    static PIECE: [u8; 64 * 1024] = [1; 64 * 1024];
    let ports = [PORT, Port::new(9090).unwrap()];
    // More than all buffers on the way hold.
    let bound = 8 * env.bulk().len();
    if env.role() == Role::Client {
        let Forwarded { forward: _forward, mut streams, mut session } =
            env.forward(&ports, env.options()).await;
        let (mut small, mut bulk) = (streams.remove(1), streams.remove(0));
        // Opened in the order of the ports, also where it is the first byte that opens.
        write(&mut bulk, &PIECE).await;
        let flooding = async {
            loop {
                write(&mut bulk, &PIECE).await;
                // What is not to be measured is who of these three has their turn.
                yield_now().await;
            }
        };
        let echoing = async {
            let mut between = 0;
            loop {
                match session.next().await.expect("the session goes on") {
                    (0, Seen::Bytes(bytes)) => between += bytes.len(),
                    (1, Seen::Bytes(bytes)) => {
                        between = 0;
                        session.push_data(1, &bytes);
                    }
                    other => panic!("{other:?}"),
                }
                assert!(between < bound, "{between} bytes of the neighbour's came first");
            }
        };
        let asking = async {
            for _ in 0..ROUNDS {
                write(&mut small, b"?").await;
                expect(&mut small, b"?").await;
            }
        };
        or(asking, or(flooding, echoing)).await;
    } else {
        let Served { mut session, mut pods, serving: _serving } =
            env.served(&ports, &env.setup()).await;
        let (mut small, mut bulk) = (pods.remove(1), pods.remove(0));
        let flooding = async {
            loop {
                bulk.push(&PIECE);
                bulk.flush().await.unwrap();
                yield_now().await;
            }
        };
        let echoing = async {
            while small.fill().await.unwrap() > 0 {
                let bytes = small.bytes().split();
                small.push(&bytes);
            }
        };
        let asking = async {
            for _ in 0..ROUNDS {
                session.push_data(1, b"?");
                let mut between = 0;
                loop {
                    match session.next().await.expect("the session goes on") {
                        (0, Seen::Bytes(bytes)) => between += bytes.len(),
                        (1, Seen::Bytes(bytes)) => break assert_eq!(bytes, b"?"),
                        other => panic!("{other:?}"),
                    }
                    assert!(between < bound, "{between} bytes of the neighbour's came first");
                }
            }
        };
        or(asking, or(flooding, echoing)).await;
    }
}
