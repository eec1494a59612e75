use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Instant;

/// The connections of a listener whose programs have ended their sending, and whose end is held back
/// by the half-close policy: so many at most. One more ends the one whose pod has been silent longest.
#[derive(Debug)]
pub(super) struct Lingering {
    max: usize,
    /// Instants are counted from here.
    origin: Instant,
    seats: Mutex<Vec<Arc<Seat>>>,
}

/// One of them. Dropped when it does not linger any more.
#[derive(Debug)]
pub(super) struct Lingerer {
    lingering: Arc<Lingering>,
    seat: Arc<Seat>,
}

#[derive(Debug)]
struct Seat {
    /// Since when the pod has been silent, in nanoseconds.
    silent_since: AtomicU64,
    told: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Lingering {
    pub(super) fn new(max: usize, now: Instant) -> Arc<Self> {
        Arc::new(Self { max, origin: now, seats: Mutex::default() })
    }

    /// One more. `waker` is its task's.
    pub(super) fn join(self: &Arc<Self>, since: Instant, waker: &Waker) -> Lingerer {
        let seat = Arc::new(Seat {
            silent_since: AtomicU64::new(self.count(since)),
            told: AtomicBool::new(false),
            waker: Mutex::new(Some(waker.clone())),
        });
        let mut seats = self.lock();
        seats.push(Arc::clone(&seat));
        let longest = || seats.iter().min_by_key(|seat| seat.silent_since.load(Ordering::Relaxed));
        let told = if seats.len() > self.max { longest().cloned() } else { None };
        if let Some(told) = &told {
            seats.retain(|seat| !Arc::ptr_eq(seat, told));
        }
        drop(seats);
        told.as_deref().into_iter().for_each(Seat::tell);
        Lingerer { lingering: Arc::clone(self), seat }
    }

    fn count(&self, at: Instant) -> u64 {
        let nanos = at.saturating_duration_since(self.origin).as_nanos();
        u64::try_from(nanos).unwrap_or(u64::MAX)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Seat>>> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lingerer {
    /// Whether it has to go. If not, it is as silent as this.
    pub(super) fn is_told(&self, since: Instant, waker: &Waker) -> bool {
        self.seat.silent_since.store(self.lingering.count(since), Ordering::Relaxed);
        let mut known = self.seat.waker.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *known = Some(waker.clone());
        }
        // Under the lock, so that whoever tells it now has the waker.
        self.seat.told.load(Ordering::SeqCst)
    }
}

impl Drop for Lingerer {
    fn drop(&mut self) {
        self.lingering.lock().retain(|seat| !Arc::ptr_eq(seat, &self.seat));
    }
}

impl Seat {
    fn tell(&self) {
        self.told.store(true, Ordering::SeqCst);
        let waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner).take();
        waker.into_iter().for_each(Waker::wake);
    }
}
