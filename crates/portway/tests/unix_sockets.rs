//! Unix sockets that lead into a pod, on each runtime.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]
#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks for what it is about")]

use std::future::poll_fn;
use std::io::{ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use portway::proto::HalfClose;
use portway::{
    Addr, AsyncStd, Config, Events, HttpConnector, ListenError, ListenEvent, Listener, Listening,
    LocalAddr, Mapping, Net, Options, Port, PortForward, RelayFailure, RelayReport, RelayRules,
    Runtime, Smol, Socket, Tokio, until,
};
use portway_server::{LocalPod, LocalPods, Server, Serving};
use tempfile::TempDir;

/// Nothing is waited for any longer.
const PATIENCE: Duration = Duration::from_secs(30);

const POD: Port = Port::new(80).expect("not zero");
const CLOSED: Port = Port::new(81).expect("not zero");

/// A test of each function on each runtime.
macro_rules! on_every_runtime {
    ($($name:ident),+ $(,)?) => {
        mod on_tokio {
            $(#[test] fn $name() {
                let runtime = tokio::runtime::Runtime::new().unwrap();
                let rt = super::Tokio::new(runtime.handle().clone());
                runtime.block_on(super::in_time(rt, super::$name));
            })+
        }
        mod on_smol {
            $(#[test] fn $name() {
                smol::block_on(super::in_time(super::Smol::global(), super::$name));
            })+
        }
        mod on_async_std {
            $(#[test] fn $name() {
                let rt = super::AsyncStd::global();
                async_std::task::block_on(super::in_time(rt, super::$name));
            })+
        }
    };
}

on_every_runtime!(
    bytes_go_there_and_back,
    the_end_of_a_question_comes_before_its_answer,
    a_program_that_is_gone_is_a_reset_to_the_pod,
    a_refused_port_is_the_end_of_its_program_and_of_nothing_else,
    an_abort_is_a_reset_only_if_something_was_not_read,
    the_file_is_gone_when_the_listener_is,
    a_path_that_is_taken_opens_nothing,
    what_a_dead_program_left_is_no_hindrance,
    several_sockets_and_ports_lead_each_to_its_own,
);

async fn bytes_go_there_and_back<R: Runtime + Net>(rt: R) {
    const MUCH: usize = 8 * 1024 * 1024;
    let mut site = Site::new(&rt, |mut stream| {
        let (mut to, mut from) = (stream.try_clone().unwrap(), &mut stream);
        std::io::copy(&mut from, &mut to).unwrap();
        to.shutdown(Shutdown::Write).unwrap();
    })
    .await;
    let path = site.path("s");
    let listening = site.listen([Mapping::unix(&path, POD)]).await.unwrap();
    let mut events = listening.events();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let bound = &listening.bound()[0];
    assert_eq!((bound.local.path(), bound.local.socket_addr()), (Some(path.as_path()), None));
    assert_eq!(bound.local.to_string(), format!("unix:{}", path.display()));

    let mut program = program(&path);
    let bytes: Vec<u8> = (0..MUCH).map(|i| (i * 7 + i / 251) as u8).collect();
    let (mut sender, sent) = (program.try_clone().unwrap(), bytes.clone());
    let sending = thread::spawn(move || {
        sender.write_all(&sent).unwrap();
        sender.shutdown(Shutdown::Write).unwrap();
    });
    let mut back = Vec::new();
    program.read_to_end(&mut back).unwrap();
    sending.join().unwrap();
    assert!(back == bytes, "{} bytes came back", back.len());

    let told = events.next().await.unwrap();
    let local = LocalAddr::Unix(path.as_path().into());
    assert!(
        matches!(&told, ListenEvent::Accepted { local: at, from: None, .. } if *at == local),
        "{told:?}"
    );
    let report = ended(&mut events).await;
    assert_eq!((report.bytes_up, report.bytes_down), (MUCH as u64, MUCH as u64));
    assert!(report.failure.is_none(), "{report:?}");
    site.end(listening).await;
}

async fn the_end_of_a_question_comes_before_its_answer<R: Runtime + Net>(rt: R) {
    let mut site = Site::new(&rt, |mut stream| {
        let mut question = String::new();
        stream.read_to_string(&mut question).unwrap();
        stream.write_all(question.to_uppercase().as_bytes()).unwrap();
    })
    .await;
    let path = site.path("s");
    let listening = site.listen([Mapping::unix(&path, POD)]).await.unwrap();
    let mut program = program(&path);
    program.write_all(b"question").unwrap();
    program.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    program.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "QUESTION");
    site.end(listening).await;
}

