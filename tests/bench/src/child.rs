use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{CpuSet, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};

use crate::ALLOCATOR;

/// This program again, in another role and process. Killed when dropped.
pub(crate) struct Process {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    /// Where it listens: one address a port of [`crate::site::PORTS`], or one for all.
    pub(crate) addrs: Vec<SocketAddr>,
}

/// What a process has used since it began.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    /// User and system, of all threads.
    pub(crate) cpu: Duration,
    pub(crate) allocations: u64,
}

impl Usage {
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            cpu: self.cpu.saturating_sub(before.cpu),
            allocations: self.allocations - before.allocations,
        }
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
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let mut process = Self { child, stdin, stdout, addrs: Vec::new() };
        let line = process.line();
        process.addrs = line
            .split_whitespace()
            .map(|addr| addr.parse().unwrap_or_else(|_| panic!("{args:?} said {line:?}")))
            .collect();
        assert!(!process.addrs.is_empty(), "{args:?} did not start");
        process
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Exact: the process reads its own clock.
    pub(crate) fn usage(&mut self) -> Usage {
        self.stdin.write_all(b"usage\n").expect("ask");
        let line = self.line();
        let (cpu, allocations) = line.trim().split_once(' ').expect("two numbers");
        Usage {
            cpu: Duration::from_nanos(cpu.parse().expect("nanoseconds")),
            allocations: allocations.parse().expect("a number"),
        }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("hear from the process");
        line
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
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
