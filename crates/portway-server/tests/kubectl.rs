//! Real kubectl, an old and a new one, against our server, on every runtime: through plain SPDY and
//! through the tunnel.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use common::program::{self, *};
use common::*;
use portway_driver::proto::CloseReason;
use portway_driver::{Net, Port, RelayRules, Runtime, WireForm};
use portway_interop::{Kubectl, KubectlExit, KubectlForward, Kubectled};
use portway_runtimes::TestRuntime;
use portway_server::{
    Access, Action, LocalPod, LocalPods, NoPod, PodError, Pods, Server, ServerEvent, Serving,
    Target, Verdict,
};

/// Registers generic test bodies with every kubectl, on both runtimes.
macro_rules! with_every_kubectl {
    ($($name:ident),+ $(,)?) => {
        with_every_kubectl!(@ old, old_plain, false, $($name),+);
        with_every_kubectl!(@ old, old_tunnel, true, $($name),+);
        with_every_kubectl!(@ new, new_plain, false, $($name),+);
        with_every_kubectl!(@ new, new_tunnel, true, $($name),+);
    };
    (@ $which:ident, $module:ident, $tunnel:literal, $($name:ident),+) => {
        mod $module {
            fn caller() -> Option<crate::Caller> {
                portway_interop::Kubectl::$which().map(|kubectl| crate::Caller { kubectl, tunnel: $tunnel })
            }
            mod tokio {
                $(#[test] fn $name() { crate::run::<portway_runtimes::TokioThreads>(super::caller(), crate::$name) })+
            }
            mod smol {
                $(#[test] fn $name() { crate::run::<portway_runtimes::SmolGlobal>(super::caller(), crate::$name) })+
            }
        }
    };
}

with_every_kubectl!(
    one_program_echoes,
    a_thousand_programs_echo_one_by_one,
    fifty_programs_echo_at_once,
    three_ports_lead_to_three_programs,
    a_port_may_be_asked_for_by_its_name,
    a_refused_port_is_told_in_kubectls_words,
    sixty_four_mebibytes_arrive_each_way,
    an_interrupt_frees_everything,
    a_kill_frees_everything,
    a_shutdown_is_an_end_that_kubectl_notices,
    a_pods_end_is_the_programs_end,
    a_port_that_was_not_granted_is_refused_alone,
    what_cannot_be_reached_is_told_before_anything_listens,
);

/// A kubectl, and what it is to speak.
struct Caller {
    kubectl: Kubectl,
    tunnel: bool,
}

impl Caller {
    fn prepare(&self, serving: &Serving, pod: &str, ports: &[u16]) -> KubectlForward {
        let url = format!("http://{}", serving.local_addr());
        self.kubectl.port_forward(pod, ports).server(&url).websockets(self.tunnel)
    }

    #[track_caller]
    fn start(&self, serving: &Serving, ports: &[Port]) -> Kubectled {
        let ports: Vec<u16> = ports.iter().map(|port| port.get()).collect();
        self.prepare(serving, "demo", &ports).start().unwrap()
    }

    /// Does not get as far as to listen.
    #[track_caller]
    fn fail(&self, serving: &Serving, pod: &str, says: &str) {
        let exit = self.prepare(serving, pod, &[80]).start().unwrap_err();
        assert_eq!(exit.code, Some(1), "{exit:?}");
        assert!(exit.output.stderr.contains(says), "{exit:?}");
    }

    const fn form(&self) -> WireForm {
        if self.tunnel { WireForm::Tunnel } else { WireForm::Spdy }
    }
}

fn run<T: TestRuntime>(caller: Option<Caller>, body: impl AsyncFnOnce(T::Runtime, Caller)) {
    // What is missing says so itself.
    let Some(caller) = caller else { return };
    portway_runtimes::run::<T, _>(async |rt| body(rt, caller).await);
}

fn open(kubectl: &Kubectled, port: Port) -> TcpStream {
    program::open(kubectl.addr(port.get()))
}

async fn one_program_echoes<R: Runtime + Net>(rt: R, caller: Caller) {
    let (server, events) = observed(server(&rt).with_api());
    let serving = server.listen(LOCALHOST).await.unwrap();
    let port = echo_pod();
    let kubectl = caller.start(&serving, &[port]);
    echoes(&mut open(&kubectl, port), b"hello");
    let Ok(ServerEvent::Opened { form, ports, target, .. }) = events.recv() else { panic!() };
    assert_eq!((form, ports), (caller.form(), vec![]));
    assert_eq!(target.to_string(), "default/demo");
}

async fn a_thousand_programs_echo_one_by_one<R: Runtime + Net>(rt: R, caller: Caller) {
    let (server, events) = observed(server(&rt).with_api());
    let serving = server.listen(LOCALHOST).await.unwrap();
    let (port, live) = counted_pod();
    let kubectl = caller.start(&serving, &[port]);
    for i in 0..1_000 {
        echoes(&mut open(&kubectl, port), format!("program {i}").as_bytes());
    }
    soon("no pod connection is left", || live.load(Ordering::SeqCst) == 0);
    assert_eq!(sessions(&events), (1, 0), "all in one session");
}

async fn fifty_programs_echo_at_once<R: Runtime + Net>(rt: R, caller: Caller) {
    let serving = server(&rt).with_api().listen(LOCALHOST).await.unwrap();
    let (port, live) = counted_pod();
    let kubectl = caller.start(&serving, &[port]);
    let mut programs: Vec<_> = (0..50).map(|_| open(&kubectl, port)).collect();
    std::thread::scope(|scope| {
        for (i, program) in programs.iter_mut().enumerate() {
            scope.spawn(move || {
                for round in 0..5 {
                    echoes(program, &vec![(i * 5 + round) as u8; 3_000]);
                }
            });
        }
    });
    assert_eq!(live.load(Ordering::SeqCst), 50);
    drop(programs);
    soon("no pod connection is left", || live.load(Ordering::SeqCst) == 0);
}

async fn three_ports_lead_to_three_programs<R: Runtime + Net>(rt: R, caller: Caller) {
    let serving = server(&rt).with_api().listen(LOCALHOST).await.unwrap();
    let said = |words: &'static [u8]| pod(move |mut stream| stream.write_all(words).unwrap());
    let ports = [said(b"one"), said(b"two"), echo_pod()];
    let kubectl = caller.start(&serving, &ports);
    let hear = |port| {
        let mut heard = [0; 3];
        open(&kubectl, port).read_exact(&mut heard).unwrap();
        heard
    };
    assert_eq!((&hear(ports[0]), &hear(ports[1])), (b"one", b"two"));
    echoes(&mut open(&kubectl, ports[2]), b"three");
}

async fn a_port_may_be_asked_for_by_its_name<R: Runtime + Net>(rt: R, caller: Caller) {
    let port = echo_pod();
    let to: SocketAddr = ([127, 0, 0, 1], port.get()).into();
    let pods = LocalPods::new(rt.clone()).with(
        "default",
        "demo",
        LocalPod::closed().with_named_port("echo", Port::new(7).unwrap(), to),
    );
    let serving = Server::new(rt.clone(), pods).with_api().listen(LOCALHOST).await.unwrap();
    // The port by name, and a second time by number.
    let kubectl = caller.prepare(&serving, ":echo", &[7]).arg("demo").start().unwrap();
    echoes(&mut open(&kubectl, Port::new(7).unwrap()), b"hello");
    let twice = || kubectl.output().stdout.matches(" -> 7\n").count() == 2;
    soon("both are open", twice);
}

async fn a_refused_port_is_told_in_kubectls_words<R: Runtime + Net>(rt: R, caller: Caller) {
    let serving = server(&rt).with_api().listen(LOCALHOST).await.unwrap();
    let (refused, _taken) = refused_port();
    let mut kubectl = caller.start(&serving, &[refused]);
    let _ = open(&kubectl, refused).read(&mut [0]);
    let exit = kubectl.exit_within(Duration::from_secs(10)).expect("kubectl dies of it");
    died_of(&exit, refused, "connect: connection refused");
    soon("no session is left", || serving.connections() == 0);
}

#[track_caller]
fn died_of(exit: &KubectlExit, port: Port, cause: &str) {
    assert_eq!(exit.code, Some(1), "{exit:?}");
    let said = format!("error forwarding port {port} to pod demo, uid : ");
    for words in [said.as_str(), cause, "error: lost connection to pod"] {
        assert!(exit.output.stderr.contains(words), "{exit:?}");
    }
}

async fn sixty_four_mebibytes_arrive_each_way<R: Runtime + Net>(rt: R, caller: Caller) {
    let serving = server(&rt).with_api().listen(LOCALHOST).await.unwrap();
    let (source, sink) = (source_pod(), sink_pod());
    let kubectl = caller.start(&serving, &[source, sink]);
    downloads(&mut open(&kubectl, source));
    uploads(&mut open(&kubectl, sink));
}

async fn an_interrupt_frees_everything<R: Runtime + Net>(rt: R, caller: Caller) {
    gone(rt, caller, |kubectl| assert_eq!(kubectl.interrupt().code, Some(0))).await;
}

async fn a_kill_frees_everything<R: Runtime + Net>(rt: R, caller: Caller) {
    gone(rt, caller, |kubectl| assert_eq!(kubectl.kill().code, None)).await;
}

/// However kubectl goes, nothing of it stays.
async fn gone<R: Runtime + Net>(rt: R, caller: Caller, end: impl Fn(Kubectled)) {
    let (server, events) = observed(server(&rt).with_api());
    let serving = server.listen(LOCALHOST).await.unwrap();
    let (port, live) = counted_pod();
    let kubectl = caller.start(&serving, &[port]);
    let mut programs: Vec<_> = (0..5).map(|_| open(&kubectl, port)).collect();
    programs.iter_mut().for_each(|program| echoes(program, b"here"));
    assert_eq!((live.load(Ordering::SeqCst), sessions(&events)), (5, (1, 0)));
    end(kubectl);
    soon("no pod connection is left", || live.load(Ordering::SeqCst) == 0);
    soon("no session is left", || serving.connections() == 0);
    assert_eq!(sessions(&events), (0, 1));
    assert_eq!(serving.shutdown(Duration::ZERO).await.connections, 0);
}

async fn a_shutdown_is_an_end_that_kubectl_notices<R: Runtime + Net>(rt: R, caller: Caller) {
    let (server, events) = observed(server(&rt).with_api());
    let serving = server.listen(LOCALHOST).await.unwrap();
    let (port, live) = counted_pod();
    let mut kubectl = caller.start(&serving, &[port]);
    let mut program = open(&kubectl, port);
    echoes(&mut program, b"here");
    let started = Instant::now();
    assert_eq!(serving.shutdown(Duration::from_millis(50)).await.connections, 1);
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    soon("no pod connection is left", || live.load(Ordering::SeqCst) == 0);
    let exit = kubectl.exit_within(Duration::from_secs(10)).expect("kubectl ends");
    assert!(exit.output.stderr.contains("lost connection to pod"), "{exit:?}");
    let mut ended = events.try_iter().filter_map(|event| {
        if let ServerEvent::Ended { report, .. } = event { Some(report) } else { None }
    });
    assert_eq!(ended.next().unwrap().closed, CloseReason::Shutdown);
}

async fn a_pods_end_is_the_programs_end<R: Runtime + Net>(rt: R, caller: Caller) {
    for rules in [RelayRules::RUNTIME, RelayRules::FAITHFUL] {
        let serving = server(&rt).with_api().with_rules(rules).listen(LOCALHOST).await.unwrap();
        let port = answer_pod();
        let kubectl = caller.start(&serving, &[port]);
        for _ in 0..3 {
            let mut program = open(&kubectl, port);
            program.write_all(b"question\n").unwrap();
            let mut answer = Vec::new();
            program.read_to_end(&mut answer).unwrap();
            assert_eq!(answer, b"answer\n");
        }
        // A program's end: only faithful rules tell the pod, which answers behind it.
        let counting = pod(|mut stream| {
            let mut all = Vec::new();
            stream.read_to_end(&mut all).unwrap();
            let _ = stream.write_all(all.len().to_string().as_bytes());
        });
        let kubectl = caller.start(&serving, &[counting]);
        let mut program = open(&kubectl, counting);
        program.write_all(&[b'x'; 12_345]).unwrap();
        program.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = String::new();
        program.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, if rules.pass_fin { "12345" } else { "" });
    }
}

async fn a_port_that_was_not_granted_is_refused_alone<R: Runtime + Net>(rt: R, caller: Caller) {
    let (granted, other) = (echo_pod(), counted_pod());
    let only = move |_| async move { Verdict::AllowPorts(vec![granted]) };
    let server = server(&rt).with_api().with_authorizer(only);
    let serving = server.listen(LOCALHOST).await.unwrap();
    let mut kubectl = caller.start(&serving, &[granted, other.0]);
    echoes(&mut open(&kubectl, granted), b"mine");
    let _ = open(&kubectl, other.0).read(&mut [0]);
    let exit = kubectl.exit_within(Duration::from_secs(10)).expect("kubectl dies of it");
    died_of(&exit, other.0, "the port is not allowed");
    assert_eq!(other.1.load(Ordering::SeqCst), 0);
}

/// Pods that cannot be forwarded to.
struct Moody;

impl Pods for Moody {
    type Pod = ();
    type Socket = portway_tokio::TokioSocket;

    async fn find(&self, target: &Target) -> Result<(), NoPod> {
        Err(if target.pod == "pending" { NoPod::Unscheduled } else { NoPod::Unknown })
    }

    async fn dial(&self, (): &(), _: Port) -> Result<Self::Socket, PodError> {
        Err(PodError::new("never found"))
    }
}

async fn what_cannot_be_reached_is_told_before_anything_listens<R: Runtime + Net>(
    rt: R,
    caller: Caller,
) {
    let moody = Server::new(rt.clone(), Moody).with_api().listen(LOCALHOST).await.unwrap();
    caller.fail(&moody, "gone", "Error from server (NotFound): pods \"gone\" not found");
    let pending = "unable to forward port because pod is not running. Current status=Pending";
    caller.fail(&moody, "pending", pending);
    caller.fail(&moody, "svc/demo", "the server doesn't have a resource type \"svc\"");

    let readers = |access: Access| async move {
        let read = access.action == Action::Read;
        if read { Verdict::Allow } else { Verdict::Forbidden { user: "joe".into() } }
    };
    let serving = server(&rt).with_api().with_authorizer(readers).listen(LOCALHOST).await.unwrap();
    let text = "User \"joe\" cannot create resource \"pods/portforward\" in API group \"\"";
    caller.fail(&serving, "demo", text);
    let nobody = |_| async { Verdict::Unauthorized };
    let serving = server(&rt).with_api().with_authorizer(nobody).listen(LOCALHOST).await.unwrap();
    caller.fail(&serving, "demo", "You must be logged in to the server");
}
