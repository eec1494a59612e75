use std::collections::BTreeMap;

/// The numbers of a run: rows of figures, one column a forwarder.
#[derive(Debug, Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    title: String,
    digits: usize,
    /// One column after the other: the figure of each round.
    figures: BTreeMap<usize, Vec<f64>>,
}

impl Report {
    /// Adds what a round has shown. The first column is what the others are compared with.
    pub(crate) fn note(&mut self, title: &str, digits: usize, column: usize, figure: f64) {
        let at = self.rows.iter().position(|row| row.title == title).unwrap_or_else(|| {
            let row = Row { title: title.to_owned(), digits, figures: BTreeMap::new() };
            self.rows.push(row);
            self.rows.len() - 1
        });
        self.rows[at].figures.entry(column).or_default().push(figure);
    }

    /// A Markdown table: medians, and in brackets the median of the ratios to the first column, each
    /// of one round.
    pub(crate) fn print(&self, columns: &[&str]) {
        println!("| | {} |", columns.join(" | "));
        println!("|---|{}", "---:|".repeat(columns.len()));
        for row in &self.rows {
            let cells: Vec<String> = (0..columns.len()).map(|column| row.cell(column)).collect();
            println!("| {} | {} |", row.title, cells.join(" | "));
        }
    }
}

impl Row {
    fn cell(&self, column: usize) -> String {
        let Some(figures) = self.figures.get(&column) else { return "–".to_owned() };
        let digits = self.digits;
        let figure = format!("{:.digits$}", median(figures));
        match self.figures.get(&0) {
            Some(base) if column > 0 && base.iter().all(|base| *base > 0.0) => {
                let ratios: Vec<f64> = figures.iter().zip(base).map(|(of, to)| of / to).collect();
                format!("{figure} ({:.2})", median(&ratios))
            }
            _ => figure,
        }
    }
}

pub(crate) fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}
