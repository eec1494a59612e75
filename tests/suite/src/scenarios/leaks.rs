//! What is over is gone: no connection, no task.
//!
//! That nothing at all is left is looked at behind every scenario; here it is looked at while the
//! listener and the server go on.

use async_channel::Receiver;
use futures_lite::future::{or, yield_now};
use portway_driver::proto::{Config, HalfClose};
use portway_driver::{Listener, Net, PortForward, Runtime, Socket};

use crate::env::{Env, PORT, local_addr, ms};
use crate::line::End;
use crate::pipe::Pipe;
use crate::raw::Seen;
use crate::watched::Counting;

/// Connections that end in every way, cleanly, by a reset of either side, before they stood, and in
/// process in the middle of the dial, leave nothing behind.
pub async fn of_connections_that_ended<R: Runtime + Net + Counting>(env: &Env<R>) {
    let (stop, stopped) = async_channel::bounded::<()>(1);
    let pods = env.bind().await;
    let pod = local_addr(&pods);
    env.runtime().spawn(echo_pods(env.runtime().clone(), pods, stopped));
    let half_close = HalfClose::WhenIdle { unanswered: ms(50), answered: ms(0) };
    let session = Config::client().with_half_close(half_close);
    let options = env.options().with_max_idle(0).with_session(session);
    let (listening, serving) = env.both(pod, options).await;
    let before = env.runtime().count();
    for round in 0..env.connections() {
        if round % 5 == 4 {
            let connector = env.connector(serving.local_addr());
            let forward = env.runtime().forward(connector, &[PORT], env.options());
            let given_up = async {
                for _ in 0..round % 7 {
                    yield_now().await;
                }
            };
            or(async { drop(forward.await) }, given_up).await;
            continue;
        }
        let mut program = env.connect(listening.local_addr()).await;
        match round % 5 {
            0 => {
                program.push(b"hello");
                assert_eq!(program.take(5).await.unwrap(), b"hello"[..]);
                program.finish().await.unwrap();
                assert_eq!(End::Socket(program).read_to_end().await, (vec![], Seen::End));
            }
            1 => {
                program.push(b"hello");
                assert_eq!(program.take(5).await.unwrap(), b"hello"[..]);
                program.reset();
            }
            2 => drop(program),
            _ => {
                program.push(RESET);
                assert_eq!(End::Socket(program).read().await, Seen::Reset);
            }
        }
    }
    // One session may wait for the next connection: its task and both ends.
    let mut allowed = before;
    allowed.tasks += 2;
    allowed.sockets += 2;
    let gone = env.within(ms(10_000), env.runtime().at_most(allowed)).await;
    assert!(gone.is_ok(), "{before:?} before, {:?} after", env.runtime().count());
    drop(stop);
}

/// What makes a pod reset.
const RESET: &[u8] = b"!";

/// Pods that send back what they get, until nobody holds the other end of `stopped`.
async fn echo_pods<R: Runtime + Net>(runtime: R, mut pods: R::Listener, stopped: Receiver<()>) {
    loop {
        let accepted = async { std::future::poll_fn(|cx| pods.poll_accept(cx)).await.ok() };
        let ended = async {
            let _ = stopped.recv().await;
            None
        };
        let Some((socket, _)) = or(accepted, ended).await else { return };
        runtime.spawn(echo(Pipe::new(socket)));
    }
}

async fn echo<S: Socket>(mut pipe: Pipe<S>) {
    while pipe.fill().await.is_ok_and(|read| read > 0) {
        let bytes = pipe.bytes().split();
        if bytes.starts_with(RESET) {
            return pipe.reset();
        }
        pipe.push(&bytes);
    }
}
