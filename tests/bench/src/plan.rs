use std::time::Duration;

use crate::child::{Process, count_syscalls, pin};
use crate::forwarder::Forwarder;
use crate::load::{Bulk, Way, bulk, connects, echoes, idle, storm, transfer};
use crate::report::Report;
use crate::site::Site;

const MIB: usize = 1024 * 1024;

/// What a run does.
#[derive(Debug)]
pub(crate) struct Plan {
    forwarders: Vec<Forwarder>,
    rounds: usize,
    bytes: usize,
    echoes: usize,
    connects: usize,
    idle: usize,
    kubernetes: bool,
    small: bool,
}

impl Plan {
    pub(crate) fn parse(words: &[&str]) -> Option<Self> {
        let mut plan = Self {
            forwarders: Vec::new(),
            rounds: 7,
            bytes: 512 * MIB,
            echoes: 5_000,
            connects: 2_000,
            idle: 500,
            kubernetes: true,
            small: true,
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match *word {
                "--quick" => {
                    plan.rounds = 5;
                    plan.bytes = 128 * MIB;
                    plan.echoes = 1_000;
                    plan.connects = 500;
                    plan.idle = 200;
                }
                "--only" => plan.forwarders.push(Forwarder::from_name(words.next()?)?),
                "--skip-kubernetes" => plan.kubernetes = false,
                "--skip-small" => plan.small = false,
                _ => return None,
            }
        }
        if plan.forwarders.is_empty() {
            plan.forwarders =
                Forwarder::NAMES.into_iter().filter_map(Forwarder::from_name).collect();
        }
        plan.forwarders.retain(|forwarder| forwarder.name() != Forwarder::BASE);
        plan.forwarders.insert(0, Forwarder::from_name(Forwarder::BASE)?);
        Some(plan)
    }

    pub(crate) fn run(&self) {
        pin(0);
        let mut report = Report::default();
        let raw = Site::raw();
        self.bulk(&raw, self.bytes, &mut report);
        self.syscalls(&raw, &mut report);
        if self.kubernetes {
            match Site::kubernetes() {
                Some(site) => self.bulk(&site, self.bytes / 4, &mut report),
                None => println!("skipped: Kubernetes' own server (there is no Go)"),
            }
        }
        if self.small {
            self.small(&raw, &mut report);
        }
        let columns: Vec<&str> = self.forwarders.iter().map(Forwarder::name).collect();
        println!();
        report.print(&columns);
    }

    /// Every forwarder in turn, and all of that again: what else the machine does hits all alike.
    fn bulk(&self, site: &Site, bytes: usize, report: &mut Report) {
        let mut processes: Vec<Process> = self.forwarders.iter().map(|f| site.start(f)).collect();
        for process in &mut processes {
            for way in Way::BOTH {
                bulk(process, way, bytes / 8);
            }
        }
        #[allow(clippy::cast_precision_loss, reason = "a few hundred")]
        let mib = (bytes / MIB) as f64;
        for round in 0..self.rounds {
            eprintln!("bulk, {}, round {} of {}", site.name(), round + 1, self.rounds);
            for way in Way::BOTH {
                for (column, process) in processes.iter_mut().enumerate() {
                    let Bulk { took, used } = bulk(process, way, bytes);
                    let title = |what: &str| format!("{what} {way:?}, {}", site.name());
                    let rate = mib / took.as_secs_f64();
                    report.note(&title("MiB/s"), 0, column, rate);
                    let cpu = used.cpu.as_secs_f64() / mib * 1024.0;
                    report.note(&title("processor s/GiB"), 3, column, cpu);
                    #[allow(clippy::cast_precision_loss, reason = "far from 2^52")]
                    let allocations = used.allocations as f64 / mib;
                    report.note(&title("allocations/MiB"), 1, column, allocations);
                }
            }
        }
    }

    /// Apart from the rest: counting costs a little of what is counted.
    fn syscalls(&self, site: &Site, report: &mut Report) {
        for (column, forwarder) in self.forwarders.iter().enumerate() {
            let process = site.start(forwarder);
            for way in Way::BOTH {
                transfer(&process, way, self.bytes / 8);
                let count = count_syscalls(process.id(), || transfer(&process, way, self.bytes));
                let Some(count) = count else {
                    println!("skipped: system calls (perf is missing or not allowed)");
                    return;
                };
                #[allow(clippy::cast_precision_loss, reason = "far from 2^52")]
                let figure = count as f64 / (self.bytes / MIB) as f64;
                report.note(&format!("system calls/MiB {way:?}"), 1, column, figure);
            }
        }
    }

    fn small(&self, site: &Site, report: &mut Report) {
        let micros = |took: Duration| took.as_secs_f64() * 1e6;
        let at = |sorted: &[Duration], percent: usize| micros(sorted[sorted.len() * percent / 100]);
        let processes: Vec<Process> = self.forwarders.iter().map(|f| site.start(f)).collect();
        for round in 0..self.rounds {
            eprintln!("small, round {} of {}", round + 1, self.rounds);
            for (column, process) in processes.iter().enumerate() {
                let sorted = echoes(process, self.echoes);
                report.note("echo of 64 bytes p50, us", 0, column, at(&sorted, 50));
                report.note("echo of 64 bytes p99, us", 0, column, at(&sorted, 99));
                let sorted = connects(process, self.connects / 4);
                report.note("connect and echo p50, us", 0, column, at(&sorted, 50));
                let rate = storm(process, 32, self.connects);
                report.note("connect and echo, 32 at a time, per s", 0, column, rate);
            }
        }
        drop(processes);
        for (column, forwarder) in self.forwarders.iter().enumerate() {
            eprintln!("idle, {}", forwarder.name());
            let process = site.start(forwarder);
            let idle = idle(&process, self.idle);
            report.note("KiB per idle connection after a burst", 1, column, idle.kib);
        }
    }
}
