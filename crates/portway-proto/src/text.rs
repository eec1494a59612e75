pub(crate) fn printable(text: &str) -> &str {
    text
}
