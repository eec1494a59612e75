use portway_tokio::proto::printable;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// What there is to say about a forward.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Cells {
    pub(super) forward: String,
    pub(super) local: String,
    pub(super) open: String,
    pub(super) total: String,
    pub(super) up: String,
    pub(super) up_rate: String,
    pub(super) down: String,
    pub(super) down_rate: String,
    pub(super) pod: String,
    pub(super) wire: String,
    pub(super) error: String,
}

/// The lines of a table with a header, none wider than `width`: what matters less is left out where it
/// does not fit, and the last error takes what is left.
pub(super) fn table(rows: &[Cells], width: usize) -> Vec<String> {
    let layout = Layout::new(rows, width);
    let header = layout.line(|column| column.title.to_owned());
    let rows = rows.iter().map(|row| layout.line(|column| show((column.cell)(row))));
    std::iter::once(header).chain(rows).collect()
}

/// At most `width` columns of `text`, with a sign where something was cut off. Anything that a terminal
/// would act on is shown and not done.
pub(super) fn fit(text: &str, width: usize) -> String {
    let text = printable(text).to_string();
    if text.width() <= width {
        return text;
    }
    let kept: String = within(text.chars(), width).collect();
    if width > 0 { kept + "…" } else { kept }
}

/// The end of `text` where [`fit`] would keep its beginning: of an error that is the cause.
fn fit_end(text: &str, width: usize) -> String {
    let text = printable(text).to_string();
    if text.width() <= width {
        return text;
    }
    let kept: Vec<char> = within(text.chars().rev(), width).collect();
    let sign = (width > 0).then_some('…');
    sign.into_iter().chain(kept.into_iter().rev()).collect()
}

/// As many characters as fit beside the sign.
fn within(chars: impl Iterator<Item = char>, width: usize) -> impl Iterator<Item = char> {
    let mut left = width.saturating_sub(1);
    chars.map_while(move |char| {
        left = left.checked_sub(char.width().unwrap_or(0))?;
        Some(char)
    })
}

/// Nothing to say has a sign of its own, so that columns can be told apart.
fn show(cell: &str) -> String {
    if cell.is_empty() { "-".to_owned() } else { cell.to_owned() }
}

struct Column {
    title: &'static str,
    cell: fn(&Cells) -> &String,
    fit: fn(&str, usize) -> String,
    /// As wide as its widest cell, but within these: where values change all the time it stays as it is.
    least: usize,
    most: usize,
    /// The lower, the later it is left out.
    rank: usize,
}

const COLUMNS: [Column; 11] = [
    Column { title: "FORWARD", cell: |row| &row.forward, fit, least: 7, most: 40, rank: 0 },
    Column { title: "LOCAL", cell: |row| &row.local, fit, least: 5, most: 24, rank: 9 },
    Column { title: "OPEN", cell: |row| &row.open, fit, least: 4, most: 10, rank: 1 },
    Column { title: "TOTAL", cell: |row| &row.total, fit, least: 5, most: 10, rank: 6 },
    Column { title: "UP", cell: |row| &row.up, fit, least: 6, most: 6, rank: 8 },
    Column { title: "UP/S", cell: |row| &row.up_rate, fit, least: 6, most: 6, rank: 3 },
    Column { title: "DOWN", cell: |row| &row.down, fit, least: 6, most: 6, rank: 7 },
    Column { title: "DOWN/S", cell: |row| &row.down_rate, fit, least: 6, most: 6, rank: 2 },
    Column { title: "POD", cell: |row| &row.pod, fit, least: 3, most: 40, rank: 5 },
    Column { title: "WIRE", cell: |row| &row.wire, fit, least: 6, most: 9, rank: 10 },
    Column {
        title: "LAST ERROR",
        cell: |row| &row.error,
        fit: fit_end,
        least: 0,
        most: 16,
        rank: 4,
    },
];

/// Which columns there are, and how wide.
struct Layout {
    width: usize,
    columns: Vec<(&'static Column, usize)>,
}

impl Layout {
    const GAP: usize = 2;

    fn new(rows: &[Cells], width: usize) -> Self {
        // How wide each would like to be; an empty column of errors not at all.
        let wish = |column: &Column| {
            let widest = rows.iter().map(|row| (column.cell)(row).width()).max().unwrap_or(0);
            let title = if widest == 0 && column.least == 0 { 0 } else { column.title.len() };
            widest.max(title).clamp(column.least, column.most)
        };
        let mut ranked: Vec<_> = COLUMNS.iter().map(|column| (column, wish(column))).collect();
        ranked.retain(|(_, wish)| *wish > 0);
        ranked.sort_by_key(|(column, _)| column.rank);
        let mut left = width;
        let mut columns = Vec::new();
        for (column, wish) in ranked {
            if columns.is_empty() {
                // The name gives way to figures, down to a third of the screen.
                let taken = wish.min((width / 3).max(column.least)).min(width);
                left -= taken;
                columns.push((column, taken));
            } else if let Some(rest) = left.checked_sub(wish + Self::GAP) {
                left = rest;
                columns.push((column, wish));
            } else {
                break;
            }
        }
        // What is left is for whom it was taken from.
        if let Some((column, taken)) = columns.first_mut() {
            let more = left.min(wish(column).saturating_sub(*taken));
            *taken += more;
            left -= more;
        }
        if let Some((_, taken)) = columns.iter_mut().find(|(column, _)| column.least == 0) {
            *taken += left;
        }
        let place = |column: &Column| COLUMNS.iter().position(|it| it.title == column.title);
        columns.sort_by_key(|(column, _)| place(column));
        Self { width, columns }
    }