/// It has closed its socket and left bytes unread, which is what a killed program does.
async fn a_program_that_is_gone_is_a_reset_to_the_pod<R: Runtime + Net>(rt: R) {
    let (end, ended_with) = channel();
    let mut site = Site::new(&rt, move |mut stream| {
        let speaking = std::iter::repeat_with(|| stream.write_all(&[0; 64 * 1024]));
        let error = speaking.take(100_000).find_map(Result::err);
        end.send(error.map(|error| error.kind())).unwrap();
    })
    .await;
    let path = site.path("s");
    let listening = site.listen([Mapping::unix(&path, POD)]).await.unwrap();
    let mut events = listening.events();
    let mut program = program(&path);
    program.read_exact(&mut [0]).unwrap();
    drop(program);
    let report = ended(&mut events).await;
    assert!(matches!(report.failure, Some(RelayFailure::Socket(_))), "{report:?}");
    let end = ended_with.recv_timeout(PATIENCE).unwrap();
    assert!(matches!(end, Some(ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)), "{end:?}");
    site.end(listening).await;
}

async fn a_refused_port_is_the_end_of_its_program_and_of_nothing_else<R: Runtime + Net>(rt: R) {
    let mut site = Site::new(&rt, |_| {}).await;
    let path = site.path("s");
    let listening = site.listen([Mapping::unix(&path, CLOSED)]).await.unwrap();
    let mut events = listening.events();
    let mut silent = program(&path);
    assert_eq!(silent.read(&mut [0]).unwrap(), 0);
    let failure = ended(&mut events).await.failure.unwrap().to_string();
    assert!(failure.contains("81"), "{failure}");

    let mut eager = program(&path);
    let error = std::iter::repeat_with(|| eager.write_all(&[0; 64 * 1024])).find_map(Result::err);
    let kind = error.unwrap().kind();
    assert!(matches!(kind, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{kind}");
    site.end(listening).await;
}

/// There is no RST: all that can be said is what the system says of bytes that nobody has read.
async fn an_abort_is_a_reset_only_if_something_was_not_read<R: Runtime + Net>(rt: R) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    listener.set_nonblocking(true).unwrap();
    let mut listener = rt.adopt_unix(listener).unwrap();
    for (said, end) in [(&b""[..], Ok(0)), (b"unread", Err(ErrorKind::ConnectionReset))] {
        let mut program = program(&path);
        program.write_all(said).unwrap();
        let (mut socket, from) = poll_fn(|cx| listener.poll_accept(cx)).await.unwrap();
        assert_eq!((from, socket.addresses()), (None, None));
        socket.abort();
        drop(socket);
        assert_eq!(program.read(&mut [0]).map_err(|error| error.kind()), end, "{said:?}");
    }

    // And what a program does so is noticed without reading.
    let program = program(&path);
    let (mut socket, _) = poll_fn(|cx| listener.poll_accept(cx)).await.unwrap();
    let bytes = [IoSlice::new(b"unread")];
    assert_eq!(poll_fn(|cx| socket.poll_write_vectored(cx, &bytes)).await.unwrap(), 6);
    assert!(socket.take_error().is_none());
    drop(program);
    assert_eq!(socket.take_error().unwrap().kind(), ErrorKind::ConnectionReset);
}

async fn the_file_is_gone_when_the_listener_is<R: Runtime + Net>(rt: R) {
    let mut site = Site::new(&rt, |_| {}).await;
    let path = site.path("s");
    let listening = site.listen([Mapping::unix(&path, POD)]).await.unwrap();
    assert!(path.exists());
    listening.shutdown(PATIENCE).await;
    assert!(!path.exists(), "it is removed by the time that the shutdown is over");

    let listening = site.listen([Mapping::unix(&path, POD)]).await.unwrap();
    drop(listening);
    while path.exists() {
        rt.sleep_until(rt.now() + Duration::from_millis(1)).await;
    }

    // Somebody else has put theirs in its place meanwhile.
    let listening = site.listen([Mapping::unix(&path, POD)]).await.unwrap();
    std::fs::remove_file(&path).unwrap();
    let _theirs = std::os::unix::net::UnixListener::bind(&path).unwrap();
    listening.shutdown(PATIENCE).await;
    program(&path);
}

async fn a_path_that_is_taken_opens_nothing<R: Runtime + Net>(rt: R) {
    let mut site = Site::new(&rt, |_| {}).await;
    let (first, taken) = (site.path("first"), site.path("taken"));
    let listening = site.listen([Mapping::unix(&taken, POD)]).await.unwrap();
    let both = [Mapping::unix(&first, POD), Mapping::unix(&taken, POD)];
    let error = site.listen(both).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "cannot listen on unix:{} for port 80 of the pod: somebody listens there already",
            taken.display()
        )
    );
    assert!(!first.exists(), "what was opened before is closed, and removed");
    program(&taken);
    site.end(listening).await;
}

