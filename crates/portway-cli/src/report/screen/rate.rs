use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How fast a counter has risen over the last three seconds.
#[derive(Debug, Default)]
pub(super) struct Rate {
    total: u64,
    /// When it was how high, from before it began to rise. None while it stands still.
    samples: VecDeque<(Instant, u64)>,
}

impl Rate {
    /// What is older does not count. While less is known, it is as if it had been going on for at least
    /// `LEAST`, so that the first bytes of a burst are no record.
    const WINDOW: Duration = Duration::from_secs(3);
    const LEAST: Duration = Duration::from_secs(1);
    /// Samples that are closer to each other become one, which bounds their number.
    const APART: Duration = Duration::from_millis(100);

    pub(super) const fn total(&self) -> u64 {
        self.total
    }

    /// What the counter is at.
    pub(super) fn note(&mut self, total: u64, now: Instant) {
        self.expire(now);
        if total == self.total {
            return;
        }
        if self.samples.is_empty() {
            self.samples.push_back((now, self.total));
        }
        let close = |(at, _): &(Instant, u64)| now.saturating_duration_since(*at) < Self::APART;
        let before_last = self.samples.len().checked_sub(2).and_then(|at| self.samples.get(at));
        if before_last.is_some_and(close) {
            self.samples.pop_back();
        }
        self.samples.push_back((now, total));
        self.total = total;
    }

    /// Bytes a second.
    pub(super) fn per_second(&mut self, now: Instant) -> u64 {
        self.expire(now);
        let Some((since, from)) = self.samples.front() else { return 0 };
        let span = now.saturating_duration_since(*since).clamp(Self::LEAST, Self::WINDOW);
        (self.total.saturating_sub(*from) as f64 / span.as_secs_f64()) as u64
    }

    /// Whether it is 0 and stays so until the counter rises.
    pub(super) fn is_calm(&self) -> bool {
        self.samples.is_empty()
    }

    fn expire(&mut self, now: Instant) {
        let old = |(at, _): &(Instant, u64)| now.saturating_duration_since(*at) >= Self::WINDOW;
        if self.samples.back().is_some_and(old) {
            self.samples.clear();
        }
        // The last of the old ones is where the window begins.
        while self.samples.get(1).is_some_and(old) {
            self.samples.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_steady_flow_is_shown_as_it_is() {
        let (mut rate, start) = (Rate::default(), Instant::now());
        for step in 0..=60_u64 {
            rate.note(step * 250, start + ms(step * 250));
            assert!(rate.samples.len() < 40, "{}", rate.samples.len());
        }
        let shown = rate.per_second(start + ms(15_000));
        assert!((950..=1_100).contains(&shown), "{shown}");
    }

    #[test]
    fn the_first_bytes_of_a_burst_are_no_record() {
        let (mut rate, start) = (Rate::default(), Instant::now());
        rate.note(0, start);
        rate.note(1_000, start + ms(60_000));
        assert_eq!(rate.per_second(start + ms(60_000)), 1_000);
        assert_eq!(rate.per_second(start + ms(62_000)), 500);
    }

    #[test]
    fn three_seconds_after_the_last_byte_it_is_nothing_and_calm() {
        let (mut rate, start) = (Rate::default(), Instant::now());
        assert!(rate.is_calm());
        rate.note(1_000, start);
        rate.note(2_000, start + ms(1_000));
        assert!(rate.per_second(start + ms(3_999)) > 0);
        assert!(!rate.is_calm());
        assert_eq!(rate.per_second(start + ms(4_000)), 0);
        assert!(rate.is_calm());
        assert_eq!(rate.total(), 2_000);
    }

    #[test]
    fn ten_thousand_notes_a_second_cost_no_memory() {
        let (mut rate, start) = (Rate::default(), Instant::now());
        for step in 0..50_000_u64 {
            rate.note(step, start + ms(step) / 10);
        }
        assert!(rate.samples.len() <= 34, "{}", rate.samples.len());
        let shown = rate.per_second(start + ms(5_000));
        assert!((9_000..=11_000).contains(&shown), "{shown}");
    }

    #[test]
    fn a_clock_that_stands_still_or_goes_back_does_no_harm() {
        let (mut rate, start) = (Rate::default(), Instant::now());
        rate.note(10, start + ms(1_000));
        rate.note(20, start);
        assert_eq!(rate.per_second(start), 20);
    }
}
