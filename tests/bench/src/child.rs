use std::env;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::Duration;

use portway_interop::{KubectlForward, Kubectled};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};
use rustix::thread::{CpuSet, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};

use crate::ALLOCATOR;
use crate::site::PORTS;

/// A process that listens. Killed when dropped.
pub(crate) struct Process {
    program: Program,
    /// Where it listens: one address a port of [`crate::site::PORTS`], or one for all.
    pub(crate) addrs: Vec<SocketAddr>,
}

enum Program {
    /// This program again, in another role.
    Ours(Child, ChildStdin, BufReader<ChildStdout>),
    Kubectl(Kubectled),
}

/// What a process has used since it began.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    /// User and system, of all threads.
    pub(crate) cpu: Duration,
    /// Where the process counts them.
    pub(crate) allocations: Option<u64>,
}

impl Usage {
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            cpu: self.cpu.saturating_sub(before.cpu),
            allocations: self.allocations.zip(before.allocations).map(|(now, then)| now - then),
        }
    }

    /// What the system has counted, in steps of 10 ms, those of its threads that have ended included.
    pub(crate) fn of(pid: u32) -> Self {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("there is /proc");
        // The name in brackets may hold anything; behind it user and system time are 12th and 13th.
        let (_, fields) = stat.rsplit_once(')').expect("a name in brackets");
        let ticks = fields.split_whitespace().skip(11).take(2);
        let ticks: u64 = ticks.map(|field| field.parse::<u64>().expect("ticks")).sum();
        let a_second = rustix::param::clock_ticks_per_second();
        Self { cpu: Duration::from_millis(ticks * 1_000 / a_second), allocations: None }
    }
}

impl Process {
    pub(crate) fn start(args: &[String]) -> Self {
        let mut child = Command::new(env::current_exe().expect("the path of this program"))
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("start this program again");
        let stdin = child.stdin.take().expect("piped");
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let line = line(&mut stdout);
        let addrs: Vec<SocketAddr> = line
            .split_whitespace()
            .map(|addr| addr.parse().unwrap_or_else(|_| panic!("{args:?} said {line:?}")))
            .collect();
        assert!(!addrs.is_empty(), "{args:?} did not start");
        Self { program: Program::Ours(child, stdin, stdout), addrs }
    }

    /// On the core of the forwarders.
    pub(crate) fn kubectl(forward: KubectlForward) -> Self {
        pin(1);
        let kubectl = forward.start().unwrap_or_else(|exit| panic!("kubectl ended: {exit:?}"));
        pin(0);
        let addrs = PORTS.map(|port| kubectl.addr(port)).to_vec();
        Self { program: Program::Kubectl(kubectl), addrs }
    }

    pub(crate) fn id(&self) -> u32 {
        match &self.program {
            Program::Ours(child, ..) => child.id(),
            Program::Kubectl(kubectl) => kubectl.pid(),
        }
    }

    /// Exact for our own: they read their clock themselves.
    pub(crate) fn usage(&mut self) -> Usage {
        let (stdin, stdout) = match &mut self.program {
            Program::Ours(_, stdin, stdout) => (stdin, stdout),
            Program::Kubectl(kubectl) => return Usage::of(kubectl.pid()),
        };
        stdin.write_all(b"usage\n").expect("ask");
        let line = line(stdout);
        let (cpu, allocations) = line.trim().split_once(' ').expect("two numbers");
        Usage {
            cpu: Duration::from_nanos(cpu.parse().expect("nanoseconds")),
            allocations: Some(allocations.parse().expect("a number")),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Program::Ours(child, ..) = &mut self.program {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn line(stdout: &mut BufReader<ChildStdout>) -> String {
    let mut line = String::new();
    stdout.read_line(&mut line).expect("hear from the process");
    line
}

/// In the child: says where it listens, then answers questions until its parent is gone.
pub(crate) fn serve_parent(addrs: &[SocketAddr]) {
    let addrs: Vec<String> = addrs.iter().map(ToString::to_string).collect();
    println!("{}", addrs.join(" "));
    thread::spawn(|| {
        for line in io::stdin().lines() {
            if line.is_err() {
                break;
            }
            let cpu = clock_gettime(ClockId::ProcessCPUTime);
            let stats = ALLOCATOR.stats();
            let nanoseconds = cpu.tv_sec * 1_000_000_000 + cpu.tv_nsec;
            println!("{nanoseconds} {}", stats.allocations + stats.reallocations);
        }
        std::process::exit(0);
    });
}

/// Keeps this process, and those that it starts, on one core. Nothing on a machine that has only one.
pub(crate) fn pin(core: usize) {
    if thread::available_parallelism().map_or(1, Into::into) < 2 {
        return;
    }
    let mut cores = CpuSet::new();
    cores.set(core);
    if let Err(error) = sched_setaffinity(None, &cores) {
        eprintln!("not pinned to core {core}: {error}");
    }
}

/// For this process and those that it starts: as many descriptors as the system allows. How many.
pub(crate) fn allow_many_descriptors() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let allowed = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    let many = if allowed.is_ok() { limit.maximum } else { limit.current };
    many.map_or(usize::MAX, |many| many.try_into().unwrap_or(usize::MAX))
}

/// Counts the system calls of a process for as long as `work` takes, without slowing it down much.
/// `None` where `perf` is missing or not allowed.
pub(crate) fn count_syscalls(pid: u32, work: impl FnOnce()) -> Option<u64> {
    let mut perf = Command::new("perf")
        .args(["stat", "-x,", "-e", "raw_syscalls:sys_enter", "-p", &pid.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    // It says nothing when it has attached.
    thread::sleep(Duration::from_millis(500));
    work();
    let id = Pid::from_raw(perf.id().try_into().ok()?)?;
    kill_process(id, Signal::INT).ok()?;
    let errors = BufReader::new(perf.stderr.take()?);
    let count = errors
        .lines()
        .map_while(Result::ok)
        .find_map(|line| line.split_once(',')?.0.trim().parse().ok().filter(|count| *count > 0));
    let _ = perf.wait();
    count
}
