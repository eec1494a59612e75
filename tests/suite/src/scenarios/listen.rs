//! A listener dies only when its owner says so; what goes wrong ends one connection.

use futures_lite::future::zip;
use portway_driver::{ListenEvent, Net, Runtime};

use crate::env::{Env, local_addr};
use crate::line::End;
use crate::raw::{Asked, Seen};
use crate::watched::Failing;

/// A refusal resets the program it was for, in the server's words, and the next one is served.
pub async fn goes_on_after_a_refusal<R: Runtime + Net>(env: &Env<R>) {
    let mut site = env.site(env.options()).await;
    let mut events = site.listening.events();
    let mut first = env.connect(site.listening.local_addr()).await;
    let mut pipe = env.accept(&mut site.server).await;
    Asked::read(&mut pipe).await.expect("a request");
    Asked::refuse(&mut pipe, "404 Not Found", "pod does not exist").await;
    assert!(first.fill().await.is_err(), "the program is reset");
    let error = loop {
        if let ListenEvent::Failed { connection: 1, error, .. } = events.next().await.unwrap() {
            break error.to_string();
        }
    };
    assert!(error.contains("pod does not exist"), "{error}");
    let mut opened = env.open(&mut site).await;
    opened.pod.push_data(b"hello");
    let ((), flushed) = zip(opened.program.expect(b"hello"), opened.pod.pipe.flush()).await;
    flushed.unwrap();
}

/// A server that is not there resets the program, and says so; a server that comes back is used.
pub async fn goes_on_without_a_server<R: Runtime + Net>(env: &Env<R>) {
    let mut site = env.site(env.options()).await;
    let mut events = site.listening.events();
    let mut first = env.connect(site.listening.local_addr()).await;
    // It hangs up before it has answered.
    drop(env.accept(&mut site.server).await);
    assert!(first.fill().await.is_err(), "the program is reset");
    let failed = async {
        while !matches!(events.next().await.unwrap(), ListenEvent::Failed { connection: 1, .. }) {}
    };
    failed.await;
    let mut opened = env.open(&mut site).await;
    opened.program.write(b"hello").await;
    opened.pod.expect(b"hello").await;
}

/// An error of one connection is none of its neighbours'.
pub async fn keeps_neighbours_apart<R: Runtime + Net>(env: &Env<R>) {
    let mut site = env.site(env.options()).await;
    let mut one = env.open(&mut site).await;
    let mut other = env.open(&mut site).await;
    one.pod.push_failure("it broke");
    one.pod.pipe.flush().await.unwrap();
    assert_eq!(one.program.read().await, Seen::Reset);
    other.program.write(b"hello").await;
    other.pod.expect(b"hello").await;
}

/// Programs that come at once are all served, each with its own bytes.
pub async fn serves_all_who_come_at_once<R: Runtime + Net>(env: &Env<R>) {
    let mut pods = env.bind().await;
    let (listening, _serving) = env.both(local_addr(&pods), env.options()).await;
    let mut programs = Vec::new();
    for number in 0..16_u8 {
        let mut program = env.connect(listening.local_addr()).await;
        program.push(&[number; 1_000]);
        program.flush().await.unwrap();
        programs.push((number, program));
    }
    let mut seen = Vec::new();
    for _ in 0..16 {
        let mut pod = env.accept(&mut pods).await;
        let bytes = pod.take(1_000).await.unwrap();
        seen.push(bytes[0]);
        assert!(bytes.iter().all(|byte| *byte == bytes[0]), "bytes of two programs");
        pod.push(&bytes);
        pod.flush().await.unwrap();
        drop(pod);
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..16).collect::<Vec<_>>());
    for (number, mut program) in programs {
        assert_eq!(program.take(1_000).await.unwrap(), [number; 1_000][..]);
    }
}

/// A program that does not read slows no other down.
pub async fn keeps_a_slow_program_from_its_neighbour<R: Runtime + Net>(env: &Env<R>) {
    let mut site = env.site(env.options()).await;
    let slow = env.open(&mut site).await;
    let mut quick = env.open(&mut site).await;
    let mut flooding = End::Wire(slow.pod);
    flooding.flood(env).await;
    let bytes = env.bulk();
    quick.pod.push_data(&bytes);
    let (flushed, ()) = zip(quick.pod.pipe.flush(), quick.program.expect(&bytes)).await;
    flushed.unwrap();
}

/// Errors of the system are waited out, for longer and longer, and told; who connected meanwhile is served.
pub async fn waits_errors_of_the_system_out<R: Runtime + Net + Failing>(env: &Env<R>) {
    let mut site = env.site(env.options()).await;
    let mut events = site.listening.events();
    env.runtime().fail_accepts(site.listening.local_addr(), 3);
    let mut opened = env.open(&mut site).await;
    opened.program.write(b"hello").await;
    opened.pod.expect(b"hello").await;
    let mut waits = Vec::new();
    loop {
        match events.next().await.unwrap() {
            ListenEvent::AcceptFailed { local, retry_after, .. } => {
                assert_eq!(local.socket_addr(), Some(site.listening.local_addr()));
                waits.push(retry_after);
            }
            ListenEvent::Accepted { .. } => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(waits.len() == 3 && waits.is_sorted_by(|one, next| one < next), "{waits:?}");
}
