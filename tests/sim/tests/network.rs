//! Sockets and what is between them: as programs on Linux see them, in virtual time.
#![allow(missing_docs, clippy::unwrap_used)]

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use portway_driver::{Addr, Listener, Net, Runtime, Socket, until};
use portway_sim::{Builder, Fault, Link, Sim, SimListener, SimSocket, When};

const SERVER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 80);
const MS: Duration = Duration::from_millis(1);

/// A connection over a link: who connected, who accepted, and who listens.
async fn pair(sim: &Sim, link: Link) -> (SimSocket, SimSocket, SimListener) {
    sim.set_link(SERVER, link);
    let mut listener = sim.bind(SERVER).await.unwrap();
    let connected = sim.connect(&SERVER.into()).await.unwrap();
    let accepted = accept(&mut listener).await;
    (connected, accepted, listener)
}

async fn accept(listener: &mut SimListener) -> SimSocket {
    std::future::poll_fn(|cx| listener.poll_accept(cx)).await.unwrap().0
}

/// No chance, so that every step is known.
fn exactly<T>(body: impl AsyncFnOnce(Sim) -> T) -> T {
    Builder::new(1).with_jitter(false).with_spurious(0).run(body)
}

/// Everything up to the end, and how that came.
async fn read_all(socket: &mut SimSocket) -> (Vec<u8>, io::Result<()>) {
    let mut all = Vec::new();
    loop {
        match socket.read(10_000).await {
            Ok(bytes) if bytes.is_empty() => return (all, Ok(())),
            Ok(bytes) => all.extend_from_slice(&bytes),
            Err(error) => return (all, Err(error)),
        }
    }
}

fn kind<T>(result: io::Result<T>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind())
}

#[test]
fn bytes_arrive_in_order_however_they_are_cut() {
    for seed in 0..50 {
        portway_sim::run(seed, async |sim| {
            let (mut here, mut there, _listener) = pair(&sim, Link::new().with_capacity(999)).await;
            let sent: Vec<u8> = (0..20_000_u32).map(|n| (n % 251) as u8).collect();
            let writes = sent.clone();
            let writing = sim.start("writer", async move {
                here.write_all(&writes).await.unwrap();
                here.finish().await.unwrap();
                here
            });
            let (read, end) = read_all(&mut there).await;
            assert!(end.is_ok() && read == sent);
            writing.await;
        });
    }
}

#[test]
fn reads_and_writes_are_cut_short_by_chance_and_by_what_fits() {
    let first_write = |seed, jitter| {
        Builder::new(seed).with_jitter(jitter).run(async |sim| {
            let (mut here, _there, _listener) = pair(&sim, Link::new().with_capacity(1_000)).await;
            let slices = [io::IoSlice::new(&[0; 600]), io::IoSlice::new(&[1; 600])];
            std::future::poll_fn(|cx| here.poll_write_vectored(cx, &slices)).await.unwrap()
        })
    };
    assert_eq!(first_write(1, false), 1_000);
    let written: std::collections::BTreeSet<_> = (0..50).map(|n| first_write(n, true)).collect();
    assert!(written.len() > 5 && written.iter().all(|n| (1..=1_000).contains(n)), "{written:?}");
}

#[test]
fn a_fin_ends_one_direction_only() {
    exactly(async |sim| {
        let (mut here, mut there, _listener) = pair(&sim, Link::new()).await;
        here.write_all(b"question").await.unwrap();
        here.finish().await.unwrap();
        assert_eq!(kind(here.write_all(b"more").await), Some(ErrorKind::BrokenPipe));
        assert_eq!(read_all(&mut there).await.0, b"question");
        there.write_all(b"answer").await.unwrap();
        drop(there);
        let (answer, end) = read_all(&mut here).await;
        assert!(answer == b"answer" && end.is_ok());
    });
}

#[test]
fn an_abort_is_a_reset_behind_what_had_arrived() {
    exactly(async |sim| {
        let (mut here, mut there, _listener) = pair(&sim, Link::new()).await;
        there.write_all(b"partial").await.unwrap();
        sim.settled().await;
        there.abort();
        drop(there);
        sim.settled().await;
        let (read, end) = read_all(&mut here).await;
        assert_eq!((read, kind(end)), (b"partial".to_vec(), Some(ErrorKind::ConnectionReset)));
        // Told once: then it looks like an end, and writing tells of a broken pipe.
        assert_eq!(here.read(1).await.unwrap(), Bytes::new());
        assert_eq!(kind(here.write_all(b"x").await), Some(ErrorKind::BrokenPipe));
        assert_eq!(kind(here.finish().await), Some(ErrorKind::NotConnected));
    });
}

#[test]
fn closing_over_unread_bytes_is_a_reset_and_over_none_is_not() {
    for (sent, reset) in [(&b"unread"[..], true), (b"", false)] {
        exactly(async |sim| {
            let (mut here, there, _listener) = pair(&sim, Link::new()).await;
            here.write_all(sent).await.unwrap();
            sim.settled().await;
            drop(there);
            sim.settled().await;
            let error = kind(here.read(1).await);
            assert_eq!(error, reset.then_some(ErrorKind::ConnectionReset));
        });
    }
}

#[test]
fn what_is_sent_to_somebody_who_has_closed_is_answered_by_a_reset() {
    exactly(async |sim| {
        let (mut here, there, _listener) = pair(&sim, Link::new()).await;
        drop(there);
        assert_eq!(here.read(1).await.unwrap(), Bytes::new());
        here.write_all(b"late").await.unwrap();
        sim.settled().await;
        let error = here.take_error().map(|error| error.kind());
        // To somebody who has the other's FIN, Linux calls it that.
        assert_eq!(error, Some(ErrorKind::BrokenPipe));
        assert!(here.take_error().is_none());
    });
}

