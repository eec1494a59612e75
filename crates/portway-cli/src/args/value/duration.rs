use std::time::Duration;

use jiff::SignedDuration;

/// Longer than anybody waits; what `0` means where it stands for no end.
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Reads a length of time as kubectl writes it: `1m30s`, `500ms`, `1.5h`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let read: Result<SignedDuration, _> = text.parse();
    let length = read.ok().and_then(|length| Duration::try_from(length).ok());
    // What jiff takes beyond Go's (`P1D`, `2 hours`) is left to it.
    length
        .filter(|length| !length.is_zero() && *length <= YEAR)
        .ok_or_else(|| "it is no length of time above 0 such as 30s or 1m30s".to_owned())
}

/// Reads a limit on waiting as kubectl writes it: a length of time or a number of seconds, and `0` for
/// none.
pub(crate) fn timeout(text: &str) -> Result<Duration, String> {
    if text.bytes().all(|byte| byte.is_ascii_digit())
        && let Ok(seconds) = text.parse::<u32>()
    {
        return Ok(match seconds {
            0 => YEAR,
            seconds => Duration::from_secs(seconds.into()).min(YEAR),
        });
    }
    duration(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_those_of_go() {
        let ms = Duration::from_millis;
        for (text, expected) in [
            ("1m30s", ms(90_000)),
            ("500ms", ms(500)),
            ("1.5s", ms(1_500)),
            ("1h0m0s", ms(3_600_000)),
            ("2m", ms(120_000)),
        ] {
            assert_eq!(duration(text), Ok(expected), "{text}");
            assert_eq!(timeout(text), Ok(expected), "{text}");
        }
        for text in ["", "5", "0", "0s", "-1s", "soon", "1x", "9999999h"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_limit_may_be_seconds_or_none() {
        assert_eq!(timeout("5"), Ok(Duration::from_secs(5)));
        assert_eq!(timeout("0"), Ok(YEAR));
        for text in ["", "-1", "0s", "1e3", "5 apples"] {
            assert!(timeout(text).is_err(), "{text}");
        }
    }
}
