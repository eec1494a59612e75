use std::ops::RangeInclusive;
use std::time::Duration;

/// Random numbers from a seed: `SplitMix64`, which is good enough to choose by, and the same on every
/// machine and for ever.
#[derive(Debug, Clone)]
pub struct Rng(u64);

impl Rng {
    /// The same numbers for the same seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub const fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    /// A number below `end`; 0 if that is 0.
    pub fn below(&mut self, end: usize) -> usize {
        let number = (u128::from(self.number()) * (end as u128)) >> 64;
        usize::try_from(number).unwrap_or(0)
    }

    /// A number in a range.
    pub fn within(&mut self, range: RangeInclusive<usize>) -> usize {
        let (low, high) = range.into_inner();
        low + self.below((high - low).saturating_add(1))
    }

    /// True once in `times`; never if that is 0.
    pub fn one_in(&mut self, times: usize) -> bool {
        times > 0 && self.below(times) == 0
    }

    /// One of several.
    ///
    /// # Panics
    /// There is none.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// A time in a range, in whole microseconds.
    pub fn time(&mut self, range: RangeInclusive<Duration>) -> Duration {
        let (low, high) = range.into_inner();
        let micros = usize::try_from(high.saturating_sub(low).as_micros()).unwrap_or(usize::MAX);
        low + Duration::from_micros(self.within(0..=micros) as u64)
    }

    /// Numbers of their own, so that what one draws does not change what another gets.
    #[must_use]
    pub const fn fork(&mut self) -> Self {
        Self(self.number())
    }
}

/// Spreads every bit over all others.
pub(crate) const fn mix(number: u64) -> u64 {
    let mut mixed = number;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_splitmix64() {
        let mut rng = Rng::new(0);
        let first = [0xE220_A839_7B1D_CDAF, 0x6E78_9E6A_A1B9_65F4, 0x06C4_5D18_8009_454F];
        assert_eq!([(); 3].map(|()| rng.number()), first);
    }

    #[test]
    fn a_number_is_in_its_range_and_reaches_both_ends() {
        let mut rng = Rng::new(7);
        let drawn: Vec<_> = (0..1_000).map(|_| rng.within(3..=6)).collect();
        assert!(drawn.iter().all(|n| (3..=6).contains(n)));
        assert!((3..=6).all(|n| drawn.contains(&n)));
        assert_eq!((rng.below(0), rng.below(1), rng.one_in(0), rng.one_in(1)), (0, 0, false, true));
    }
}
