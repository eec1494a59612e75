use std::fmt::{self, Write};

/// Text of the other side's choosing, made fit for a terminal and for one line of a log.
///
/// Runs of white space and line ends become one space, every other character that is invisible or
/// that a terminal acts on (escape sequences, C1 controls, changes of writing direction) becomes
/// U+FFFD, and what is longer than [`Printable::LIMIT`] characters ends in `…`.
///
/// Kubernetes passes error texts of nodes, runtimes and of anything in between on as they came
/// (protocol.md A.6), so they are hostile until shown through this.
///
/// ```
/// use portway_proto::printable;
/// assert_eq!(printable("refused\r\n\u{1b}[2J").to_string(), "refused \u{fffd}[2J");
/// ```
pub fn printable(text: &str) -> Printable<'_> {
    Printable { text, limit: Printable::LIMIT }
}

/// See [`printable`].
#[derive(Debug, Clone, Copy)]
pub struct Printable<'a> {
    text: &'a str,
    limit: usize,
}

impl Printable<'_> {
    /// How many characters are shown when nothing else is said.
    pub const LIMIT: usize = 512;

    /// Shows at most `limit` characters, the final `…` not counted.
    #[must_use]
    pub const fn limit(self, limit: usize) -> Self {
        Self { limit, ..self }
    }
}

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = self.limit;
        let mut space = false;
        for given in self.text.trim().chars() {
            if is_space(given) {
                space = true;
                continue;
            }
            for shown in space.then_some(' ').into_iter().chain([shown(given)]) {
                if left == 0 {
                    return f.write_char('…');
                }
                left -= 1;
                f.write_char(shown)?;
            }
            space = false;
        }
        Ok(())
    }
}

fn shown(given: char) -> char {
    if is_visible(given) { given } else { char::REPLACEMENT_CHARACTER }
}

fn is_space(char: char) -> bool {
    char.is_whitespace()
}

/// Whether a character shows as itself and does nothing else: no control character, no mark that
/// turns the writing direction, nothing without width.
pub(crate) fn is_visible(char: char) -> bool {
    !(char.is_control()
        || is_space(char)
        || matches!(
            u32::from(char),
            0xad // soft hyphen
                | 0x61c // Arabic letter mark
                | 0x180e // Mongolian vowel separator
                | 0x200b..=0x200f // zero widths and direction marks
                | 0x202a..=0x202e // direction embeddings and overrides
                | 0x2060..=0x206f // joiners, invisible operators, direction isolates
                | 0xfeff // byte order mark
                | 0xfff0..=0xfffb // unassigned, interlinear annotations
                | 0xe0000..=0xe0fff // tags, variation selectors
        ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_acts_on_a_terminal_is_shown() {
        for hostile in [
            "\u{1b}]0;title\u{7}",
            "\u{9b}31m",
            "a\u{202e}b",
            "a\u{2066}b",
            "a\u{200b}b",
            "a\u{7f}b",
            "a\0b",
            "a\u{feff}b",
            "a\u{e0041}b",
        ] {
            let shown = printable(hostile).to_string();
            assert!(shown.contains('\u{fffd}'), "{shown:?}");
            assert!(shown.chars().all(|c| c == ' ' || is_visible(c)), "{shown:?}");
        }
    }

    #[test]
    fn ordinary_text_of_any_language_stays() {
        for text in ["pod \"demo\" is forbidden: no", "Порт занят", "ポート 80 é", "😀"]
        {
            assert_eq!(printable(text).to_string(), text);
        }
    }

    #[test]
    fn line_ends_become_one_space_and_the_ends_are_trimmed() {
        assert_eq!(printable("\n a\r\n\t b\u{2028}c \n").to_string(), "a b c");
    }

    #[test]
    fn long_text_is_cut_and_says_so() {
        assert_eq!(printable("abcd").limit(4).to_string(), "abcd");
        assert_eq!(printable("abcde").limit(4).to_string(), "abcd…");
        assert_eq!(printable("a b").limit(1).to_string(), "a…");
        let long = "é".repeat(10_000);
        assert_eq!(printable(&long).to_string().chars().count(), Printable::LIMIT + 1);
    }
}