async fn what_a_dead_program_left_is_no_hindrance<R: Runtime + Net>(rt: R) {
    let mut site = Site::new(&rt, |mut stream| stream.write_all(b"here").unwrap()).await;
    let path = site.path("s");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let listening = site.listen([Mapping::unix(&path, POD)]).await.unwrap();
    let mut said = String::new();
    program(&path).read_to_string(&mut said).unwrap();
    assert_eq!(said, "here");
    site.end(listening).await;
}

async fn several_sockets_and_ports_lead_each_to_its_own<R: Runtime + Net>(rt: R) {
    let mut site = Site::new(&rt, |mut stream| stream.write_all(b"here").unwrap()).await;
    let (one, other) = (site.path("one"), site.path("other"));
    let mappings = [Mapping::unix(&one, POD), Mapping::new(0, POD), Mapping::unix(&other, CLOSED)];
    let listening = site.listen(mappings).await.unwrap();
    let said = |mut from: Box<dyn Read>| {
        let mut said = String::new();
        from.read_to_string(&mut said).unwrap();
        said
    };
    assert_eq!(said(Box::new(program(&one))), "here");
    assert_eq!(said(Box::new(program(&other))), "");
    assert_eq!(said(Box::new(TcpStream::connect(listening.local_addr()).unwrap())), "here");

    // A runtime finds it by its path as well.
    let socket = rt.connect(&Addr::from(listening.bound()[0].local.clone())).await.unwrap();
    assert_eq!(socket.addresses(), None);
    let nobody = rt.connect(&Addr::Unix(site.path("nobody"))).await.err().unwrap();
    assert_eq!(nobody.kind(), ErrorKind::NotFound);
    drop(socket);
    site.end(listening).await;
}

/// A pod behind a server, and a directory for sockets.
struct Site<R: Runtime + Net> {
    rt: R,
    serving: Serving,
    directory: TempDir,
    panicked: Receiver<()>,
    connector: HttpConnector<R>,
}

impl<R: Runtime + Net> Site<R> {
    /// In the pod, `program` is run for everybody who connects to [`POD`].
    async fn new(rt: &R, program: impl Fn(TcpStream) + Clone + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let pod = LocalPod::closed().with_port(POD, listener.local_addr().unwrap());
        let (tells, panicked) = channel();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (program, tells) = (program.clone(), tells.clone());
                thread::spawn(move || {
                    let run = std::panic::AssertUnwindSafe(|| program(stream));
                    if std::panic::catch_unwind(run).is_err() {
                        let _ = tells.send(());
                    }
                });
            }
        });
        let pods = LocalPods::new(rt.clone()).with("default", "demo", pod);
        let server = Server::new(rt.clone(), pods).with_rules(RelayRules::FAITHFUL);
        let serving = server.listen(([127, 0, 0, 1], 0).into()).await.unwrap();
        let url = format!("http://{}", serving.local_addr());
        let connector = rt.http(&url, "default", "demo").unwrap();
        let directory = tempfile::tempdir().unwrap();
        Self { rt: rt.clone(), serving, directory, panicked, connector }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    async fn listen<const N: usize>(
        &mut self,
        mappings: [Mapping; N],
    ) -> Result<Listening, ListenError> {
        let session = Config::client().with_half_close(HalfClose::Immediate);
        let options = Options::new().with_session(session);
        self.rt.listen(self.connector.clone(), mappings, options).await
    }

    async fn end(self, listening: Listening) {
        listening.shutdown(PATIENCE).await;
        self.serving.shutdown(PATIENCE).await;
        assert!(self.panicked.try_recv().is_err(), "a program of the pod has panicked");
        let left = std::fs::read_dir(self.directory.path()).unwrap().count();
        assert_eq!(left, 0, "files are left behind");
    }
}

/// A program that has connected.
fn program(path: &Path) -> UnixStream {
    let stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// How the next connection that ends has ended.
async fn ended(events: &mut Events) -> RelayReport {
    loop {
        match events.next().await.unwrap() {
            ListenEvent::Ended { report, .. } => return report,
            ListenEvent::Failed { error, .. } => panic!("{error}"),
            _ => {}
        }
    }
}

async fn in_time<R: Runtime>(rt: R, body: impl AsyncFnOnce(R)) {
    let deadline = rt.now() + PATIENCE;
    until(&rt.clone(), deadline, body(rt)).await.expect("the test takes too long");
}
