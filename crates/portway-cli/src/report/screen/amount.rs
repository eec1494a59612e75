/// A number of bytes as Kubernetes writes quantities, in at most six characters: `0`, `512`, `1.5Ki`,
/// `1023Mi`.
pub(super) fn amount(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    if bytes < 1_024 {
        return bytes.to_string();
    }
    let mut value = bytes as f64 / 1_024.0;
    let mut units = UNITS.iter();
    let mut unit = units.next();
    // What would be shown as 1024 of a unit is 1.0 of the next.
    while value >= 1_023.5 {
        value /= 1_024.0;
        unit = units.next().or(unit);
    }
    let digits = usize::from(value < 9.95);
    format!("{value:.digits$}{}", unit.unwrap_or(&""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_characters_are_enough_for_any_number() {
        for (bytes, shown) in [
            (0, "0"),
            (1_023, "1023"),
            (1_024, "1.0Ki"),
            (1_536, "1.5Ki"),
            (10 * 1_024, "10Ki"),
            // Not 10.0Ki.
            (10 * 1_024 - 1, "10Ki"),
            (1_023 * 1_024, "1023Ki"),
            // Not 1024Ki.
            (1_024 * 1_024 - 1, "1.0Mi"),
            (5 << 30, "5.0Gi"),
            (u64::MAX, "16Ei"),
        ] {
            assert_eq!(amount(bytes), shown);
            assert!(shown.len() <= 6, "{shown}");
        }
    }
}
