/// What is likest to a name that there is not, best first; nothing if nothing is like it.
pub(crate) fn near<'a>(given: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    const MOST: usize = 3;
    let given = plain(given);
    let mut near: Vec<(usize, &str)> = names
        .into_iter()
        .filter_map(|name| {
            let other = plain(name);
            let distance = strsim::damerau_levenshtein(&given, &other);
            // A third of it may be wrong, and something of it has to be right.
            let allowed = (given.len().max(other.len()) / 3).max(1);
            (distance <= allowed && distance < other.len()).then_some((distance, name))
        })
        .collect();
    near.sort();
    near.dedup();
    near.into_iter().take(MOST).map(|(_, name)| name).collect()
}

/// `did you mean 'a' or 'b'?` to put behind an error, if there is something to say.
pub(crate) fn did_you_mean(near: &[&str]) -> Option<String> {
    let quoted: Vec<String> = near.iter().map(|name| format!("'{name}'")).collect();
    (!near.is_empty()).then(|| format!("did you mean {}?", quoted.join(" or ")))
}

/// Without what is only a way of writing: `half-close` is `halfClose`.
fn plain(name: &str) -> String {
    let letters = name.chars().filter(|c| !matches!(c, '-' | '_'));
    letters.flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_likest_comes_first_and_the_unlike_not_at_all() {
        let names = ["web", "web-1", "database", "databases", "halfClose"];
        for (given, expected) in [
            ("database", &["database", "databases"][..]),
            ("databse", &["database", "databases"]),
            ("half-close", &["halfClose"]),
            ("half_colse", &["halfClose"]),
            ("wbe", &["web"]),
            ("Web", &["web", "web-1"]),
            ("cache", &[]),
            ("", &[]),
        ] {
            assert_eq!(near(given, names), expected, "{given}");
        }
        assert_eq!(near("a", ["b", "c"]), [""; 0], "nothing of it is right");
        assert_eq!(near("ab", ["ab1", "ab2", "ab3", "ab4"]), ["ab1", "ab2", "ab3"]);
    }

    #[test]
    fn several_are_told_in_one_question() {
        assert_eq!(did_you_mean(&[]), None);
        assert_eq!(did_you_mean(&["a", "b"]).as_deref(), Some("did you mean 'a' or 'b'?"));
    }
}
