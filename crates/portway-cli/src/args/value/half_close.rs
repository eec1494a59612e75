use std::time::Duration;

use portway_tokio::proto::HalfClose;

/// Reads `immediate`, `never`, or seconds of silence after which the end of a local program's sending
/// is passed on. An exchange that looks done is given a second at most, as by default.
pub(crate) fn half_close(text: &str) -> Result<HalfClose, String> {
    match text {
        "immediate" => Ok(HalfClose::Immediate),
        "never" => Ok(HalfClose::Never),
        seconds => {
            let unanswered = seconds_of(seconds).ok_or_else(|| {
                "it is neither immediate, never, nor a number of seconds".to_owned()
            })?;
            let answered = unanswered.min(Duration::from_secs(1));
            Ok(HalfClose::WhenIdle { unanswered, answered })
        }
    }
}

/// Seconds, with a fraction maybe, up to a year.
fn seconds_of(text: &str) -> Option<Duration> {
    const YEAR: f64 = 365.0 * 24.0 * 60.0 * 60.0;
    let seconds: f64 = text.parse().ok().filter(|seconds| (0.0..=YEAR).contains(seconds))?;
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_seconds_are_policies() {
        let ms = Duration::from_millis;
        let idle = |unanswered, answered| HalfClose::WhenIdle {
            unanswered: ms(unanswered),
            answered: ms(answered),
        };
        for (text, expected) in [
            ("immediate", HalfClose::Immediate),
            ("never", HalfClose::Never),
            ("5", HalfClose::DEFAULT),
            ("0.25", idle(250, 250)),
            ("0", idle(0, 0)),
            ("60", idle(60_000, 1_000)),
        ] {
            assert_eq!(half_close(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn nothing_else_is() {
        for text in ["", "soon", "-1", "NaN", "inf", "1e99", "5s"] {
            assert!(half_close(text).is_err(), "{text}");
        }
    }
}