#[test]
fn who_listens_is_reached_and_nobody_else() {
    exactly(async |sim| {
        assert_eq!(kind(sim.connect(&SERVER.into()).await), Some(ErrorKind::ConnectionRefused));
        let listener = sim.bind(SERVER).await.unwrap();
        assert_eq!(kind(sim.bind(SERVER).await), Some(ErrorKind::AddrInUse));
        let mut connected = sim.connect(&SERVER.into()).await.unwrap();
        drop(listener);
        sim.settled().await;
        assert_eq!(kind(connected.read(1).await), Some(ErrorKind::ConnectionReset));
        let any = sim.bind(([0, 0, 0, 0], 0).into()).await.unwrap();
        let port = any.local_addr().unwrap().port();
        assert!(port != 0 && sim.connect(&SocketAddr::new(SERVER.ip(), port).into()).await.is_ok());
    });
}

#[test]
fn a_host_is_looked_up_and_its_addresses_tried_in_order() {
    exactly(async |sim| {
        let _listener = sim.bind(SERVER).await.unwrap();
        sim.add_host("server", &["127.0.0.9".parse().unwrap(), SERVER.ip()]);
        let socket = sim.connect(&Addr::Host("server".to_owned(), 80)).await.unwrap();
        assert_eq!(socket.addresses().unwrap().1, SERVER);
        let nowhere = sim.connect(&Addr::Host("nowhere".to_owned(), 80)).await;
        assert_eq!(kind(nowhere), Some(ErrorKind::NotFound));
    });
}

#[test]
fn an_accept_fails_when_told_to_and_the_listener_goes_on() {
    exactly(async |sim| {
        let mut listener = sim.bind(SERVER).await.unwrap();
        sim.fail_accepts(SERVER, 1, ErrorKind::OutOfMemory);
        let _here = sim.connect(&SERVER.into()).await.unwrap();
        let failed = std::future::poll_fn(|cx| listener.poll_accept(cx)).await;
        assert_eq!(kind(failed), Some(ErrorKind::OutOfMemory));
        accept(&mut listener).await;
    });
}

#[test]
fn a_link_takes_the_time_it_says() {
    exactly(async |sim| {
        let link = Link::new().with_latency(MS * 20..=MS * 20).with_capacity(1 << 20);
        let link = link.with_bytes_per_second(1_000_000);
        let (mut here, mut there, _listener) = pair(&sim, link).await;
        // There and back.
        assert_eq!(sim.elapsed(), MS * 40);
        let started = sim.elapsed();
        let reading = sim.start("reader", async move { read_all(&mut there).await.0.len() });
        here.write_all(&[7; 500_000]).await.unwrap();
        here.finish().await.unwrap();
        assert_eq!(reading.await, 500_000);
        assert_eq!(sim.elapsed() - started, MS * 520);
    });
}

#[test]
fn nobody_answers_where_nobody_is_reached() {
    exactly(async |sim| {
        sim.set_link(SERVER, Link::new().unreachable());
        let _listener = sim.bind(SERVER).await.unwrap();
        assert_eq!(kind(sim.connect(&SERVER.into()).await), Some(ErrorKind::TimedOut));
        assert_eq!(sim.elapsed(), Duration::from_secs(127));
    });
}

#[test]
fn a_stall_holds_everything_up_and_loses_nothing() {
    exactly(async |sim| {
        let (mut here, mut there, _listener) = pair(&sim, Link::new()).await;
        sim.fault(here.connection(), Fault::Stall(MS * 700));
        here.write_all(b"late").await.unwrap();
        assert_eq!(there.read(9).await.unwrap(), "late");
        assert_eq!(sim.elapsed(), MS * 700);
    });
}

#[test]
fn a_cut_is_a_reset_at_both_ends_inside_the_write_it_was_planned_for() {
    exactly(async |sim| {
        sim.plan_faults(SERVER, |_| Some((When::Sent(5), Fault::Cut)));
        let (mut here, mut there, _listener) = pair(&sim, Link::new()).await;
        here.write_all(b"hello world").await.unwrap();
        assert_eq!(kind(here.read(1).await), Some(ErrorKind::ConnectionReset));
        let (read, end) = read_all(&mut there).await;
        assert!(read == b"hello" || read.is_empty(), "{read:?}");
        assert_eq!(kind(end), Some(ErrorKind::ConnectionReset));
        let [fault] = sim.faults()[..] else { panic!("one fault") };
        assert!(fault.inside_a_write && fault.to == SERVER && fault.fault == Fault::Cut);
    });
}

#[test]
fn a_silence_tells_nobody_until_the_sender_gives_up() {
    exactly(async |sim| {
        let link = Link::new().with_patience(Duration::from_secs(60));
        sim.plan_faults(SERVER, |_| Some((When::After(MS), Fault::Silence)));
        let (mut here, mut there, _listener) = pair(&sim, link).await;
        sim.sleep(MS).await;
        here.write_all(b"into the void").await.unwrap();
        let heard = until(&sim, sim.now() + Duration::from_secs(3600), there.read(1)).await;
        assert!(heard.is_err());
        assert_eq!(kind(here.read(1).await), Some(ErrorKind::TimedOut));
    });
}

#[test]
fn a_silence_fills_what_is_between() {
    exactly(async |sim| {
        let (mut here, _there, _listener) = pair(&sim, Link::new().with_capacity(100)).await;
        sim.fault(here.connection(), Fault::Silence);
        let stuck = until(&sim, sim.now() + MS, here.write_all(&[0; 1_000])).await;
        assert!(stuck.is_err());
    });
}
