use std::time::Duration;

/// How long to wait before the next try: as long again as was waited already, so that tries get rarer,
/// but no longer than a second, so that a pod which is back is found within two. Up to half of it
/// is left to chance: many who wait for the same thing must not ask at once.
pub(crate) fn pause(waited: Duration, chance: u64) -> Duration {
    const SHORTEST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(1);
    let whole = waited.clamp(SHORTEST, LONGEST);
    let parts = u32::try_from(chance % 1_024).unwrap_or(0);
    whole / 2 + whole / 2 * parts / 1_023
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_with_what_was_waited_up_to_a_second() {
        let ms = Duration::from_millis;
        for (waited, least, most) in [
            (0, 50, 100),
            (100, 50, 100),
            (600, 300, 600),
            (1_000, 500, 1_000),
            (60_000, 500, 1_000),
        ] {
            assert_eq!(pause(ms(waited), 0), ms(least));
            assert_eq!(pause(ms(waited), 1_023), ms(most));
            let between = pause(ms(waited), 511);
            assert!(ms(least) < between && between < ms(most), "{between:?}");
        }
    }
}
