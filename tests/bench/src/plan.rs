use std::time::Duration;

use crate::child::{Process, allow_many_descriptors, count_syscalls, pin};
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
    many_idle: usize,
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
            many_idle: 10_000,
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
                    plan.many_idle = 1_000;
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
        let descriptors = allow_many_descriptors();
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
            for site in [Some(&raw), kubernetes.as_ref()].into_iter().flatten() {
                if self.small {
                    let most = site.most_connections(descriptors);
                    self.small(site, *form, self.many_idle.min(most), &mut report);
                }
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
        for (_, process) in &mut processes {
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
                for (column, process) in &mut processes {
                    let (column, forwarder) = (*column, &self.forwarders[*column]);
                    let server = site.usage(forwarder);
                    let Bulk { took, used } = bulk(process, way, bytes);
                    let server = site.usage(forwarder).since(server);
                    let title = |what: &str| format!("{what} {way:?}, {place}");
                    let rate = mib / took.as_secs_f64();
                    report.note(&title("MiB/s"), 0, column, rate);
                    let cpu = used.cpu.as_secs_f64() / mib * 1024.0;
                    report.note(&title("processor s/GiB"), 3, column, cpu);
                    let chain = (used.cpu + server.cpu).as_secs_f64() / mib * 1024.0;
                    report.note(&title("processor s/GiB of the chain"), 3, column, chain);
                    #[allow(clippy::cast_precision_loss, reason = "far from 2^52")]
                    if let Some(allocations) = used.allocations {
                        let allocations = allocations as f64 / mib;
                        report.note(&title("allocations/MiB"), 1, column, allocations);
                    }
                }
            }
        }
    }

    /// Apart from the rest: counting costs a little of what is counted.
    fn syscalls(&self, site: &Site, form: Form, bytes: usize, report: &mut Report) {
        for (column, forwarder) in self.forwarders.iter().enumerate() {
            let Some(process) = site.start(forwarder, form) else { continue };
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

    fn small(&self, site: &Site, form: Form, many_idle: usize, report: &mut Report) {
        let place = place(site, form);
        let micros = |took: Duration| took.as_secs_f64() * 1e6;
        let at = |sorted: &[Duration], percent: usize| micros(sorted[sorted.len() * percent / 100]);
        let mut note = |what: &str, digits, column, figure| {
            report.note(&format!("{what}, {place}"), digits, column, figure);
        };
        let processes = self.start(site, form);
        for round in 0..self.rounds {
            eprintln!("small, {place}, round {} of {}", round + 1, self.rounds);
            for (column, process) in &processes {
                let column = *column;
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
            let Some(process) = site.start(forwarder, form) else { continue };
            let kib = idle(&process, self.idle, 1024 * 1024);
            note("KiB per idle connection after a burst", 1, column, kib);
            let kib = idle(&process, many_idle, 64);
            note(&format!("KiB per idle connection of {many_idle}"), 1, column, kib);
        }
    }

    /// Those that there are, with their columns.
    fn start(&self, site: &Site, form: Form) -> Vec<(usize, Process)> {
        let processes = self.forwarders.iter().map(|forwarder| site.start(forwarder, form));
        processes.enumerate().filter_map(|(column, process)| Some((column, process?))).collect()
    }
}

/// How rows are named.
fn place(site: &Site, form: Form) -> String {
    format!("{}, {}", form.name(), site.name())
}
