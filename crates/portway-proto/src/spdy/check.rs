/// The health check of a tunnel between two connections (protocol.md C.8 point 4).
///
/// A Go peer deals the frames of a session to five workers. One that got data for a connection whose
/// pod had closed can be stuck for good, and with it a fifth of all later streams. Pings are dealt to
/// the workers in turn, so five in a row that were sent after our last frame visit all of them, and
/// five answers prove that none is stuck.
#[derive(Debug, Default)]
pub(super) enum Check {
    /// Nothing was ever opened, or everything since was found healthy.
    #[default]
    Passed,
    /// Streams have come and gone.
    Due,
    /// The pings are to be sent.
    Asked,
    /// On the wire: the first number, and which of the five are unanswered.
    Sent { first: u32, missing: u8 },
}

impl Check {
    /// As many as a Go peer has workers.
    pub(super) const PINGS: u32 = 5;

    pub(super) const fn sent(first: u32) -> Self {
        Self::Sent { first, missing: (1 << Self::PINGS) - 1 }
    }

    /// The answer to a ping; whether it was the last that was missing.
    pub(super) fn pong(&mut self, number: u32) -> bool {
        let Self::Sent { first, missing } = self else { return false };
        let place = number.wrapping_sub(*first);
        if place < Self::PINGS {
            *missing &= !(1 << place);
        }
        let passed = *missing == 0;
        if passed {
            *self = Self::Passed;
        }
        passed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_when_all_five_are_answered_whatever_the_order_and_not_before() {
        let mut check = Check::sent(u32::MAX - 1);
        for number in [0, u32::MAX, u32::MAX - 1, 2, 2, 3, 100] {
            assert!(!check.pong(number), "{number}");
        }
        assert!(check.pong(1), "the last");
        assert!(matches!(check, Check::Passed));
        assert!(!check.pong(1), "passes once");
    }
}