    fn line(&self, cell: impl Fn(&Column) -> String) -> String {
        let mut line = String::new();
        for (column, width) in &self.columns {
            let text = (column.fit)(&cell(column), *width);
            let padding = width - text.width() + Self::GAP;
            line.push_str(&text);
            line.extend(std::iter::repeat_n(' ', padding));
        }
        // Spaces at the end would be wrapped by a terminal that becomes narrower.
        let line = line.trim_end();
        debug_assert!(line.width() <= self.width, "{line:?} in {}", self.width);
        line.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(forward: &str, error: &str) -> Cells {
        let [local, open, total, up, up_rate, down, down_rate, pod, wire] =
            ["8080", "2", "17", "1.2Mi", "340Ki", "88Mi", "12Mi", "web-6f7d8b9c5d-xk2lp", "tunnel"]
                .map(str::to_owned);
        let (forward, error) = (forward.to_owned(), error.to_owned());
        Cells { forward, local, open, total, up, up_rate, down, down_rate, pod, wire, error }
    }

    #[test]
    fn everything_is_shown_where_there_is_room() {
        let rows = [row("svc/web", "connection refused"), row("pod/database-0", "")];
        assert_eq!(
            table(&rows, 130),
            [
                "FORWARD         LOCAL  OPEN  TOTAL  UP      UP/S    DOWN    DOWN/S  POD                   WIRE    LAST ERROR",
                "svc/web         8080   2     17     1.2Mi   340Ki   88Mi    12Mi    web-6f7d8b9c5d-xk2lp  tunnel  connection refused",
                "pod/database-0  8080   2     17     1.2Mi   340Ki   88Mi    12Mi    web-6f7d8b9c5d-xk2lp  tunnel  -",
            ]
        );
    }

    #[test]
    fn what_matters_less_goes_first() {
        let titles = |error, width| {
            table(&[row("svc/web", error)], width)[0]
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(titles("", 80), "FORWARD OPEN TOTAL UP UP/S DOWN DOWN/S POD");
        let refused = "connection refused";
        assert_eq!(titles(refused, 80), "FORWARD OPEN TOTAL UP/S DOWN/S POD LAST ERROR");
        assert_eq!(titles(refused, 60), "FORWARD OPEN UP/S DOWN/S LAST ERROR");
        assert_eq!(titles(refused, 40), "FORWARD OPEN UP/S DOWN/S");
        assert_eq!(titles(refused, 24), "FORWARD OPEN DOWN/S");
        assert_eq!(titles(refused, 12), "FORWARD");
    }

    #[test]
    fn no_width_is_too_small_and_no_line_too_wide() {
        let rows = [
            row("deployment/a-name-that-goes-on-and-on-and-on-and-on", &"long ".repeat(50)),
            row("ポッド/データベース-0-データベース", "接続が拒否されました、接続が拒否されました"),
            row("\u{1b}[2J\u{1b}]0;x\u{7}", "\u{1b}[31m\r\nred\u{202e}\u{0}"),
            row("e\u{301}e\u{301}e\u{301}e\u{301}e\u{301}e\u{301}e\u{301}e\u{301}", "😀😀😀"),
        ];
        for width in 0..250 {
            for line in table(&rows, width) {
                assert!(line.width() <= width, "{} in {width}: {line:?}", line.width());
                assert!(!line.chars().any(char::is_control), "{line:?}");
                assert!(!line.contains('\u{202e}'), "{line:?}");
            }
        }
    }

    #[test]
    fn what_is_cut_says_so_and_wide_characters_are_not_halved() {
        assert_eq!(fit("web-0", 5), "web-0");
        assert_eq!(fit("web-01", 5), "web-…");
        assert_eq!(fit("データ", 6), "データ");
        assert_eq!(fit("データベ", 6), "デー…");
        assert_eq!(fit("データ", 2), "…");
        assert_eq!(fit("web", 1), "…");
        assert_eq!(fit("web", 0), "");
        assert_eq!(fit_end("dial: connection refused", 8), "…refused");
        assert_eq!(fit_end("データベ", 6), "…タベ");
        assert_eq!(fit_end("web", 0), "");
    }
}
