use std::time::Duration;

use crate::child::{Process, count_syscalls, pin};
use crate::form::Form;
use crate::forwarder::Forwarder;
use crate::load::{Bulk, Way, bulk, connects, echoes, idle, storm, transfer};
use crate::report::Report;
use crate::site::Site;

const MIB: usize = 1024 * 1024;

/// What a run does.
#[derive(Debug)]
pub(crate) struct Plan {
    forms: Vec<Form>,
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
            forms: Form::ALL.into(),
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
                "--form" => match *words.next()? {
                    "all" => plan.forms = Form::ALL.into(),
                    form => plan.forms = vec![Form::from_name(form)?],
                },
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
        let kubernetes = if self.kubernetes { Site::kubernetes() } else { None };
        for form in &self.forms {
            self.bulk(&raw, *form, self.bytes, &mut report);
            self.syscalls(&raw, *form, self.bytes, &mut report);
            if let Some(site) = &kubernetes {
                self.bulk(site, *form, self.bytes / 4, &mut report);
                self.syscalls(site, *form, self.bytes / 4, &mut report);
            }
            if self.small {
                self.small(&raw, *form, &mut report);
            }
        }
        if self.kubernetes && kubernetes.is_none() {
            println!("skipped: Kubernetes' own server (there is no Go)");
        }
        let columns: Vec<&str> = self.forwarders.iter().map(Forwarder::name).collect();
        println!();
        report.print(&columns);
    }

    /// Every forwarder in turn, and all of that again: what else the machine does hits all alike.
    fn bulk(&self, site: &Site, form: Form, bytes: usize, report: &mut Report) {
        let mut processes = self.start(site, form);
        for process in &mut processes {
            for way in Way::BOTH {
                bulk(process, way, bytes / 8);
            }
        }
        #[allow(clippy::cast_precision_loss, reason = "a few hundred")]
        let mib = (bytes / MIB) as f64;
        for round in 0..self.rounds {
            let (place, round) = (place(site, form), round + 1);
            eprintln!("bulk, {place}, round {round} of {}", self.rounds);
            for way in Way::BOTH {
                for (column, process) in processes.iter_mut().enumerate() {
                    let Bulk { took, used } = bulk(process, way, bytes);
                    let title = |what: &str| format!("{what} {way:?}, {place}");
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
    fn syscalls(&self, site: &Site, form: Form, bytes: usize, report: &mut Report) {
        for (column, forwarder) in self.forwarders.iter().enumerate() {
            let process = site.start(forwarder, form);
            for way in Way::BOTH {
                transfer(&process, way, bytes / 8);
                let count = count_syscalls(process.id(), || transfer(&process, way, bytes));
                let Some(count) = count else {
                    println!("skipped: system calls (perf is missing or not allowed)");
                    return;
                };
                #[allow(clippy::cast_precision_loss, reason = "far from 2^52")]
                let figure = count as f64 / (bytes / MIB) as f64;
                let title = format!("system calls/MiB {way:?}, {}", place(site, form));
                report.note(&title, 1, column, figure);
            }
        }
    }

    fn small(&self, site: &Site, form: Form, report: &mut Report) {
        let place = place(site, form);
        let micros = |took: Duration| took.as_secs_f64() * 1e6;
        let at = |sorted: &[Duration], percent: usize| micros(sorted[sorted.len() * percent / 100]);
        let mut note = |what: &str, digits, column, figure| {
            report.note(&format!("{what}, {place}"), digits, column, figure);
        };
        let processes = self.start(site, form);
        for round in 0..self.rounds {
            eprintln!("small, {place}, round {} of {}", round + 1, self.rounds);
            for (column, process) in processes.iter().enumerate() {
                let sorted = echoes(process, self.echoes);
                note("echo of 64 bytes p50, us", 0, column, at(&sorted, 50));
                note("echo of 64 bytes p99, us", 0, column, at(&sorted, 99));
                let sorted = connects(process, self.connects / 4);
                note("connect and echo p50, us", 0, column, at(&sorted, 50));
                let rate = storm(process, 32, self.connects);
                note("connect and echo, 32 at a time, per s", 0, column, rate);
            }
        }
        drop(processes);
        for (column, forwarder) in self.forwarders.iter().enumerate() {
            eprintln!("idle, {place}, {}", forwarder.name());
            let process = site.start(forwarder, form);
            let idle = idle(&process, self.idle);
            note("KiB per idle connection after a burst", 1, column, idle.kib);
        }
    }

    fn start(&self, site: &Site, form: Form) -> Vec<Process> {
        self.forwarders.iter().map(|forwarder| site.start(forwarder, form)).collect()
    }
}

/// How rows are named.
fn place(site: &Site, form: Form) -> String {
    format!("{}, {}", form.name(), site.name())
}
