//! A process for each runtime: some scenarios look at the whole of theirs, and most of the time is waiting.

use std::env;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::grid::{Cell, Grid};
use crate::table::Table;

const RUNTIME: &str = "PORTWAY_MATRIX_RUNTIME";
const NOTES: &str = "PORTWAY_MATRIX_NOTES";

/// What this process runs, if it is one of them: the cells of a runtime. It notes what came of each.
pub(crate) struct Part {
    pub(crate) runtime: usize,
    notes: Mutex<fs::File>,
}

impl Part {
    /// That of this process. It ends with the one that started it.
    pub(crate) fn of_this_process() -> Option<Self> {
        let runtime = env::var(RUNTIME).ok()?.parse().unwrap();
        let notes = Mutex::new(fs::File::create(env::var_os(NOTES).unwrap()).unwrap());
        thread::spawn(|| {
            let _ = io::stdin().read_to_end(&mut Vec::new());
            std::process::exit(1);
        });
        Some(Self { runtime, notes })
    }

    pub(crate) fn note(&self, cell: Cell, kept: bool, took: Duration) {
        let Cell { form, scenario, .. } = cell;
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(notes, "{form} {scenario} {kept} {}", took.as_millis()).unwrap();
    }
}

/// Runs all parts at once, with the arguments of this process; returns whether all went well.
pub(crate) fn run_all(grid: &Grid, table: &mut Table) -> bool {
    let started: Vec<_> = (0..grid.runtimes().len()).map(start).collect();
    let mut all_well = true;
    thread::scope(|scope| {
        let printing: Vec<_> = started
            .into_iter()
            .map(|(child, stdout, notes)| {
                scope.spawn(move || {
                    print(stdout);
                    (child, notes)
                })
            })
            .collect();
        for (runtime, printing) in printing.into_iter().enumerate() {
            let (mut child, notes) = printing.join().unwrap();
            all_well &= child.wait().unwrap().success();
            for note in fs::read_to_string(&notes).unwrap_or_default().lines() {
                read(note, runtime, table);
            }
            let _ = fs::remove_file(notes);
        }
    });
    all_well
}

fn start(runtime: usize) -> (Child, ChildStdout, PathBuf) {
    let name = format!("matrix-{}-{runtime}", std::process::id());
    let notes = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let mut child = Command::new(env::current_exe().unwrap())
        .args(env::args_os().skip(1))
        .env(RUNTIME, runtime.to_string())
        .env(NOTES, &notes)
        // Open for as long as we live.
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let stdout = child.stdout.take().unwrap();
    (child, stdout, notes)
}

/// Line by line, so that what they say stays readable.
fn print(stdout: ChildStdout) {
    for line in BufReader::new(stdout).lines() {
        println!("{}", line.unwrap());
    }
}

fn read(note: &str, runtime: usize, table: &mut Table) {
    let words: Vec<_> = note.split(' ').collect();
    let [form, scenario, kept, millis] = words[..] else { panic!("a note of {note:?}") };
    let cell = Cell { runtime, form: form.parse().unwrap(), scenario: scenario.parse().unwrap() };
    table.note(cell, kept == "true", Duration::from_millis(millis.parse().unwrap()));
}
