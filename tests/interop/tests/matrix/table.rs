use std::collections::BTreeMap;
use std::time::Duration;

use crate::common::FORMS;
use crate::grid::{Cell, Grid};

/// What came of the cells that ran.
#[derive(Default)]
pub(crate) struct Table {
    ran: BTreeMap<Cell, (bool, Duration)>,
}

impl Table {
    pub(crate) fn note(&mut self, cell: Cell, kept: bool, took: Duration) {
        self.ran.insert(cell, (kept, took));
    }

    /// Prints it, or with `ran_only` the scenarios of which anything ran; returns how many cells did not
    /// run that should have, had no filter been given.
    pub(crate) fn print(&self, grid: &Grid, took: Duration, ran_only: bool) -> usize {
        let forms: Vec<_> = FORMS.iter().map(ToString::to_string).collect();
        println!("In each column: {}.", forms.join(", "));
        println!(
            "+ kept, X broken, - the wire cannot (matrix.txt), . takes turns (--include-ignored), ? did not run"
        );
        println!();
        print!("{:<30}", "");
        for name in grid.runtimes() {
            print!("{name:<12}");
        }
        println!("seconds");
        let mut gaps = 0;
        let mut marks = BTreeMap::new();
        for (i, scenario) in grid.scenarios().iter().enumerate() {
            let mut columns = String::new();
            let mut seconds = 0.0;
            for runtime in 0..grid.runtimes().len() {
                let mut column = String::new();
                for form in 0..FORMS.len() {
                    let cell = Cell { runtime, form, scenario: i };
                    let mark = match self.ran.get(&cell) {
                        Some((true, _)) => '+',
                        Some((false, _)) => 'X',
                        None if grid.missing(cell).is_some() => '-',
                        None if !grid.is_in_part(cell) => '.',
                        None => '?',
                    };
                    seconds += self.ran.get(&cell).map_or(0.0, |(_, took)| took.as_secs_f64());
                    gaps += usize::from(mark == '?');
                    *marks.entry(mark).or_insert(0) += 1;
                    column.push(mark);
                }
                columns += &format!("{column:<12}");
            }
            if !ran_only || columns.contains(['+', 'X']) {
                println!("{:<30}{columns}{seconds:7.1}", scenario.name);
            }
        }
        let count = |mark| marks.get(&mark).copied().unwrap_or(0);
        println!();
        println!(
            "{} scenarios x {} forms x {} runtimes: {} kept and {} broken in {:.0} s; {} take turns, {} not for the wire",
            grid.scenarios().len(),
            FORMS.len(),
            grid.runtimes().len(),
            count('+'),
            count('X'),
            took.as_secs_f64(),
            count('.'),
            count('-'),
        );
        gaps
    }
}
