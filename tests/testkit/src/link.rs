//! One direction of a connection.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// One direction of a connection: keeps order, loses nothing, and can be slow, stuck or cut.
#[derive(Debug)]
pub struct Link<M> {
    /// What is under way, and when it arrives.
    flight: VecDeque<(Instant, M)>,
    weight: usize,
    capacity: usize,
    delay: Duration,
    /// Bytes a millisecond.
    rate: Option<u32>,
    stalled: bool,
    end: Option<End>,
    last_arrival: Option<Instant>,
}

/// What happens on a link from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)]
pub enum Rule {
    /// Nothing: everything arrives at once.
    Pass,
    /// Everything takes this long.
    Delay(Duration),
    /// So many bytes a millisecond.
    Throttle(u32),
    /// Nothing arrives until another rule comes.
    Stall,
    /// The connection is gone, with everything under way.
    Cut,
}

/// How many bytes something is.
pub trait Weight {
    /// Bytes.
    fn weight(&self) -> usize;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The sender has closed: the end comes behind what is under way.
    Coming,
    /// The receiver knows, or the sender was told.
    Arrived,
}

impl<M: Weight> Link<M> {
    /// Takes messages while fewer than `capacity` bytes are under way.
    pub const fn new(capacity: usize) -> Self {
        Self {
            flight: VecDeque::new(),
            weight: 0,
            capacity,
            delay: Duration::ZERO,
            rate: None,
            stalled: false,
            end: None,
            last_arrival: None,
        }
    }

    /// Sets what happens from now on.
    pub fn apply(&mut self, rule: Rule) {
        self.stalled = rule == Rule::Stall;
        match rule {
            Rule::Pass => (self.delay, self.rate) = (Duration::ZERO, None),
            Rule::Delay(delay) => self.delay = delay,
            Rule::Throttle(rate) => self.rate = Some(rate.max(1)),
            Rule::Stall => {}
            Rule::Cut => {
                self.flight.clear();
                self.end = self.end.or(Some(End::Coming));
            }
        }
    }

    /// The sender can hand in a message.
    pub fn has_room(&self) -> bool {
        self.end.is_none() && self.weight < self.capacity
    }

    /// Puts a message on its way.
    pub fn send(&mut self, message: M, now: Instant) {
        assert!(self.has_room(), "sent into a full link");
        let weight = message.weight();
        let mut at = now + self.delay;
        at = self.last_arrival.map_or(at, |last| last.max(at));
        if let Some(rate) = self.rate {
            at += Duration::from_millis(weight as u64) / rate;
        }
        self.last_arrival = Some(at);
        self.weight += weight;
        self.flight.push_back((at, message));
    }

    /// Bytes that have not arrived.
    pub const fn under_way(&self) -> usize {
        self.weight
    }

    /// The sender says no more.
    pub fn close(&mut self) {
        self.end = self.end.or(Some(End::Coming));
    }

    /// When there is something for the receiver, the end included.
    pub fn next_arrival(&self, now: Instant) -> Option<Instant> {
        match self.flight.front() {
            Some((at, _)) if !self.stalled => Some(*at),
            None if self.end == Some(End::Coming) => Some(now),
            _ => None,
        }
    }

    /// The message that has arrived.
    pub fn receive(&mut self, now: Instant) -> Option<M> {
        let (at, _) = self.flight.front()?;
        if self.stalled || *at > now {
            return None;
        }
        let (_, message) = self.flight.pop_front()?;
        self.weight -= message.weight();
        Some(message)
    }

    /// True once: the end has arrived.
    pub fn receive_end(&mut self) -> bool {
        let arrived = self.flight.is_empty() && self.end == Some(End::Coming);
        if arrived {
            self.end = Some(End::Arrived);
        }
        arrived
    }

    /// No rule but the flow of time keeps messages back.
    pub const fn is_open(&self) -> bool {
        self.end.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Weight for u8 {
        fn weight(&self) -> usize {
            10
        }
    }

    #[test]
    fn keeps_order_and_its_capacity_whatever_the_rules() {
        let start = Instant::now();
        let mut link = Link::new(15);
        link.apply(Rule::Delay(Duration::from_millis(50)));
        link.send(1, start);
        assert!(link.has_room());
        link.apply(Rule::Pass);
        link.send(2, start);
        assert!(!link.has_room());
        assert_eq!(link.receive(start), None, "2 does not overtake 1");
        let later = start + Duration::from_millis(50);
        assert_eq!(link.next_arrival(start), Some(later));
        link.apply(Rule::Stall);
        assert_eq!((link.receive(later), link.next_arrival(later)), (None, None));
        link.apply(Rule::Pass);
        link.close();
        assert!(!link.receive_end(), "the end is behind the messages");
        assert_eq!((link.receive(later), link.receive(later)), (Some(1), Some(2)));
        assert!(link.receive_end() && !link.receive_end());
    }

    #[test]
    fn a_throttled_link_delivers_so_many_bytes_a_millisecond() {
        let start = Instant::now();
        let mut link = Link::new(100);
        link.apply(Rule::Throttle(5));
        link.send(1, start);
        link.send(2, start);
        assert_eq!(link.next_arrival(start), Some(start + Duration::from_millis(2)));
        let second = start + Duration::from_millis(4);
        assert_eq!(link.receive(second), Some(1));
        assert_eq!(link.next_arrival(start), Some(second));
    }

    #[test]
    fn a_cut_loses_what_is_under_way() {
        let start = Instant::now();
        let mut link = Link::new(100);
        link.send(1, start);
        link.apply(Rule::Cut);
        assert!(!link.has_room());
        assert_eq!(link.receive(start), None);
        assert!(link.receive_end());
    }
}
