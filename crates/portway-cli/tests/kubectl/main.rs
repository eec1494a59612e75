//! The real `kubectl port-forward` and portway with the same arguments, against one cluster: the same
//! lines, the same exit codes, the same pods and ports behind them (protocol.md E.1 to E.5), but for what
//! is kubectl's fault, which the [table](table) says.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod place;
mod program;
mod row;
mod table;

use place::Place;
use program::Program;
use row::Row;

/// Both programs keep to every row.
fn hold(rows: &[Row]) {
    let Some(kubectl) = Program::kubectl() else { return };
    let place = Place::start(&kubectl);
    let mut wrong = Vec::new();
    for row in rows {
        let args = place.fill(row.args);
        let theirs = kubectl.run(&place, &args, &row.kubectl);
        let ours = Program::portway().run(&place, &args, row.portway());
        let mut expect = |who: &str, holds: Result<(), String>| {
            wrong.extend(holds.err().map(|why| format!("{who} {}: {why}", row.args)));
        };
        expect("kubectl", row.kubectl.check(&theirs, &place));
        expect("portway", row.portway().check(&ours, &place));
        if row.differs.is_none() && ours.stdout != theirs.stdout {
            wrong.push(format!("{}: {:?} is not {:?}", row.args, ours.stdout, theirs.stdout));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn ports() {
    hold(table::PORTS);
}

#[test]
fn services() {
    hold(table::SERVICES);
}

#[test]
fn targets() {
    hold(table::TARGETS);
}

#[test]
fn addresses() {
    hold(table::ADDRESSES);
}

#[test]
fn errors_and_ends() {
    hold(table::ENDS);
}
