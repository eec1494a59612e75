use std::sync::Arc;

use portway_tokio::Protocol;

use crate::common::FORMS;

/// A promise, on one runtime.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) need: Need,
    pub(crate) share: Share,
    pub(crate) run: Arc<dyn Fn(Protocol) + Send + Sync>,
}

/// What a scenario needs of the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    Nothing,
    /// The end of one direction can be said while the other goes on.
    HalfClose,
    /// A session carries one connection after the other.
    Reuse,
}

/// How much of a scenario runs when not everything is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Share {
    /// Every cell.
    All,
    /// Every form once, each on another runtime; the next scenario starts at the next runtime.
    Turns,
}

/// Where in the grid: the scenario, the form and the runtime by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cell {
    pub(crate) runtime: usize,
    pub(crate) form: usize,
    pub(crate) scenario: usize,
}

/// All scenarios, in all forms, on all runtimes.
pub(crate) struct Grid {
    runtimes: [(&'static str, Vec<Scenario>); 3],
}

impl Need {
    fn is_met(self, form: Protocol) -> bool {
        let spdy = matches!(form, Protocol::Tunnel | Protocol::Spdy);
        match self {
            Self::Nothing => true,
            Self::HalfClose | Self::Reuse => spdy,
        }
    }

    const fn reason(self) -> &'static str {
        match self {
            Self::Nothing => "",
            Self::HalfClose => "v4 cannot say the end of one direction (protocol.md B.8 #3)",
            Self::Reuse => "a v4 session carries one connection to a port (protocol.md B.1)",
        }
    }
}

impl Grid {
    pub(crate) fn new(runtimes: [(&'static str, Vec<Scenario>); 3]) -> Self {
        Self { runtimes }
    }

    /// Those there are, in the order in which they run: a listener serves one scenario of the load after
    /// the other.
    pub(crate) fn cells(&self) -> impl Iterator<Item = Cell> {
        let scenarios = self.scenarios().len();
        let all = (0..self.runtimes.len()).flat_map(move |runtime| {
            (0..FORMS.len()).flat_map(move |form| {
                (0..scenarios).map(move |scenario| Cell { runtime, form, scenario })
            })
        });
        all.filter(|cell| self.missing(*cell).is_none())
    }

    pub(crate) fn scenarios(&self) -> &[Scenario] {
        &self.runtimes[0].1
    }

    pub(crate) fn runtimes(&self) -> [&'static str; 3] {
        self.runtimes.each_ref().map(|(name, _)| *name)
    }

    pub(crate) fn name(&self, cell: Cell) -> String {
        let (runtime, scenarios) = &self.runtimes[cell.runtime];
        format!("{}::{}::{runtime}", scenarios[cell.scenario].name, FORMS[cell.form])
    }

    /// Why there is no such cell.
    pub(crate) fn missing(&self, cell: Cell) -> Option<&'static str> {
        let need = self.scenarios()[cell.scenario].need;
        (!need.is_met(FORMS[cell.form])).then(|| need.reason())
    }

    /// Whether it runs when not everything is asked for.
    pub(crate) fn is_in_part(&self, cell: Cell) -> bool {
        match self.scenarios()[cell.scenario].share {
            Share::All => true,
            Share::Turns => (cell.scenario + cell.form) % self.runtimes.len() == cell.runtime,
        }
    }

    pub(crate) fn run(&self, cell: Cell) {
        (self.runtimes[cell.runtime].1[cell.scenario].run)(FORMS[cell.form]);
    }

    /// Every scenario and what it is missing in is in `matrix.txt`, so that none gets lost unseen.
    pub(crate) fn compare_with_list(&self) -> Result<(), String> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/matrix.txt");
        let list = self.list();
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(path, &list).unwrap();
        }
        let listed = std::fs::read_to_string(path).unwrap();
        if listed == list {
            return Ok(());
        }
        Err(format!(
            "matrix.txt is not what the scenarios say; UPDATE=1 writes it anew: look at what changed\n{list}"
        ))
    }

    fn list(&self) -> String {
        let mut list = String::new();
        for (i, scenario) in self.scenarios().iter().enumerate() {
            let cells = (0..FORMS.len()).map(|form| Cell { runtime: 0, form, scenario: i });
            let (there, missing): (Vec<_>, Vec<_>) =
                cells.partition(|cell| self.missing(*cell).is_none());
            let forms = |cells: &[Cell]| {
                let names: Vec<_> = cells.iter().map(|cell| FORMS[cell.form].to_string()).collect();
                names.join(" ")
            };
            list += &format!("{}: {}", scenario.name, forms(&there));
            if !missing.is_empty() {
                list += &format!("; not {}: {}", forms(&missing), scenario.need.reason());
            }
            list.push('\n');
        }
        list
    }
}
