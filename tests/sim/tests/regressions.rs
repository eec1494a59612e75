//! What the simulator has found, each by its smallest scenario.
#![allow(missing_docs, clippy::unwrap_used)]

use std::net::SocketAddr;
use std::time::Duration;

use futures_io::AsyncWrite;
use portway_driver::{
    Listener, Mapping, Net, Options, Port, PortForward, Protocol, RelayRules, Runtime, until,
};
use portway_server::{LocalPod, LocalPods, Server};
use portway_sim::{Builder, Sim};

const POD: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9_000);
const SERVER: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8_001);

/// A server of one pod, whose port 80 is [`POD`].
async fn serve(sim: &Sim) -> portway_server::Serving {
    let pod = LocalPod::closed().with_port(Port::new(80).unwrap(), POD);
    let pods = LocalPods::new(sim.clone()).with("default", "demo", pod);
    let server = Server::new(sim.clone(), pods).with_rules(RelayRules::FAITHFUL);
    server.listen(SERVER).await.unwrap()
}

/// v4 has no half-close, so a connection that has to go still waits for a moment; it was told so again
/// and again meanwhile, in a loop that gave nobody else a turn.
#[test]
fn a_lingerer_that_has_to_go_is_told_once() {
    Builder::new(1).with_max_polls(20_000).run(async |sim| {
        let mut pod = sim.bind(POD).await.unwrap();
        sim.start("a pod that says nothing", async move {
            let mut connections = Vec::new();
            loop {
                let accepted = std::future::poll_fn(|cx| pod.poll_accept(cx)).await.unwrap();
                connections.push(accepted);
            }
        });
        let _serving = serve(&sim).await;
        let connector = sim.http(&format!("http://{SERVER}"), "default", "demo").unwrap();
        let options = Options::new().with_protocol(Protocol::V4).with_max_lingering(1);
        let mapping = Mapping::new(0, Port::new(80).unwrap());
        let listening = sim.listen(connector, [mapping], options).await.unwrap();
        let mut programs = Vec::new();
        for _ in 0..3 {
            let mut program = sim.connect(&listening.local_addr().into()).await.unwrap();
            program.write_all(b"question").await.unwrap();
            program.finish().await.unwrap();
            programs.push(program);
        }
        let started = sim.now();
        for mut program in programs {
            assert!(program.read(1).await.unwrap().is_empty());
        }
        // The last to linger waits for an answer for as long as the policy says.
        assert!(sim.now() - started >= Duration::from_secs(5));
    });
}

/// The task of a session was still at the last messages when its shutdown had returned.
#[test]
fn a_forward_that_was_shut_down_has_no_task_left() {
    Builder::new(1).run(async |sim| {
        let mut pod = sim.bind(POD).await.unwrap();
        sim.start("a pod that reads nothing", async move {
            let _accepted = std::future::poll_fn(|cx| pod.poll_accept(cx)).await.unwrap();
            std::future::pending::<()>().await
        });
        let _serving = serve(&sim).await;
        let connector = sim.http(&format!("http://{SERVER}"), "default", "demo").unwrap();
        let options = Options::new().with_protocol(Protocol::V4);
        let port = Port::new(80).unwrap();
        let mut forward = sim.forward(connector, &[port], options).await.unwrap();
        let mut stream = forward.open(port).unwrap();
        // Until nothing is taken any more.
        let mut written = 0;
        let write = std::future::poll_fn(|cx| {
            std::pin::Pin::new(&mut stream).poll_write(cx, &[7; 64 * 1024])
        });
        let mut write = std::pin::pin!(write);
        while let Ok(taken) = until(&sim, sim.now() + Duration::from_secs(1), &mut write).await {
            written += taken.unwrap();
        }
        assert!(written > 0);
        forward.shutdown().await;
        let left = sim.dump();
        assert!(!left.contains("Mover"), "{left}");
    });
}

/// The pod has said everything and closed, and the program takes a break before it reads the rest. On v4
/// the server ends the session then, and gave the last messages two seconds and two more for the goodbye,
/// whether or not anybody took them: the rest was lost, with a reset.
#[test]
fn a_slow_program_gets_the_tail_on_v4() {
    const SAID: usize = 1_500_000;
    Builder::new(1).run(async |sim| {
        let mut pod = sim.bind(POD).await.unwrap();
        sim.start("a pod that says much and closes", async move {
            let (mut socket, _) = std::future::poll_fn(|cx| pod.poll_accept(cx)).await.unwrap();
            socket.read(1).await.unwrap();
            socket.write_all(&vec![7; SAID]).await.unwrap();
        });
        let _serving = serve(&sim).await;
        let connector = sim.http(&format!("http://{SERVER}"), "default", "demo").unwrap();
        let options = Options::new().with_protocol(Protocol::V4);
        let mapping = Mapping::new(0, Port::new(80).unwrap());
        let listening = sim.listen(connector, [mapping], options).await.unwrap();
        let mut program = sim.connect(&listening.local_addr().into()).await.unwrap();
        program.write_all(b"?").await.unwrap();
        // The pod is done while much of it is still on its way.
        let (mut read, mut paused) = (0, false);
        loop {
            if read > SAID - 780_000 && !paused {
                paused = true;
                sim.sleep(Duration::from_secs(10)).await;
            }
            match program.read(16 * 1024).await {
                Ok(bytes) if bytes.is_empty() => break,
                Ok(bytes) => read += bytes.len(),
                Err(error) => panic!("{error} after {read} of {SAID} bytes"),
            }
        }
        assert_eq!(read, SAID);
    });
}

/// The same the other way: on v4 our side ends the session when the program has ended, and a pod that takes
/// a break before it reads the rest lost it.
#[test]
fn a_slow_pod_gets_the_tail_on_v4() {
    const SAID: usize = 3_000_000;
    Builder::new(1).run(async |sim| {
        let mut pod = sim.bind(POD).await.unwrap();
        let clock = sim.clone();
        let whole = sim.start("a pod that takes a break", async move {
            let (mut socket, _) = std::future::poll_fn(|cx| pod.poll_accept(cx)).await.unwrap();
            let mut read = 0;
            let mut paused = false;
            while let Ok(bytes) = socket.read(16 * 1024).await
                && !bytes.is_empty()
            {
                read += bytes.len();
                if read > SAID - 500_000 && !paused {
                    paused = true;
                    clock.sleep(Duration::from_secs(30)).await;
                }
            }
            read
        });
        let _serving = serve(&sim).await;
        let connector = sim.http(&format!("http://{SERVER}"), "default", "demo").unwrap();
        let options = Options::new().with_protocol(Protocol::V4);
        let mapping = Mapping::new(0, Port::new(80).unwrap());
        let listening = sim.listen(connector, [mapping], options).await.unwrap();
        let mut program = sim.connect(&listening.local_addr().into()).await.unwrap();
        program.write_all(&vec![7; SAID]).await.unwrap();
        program.finish().await.unwrap();
        assert_eq!(whole.await, SAID);
    });
}
