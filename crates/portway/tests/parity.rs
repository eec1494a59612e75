//! What is written for one runtime is written for all: the same program, compiled and run with the
//! crate of each and with `portway`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]
#![allow(missing_docs, reason = "the modules of a test")]

/// A program that names everything it may need, from one crate.
macro_rules! the_same_program {
    (
        $name:ident, $krate:ident, $Runtime:ident, $Sleep:ident, $Socket:ident, $Listener:ident,
        $Stream:path, $here:expr, $block_on:expr
    ) => {
        mod $name {
            use std::fmt::Debug;
            use std::io;
            use std::time::Duration;

            use $krate::proto::{CloseReason, HalfClose, OpenError, StreamError};
            use $krate::{
                Addr, Attempt, Bound, Bridge, BridgeReport, Config, ConnectError, Connector,
                Counters, DialError, DialPod, Elapsed, Endpoint, Events, Forward, HttpConnector, HyperIo,
                HyperSocket, InvalidProtocol, InvalidServer, Leftover, Lifecycle, ListenError, LocalAddr,
                ListenEvent, ListenStats, Listener, Listening, Mapping, Meter, NegotiationError,
                Net, Options, PodSocket, Port, PortForward, PortStream, Presence, Probe, Protocol,
                RawTransport, ReadBuf, RelayFailure, RelayReport, RelayRules, RelayTotals,
                Remembered, ResolveError, Runtime, ServerUrl, SessionOrigin, Sessions, Sleep, Socket,
                SocketUse, TargetEvent, TargetSink, Transport, TransportError, TunnelError, Upgraded,
                WireForm, WireTransport, Wording, WsTransport, after, listening_socket, tunnel_over,
                until, upgrade_over, $Listener, $Runtime, $Sleep, $Socket,
            };

            /// The driver's types, by the names that this crate gives them.
            type _Types = (
                (Addr, Attempt, Bound, BridgeReport, Config, ConnectError, Counters, DialError, Elapsed),
                (Endpoint, Events, Forward, HttpConnector<$Runtime>, HyperIo<$Socket>),
                (InvalidProtocol, InvalidServer, Leftover, Lifecycle, ListenError, LocalAddr),
                (ListenEvent, ListenStats, Listening, Mapping, NegotiationError, Options, PodSocket<$Socket>),
                (Port, PortStream, Presence, Probe, Protocol, RawTransport<$Socket>),
                (RelayFailure, RelayReport, RelayRules, RelayTotals, Remembered, ResolveError),
                (SessionOrigin, Sessions, SocketUse, TransportError, Upgraded<$Socket>, WireForm),
                (WireTransport<$Socket>, Wording, WsTransport<$Socket>, CloseReason, HalfClose),
                (OpenError, StreamError, ReadBuf<'static>, DialPod<$Socket>),
                (ServerUrl, TargetEvent, TargetSink, TunnelError),
                (HyperSocket<$Socket>, Bridge<$Runtime, WireTransport<$Socket>, $Socket>),
            );

            /// The driver's traits, and who has them.
            fn _bounds<M: Meter, T: Transport, C: Connector>()
            where
                $Runtime: Runtime<Sleep = $Sleep>
                    + Net<Socket = $Socket, Listener = $Listener>
                    + PortForward
                    + Debug,
                $Sleep: Sleep + Debug,
                $Socket: Socket + Debug,
                $Listener: Listener<Socket = $Socket> + Debug,
                HttpConnector<$Runtime>: Connector<Io = $Socket>,
            {
            }

            /// A connection that the program has opened itself.
            fn _takes_over(stream: $Stream) -> io::Result<$Socket> {
                $Socket::new(stream)
            }

            /// A way to the server of the program's own.
            async fn _goes_through(
                rt: &$Runtime,
                io: $Socket,
                server: &ServerUrl,
            ) -> Result<$Socket, TunnelError> {
                let _ = upgrade_over::<$Runtime, $Socket>;
                tunnel_over(rt, io, "proxy:3128", server.addr(), None).await
            }

            #[test]
            fn every_verb_works() {
                const PATIENCE: Duration = Duration::from_secs(30);
                let program = async {
                    let rt: $Runtime = $here;
                    let server = super::serve(&rt).await;
                    let url = format!("http://{}", server.local_addr());
                    let echo: Port = "7".parse().unwrap();
                    let pod: HttpConnector<$Runtime> = rt.http(&url, "default", "demo").unwrap();

                    let mapping = Mapping::new(0, echo);
                    let listening: Listening =
                        rt.listen(pod.clone(), [mapping], Options::new()).await.unwrap();
                    let probe: Probe = listening.probe().await.unwrap();
                    assert_eq!(probe.form, WireForm::Tunnel);
                    let mut events: Events = listening.events();
                    let to = Addr::Ip(listening.local_addr());
                    let mut local: $Socket = rt.connect(&to).await.unwrap();
                    let (ours, _) = local.addresses().unwrap();
                    let told = events.next().await.unwrap();
                    let accepted =
                        matches!(told, ListenEvent::Accepted { from, .. } if from == Some(ours));
                    assert!(accepted, "{told:?}");
                    local.abort();
                    drop(local);
                    let left: Leftover = listening.shutdown(PATIENCE).await;
                    assert_eq!(left.connections, 0);

                    let mut forward: Forward =
                        rt.forward(pod, &[echo], Options::new()).await.unwrap();
                    let mut stream: PortStream = forward.open(echo).unwrap();
                    super::echoes(&mut stream).await;
                    drop(stream);
                    assert_eq!(forward.shutdown().await, CloseReason::Local);

                    listening_socket(([127, 0, 0, 1], 0).into()).unwrap();
                    let bound: $Listener = rt.bind(([127, 0, 0, 1], 0).into()).await.unwrap();
                    assert_ne!(bound.local_addr().unwrap().port(), 0);
                    let late = until(&rt, rt.now(), std::future::pending::<()>()).await;
                    assert!(late.is_err());
                    assert!(after(rt.now(), Duration::MAX) > rt.now());
                };
                $block_on(program);
            }
        }
    };
}

the_same_program!(
    tokio_itself,
    portway_tokio,
    Tokio,
    TokioSleep,
    TokioSocket,
    TokioListener,
    tokio::net::TcpStream,
    Tokio::current(),
    super::on_tokio
);
the_same_program!(
    smol_itself,
    portway_smol,
    Smol,
    SmolSleep,
    SmolSocket,
    SmolListener,
    smol::net::TcpStream,
    Smol::global(),
    smol::block_on
);
the_same_program!(
    async_std_itself,
    portway_async_std,
    AsyncStd,
    AsyncStdSleep,
    AsyncStdSocket,
    AsyncStdListener,
    async_std::net::TcpStream,
    AsyncStd::global(),
    async_std::task::block_on
);
the_same_program!(
    tokio_by_portway,
    portway,
    Tokio,
    TokioSleep,
    TokioSocket,
    TokioListener,
    tokio::net::TcpStream,
    Tokio::current(),
    super::on_tokio
);
the_same_program!(
    smol_by_portway,
    portway,
    Smol,
    SmolSleep,
    SmolSocket,
    SmolListener,
    smol::net::TcpStream,
    Smol::global(),
    smol::block_on
);
the_same_program!(
    async_std_by_portway,
    portway,
    AsyncStd,
    AsyncStdSleep,
    AsyncStdSocket,
    AsyncStdListener,
    async_std::net::TcpStream,
    AsyncStd::global(),
    async_std::task::block_on
);

use std::future::Future;

use portway::{Net, PortStream, Runtime};
use portway_server::{LocalPod, LocalPods, Server, Serving};
use tokio::io::AsyncWriteExt;

/// The program above names all that there is.
#[test]
fn nothing_is_left_out() {
    let this = include_str!("parity.rs");
    let program = this.split("/// The driver's types").next().unwrap();
    let driver = include_str!("../../portway-driver/src/lib.rs");
    let exports = driver.split("pub use ").skip(1).map(|rest| rest.split(';').next().unwrap());
    let mut names = 0;
    for export in exports {
        let list = export.rsplit("::").next().unwrap().trim_matches(['{', '}']);
        for name in list.split(',').map(|name| name.rsplit(' ').next().unwrap().trim()) {
            let named = program.split(|c: char| !c.is_alphanumeric() && c != '_');
            assert!(name.is_empty() || named.clone().any(|word| word == name), "{name}");
            names += 1;
        }
    }
    assert!(names > 60, "{names} names were found: this test reads the driver wrongly");
}

/// Two adapters side by side show the same shape.
#[test]
fn adapters_have_one_shape() {
    let shapes = [
        (
            "Tokio",
            include_str!("../../portway-tokio/src/runtime.rs"),
            include_str!("../../portway-tokio/src/socket.rs"),
            include_str!("../../portway-tokio/src/stream.rs"),
        ),
        (
            "Smol",
            include_str!("../../portway-smol/src/runtime.rs"),
            include_str!("../../portway-smol/src/socket.rs"),
            include_str!("../../portway-smol/src/stream.rs"),
        ),
        (
            "AsyncStd",
            include_str!("../../portway-async-std/src/runtime.rs"),
            include_str!("../../portway-async-std/src/socket.rs"),
            include_str!("../../portway-async-std/src/stream.rs"),
        ),
    ]
    .map(|(name, runtime, socket, stream)| {
        let lines = runtime.lines().chain(socket.lines()).chain(stream.lines());
        let items = lines.filter(|line| {
            let implements = line.starts_with("impl ") && !line.contains("Debug");
            implements || line.starts_with("pub struct ") || line.starts_with("    fn poll_")
        });
        // Whether it has fields, and what they are, is the runtime's affair.
        let heads = items.map(|line| line.split(['{', '(']).next().unwrap().trim_end());
        heads.map(|head| head.replace(name, "")).collect::<Vec<_>>()
    });
    assert!(shapes[0].len() > 15, "{:#?}", shapes[0]);
    assert_eq!(shapes[0], shapes[1]);
    assert_eq!(shapes[0], shapes[2]);
}

fn on_tokio(program: impl Future<Output = ()>) {
    tokio::runtime::Runtime::new().unwrap().block_on(program);
}

/// Serves the pod `demo`, which echoes on its port 7.
async fn serve<R: Runtime + Net>(rt: &R) -> Serving {
    let program = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let pod = LocalPod::closed().with_port("7".parse().unwrap(), program.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in program.incoming().flatten() {
            std::thread::spawn(move || std::io::copy(&mut &stream, &mut &stream));
        }
    });
    let pods = LocalPods::new(rt.clone()).with("default", "demo", pod);
    Server::new(rt.clone(), pods).listen(([127, 0, 0, 1], 0).into()).await.unwrap()
}

async fn echoes(stream: &mut PortStream) {
    stream.write_all(b"there and back").await.unwrap();
    let mut back = Vec::new();
    while back.len() < 14 {
        back.extend(stream.bytes().await.unwrap().expect("no end yet"));
    }
    assert_eq!(back, b"there and back");
}
