/// Reads a number of bytes as Kubernetes writes it: `65536`, `64Ki`, `1Mi`, from 4 KiB to 1 GiB.
pub(crate) fn size(text: &str) -> Result<usize, String> {
    const LEAST: usize = 4 << 10;
    const MOST: usize = 1 << 30;
    let (digits, unit) = match text {
        text if text.ends_with("Ki") => (&text[..text.len() - 2], 1 << 10),
        text if text.ends_with("Mi") => (&text[..text.len() - 2], 1 << 20),
        text if text.ends_with("Gi") => (&text[..text.len() - 2], 1 << 30),
        text => (text, 1),
    };
    let number: Option<usize> =
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten();
    let bytes = number.and_then(|number| number.checked_mul(unit));
    bytes.filter(|bytes| (LEAST..=MOST).contains(bytes)).ok_or_else(|| {
        "it is no number of bytes from 4Ki to 1Gi, such as 65536, 512Ki or 1Mi".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_counted_as_kubernetes_does() {
        for (text, expected) in
            [("4096", 4_096), ("64Ki", 65_536), ("1Mi", 1_048_576), ("1Gi", 1_073_741_824)]
        {
            assert_eq!(size(text), Ok(expected), "{text}");
        }
        for text in
            ["", "Ki", "0", "1", "2Gi", "1M", "1.5Mi", "-1Mi", "64 Ki", "99999999999999999999Gi"]
        {
            assert!(size(text).is_err(), "{text}");
        }
    }
}
