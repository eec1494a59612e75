use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How often the cluster was asked for what.
#[derive(Debug, Default)]
pub(crate) struct Journal(Mutex<BTreeMap<(String, String), usize>>);

impl Journal {
    pub(crate) fn note(&self, verb: &str, path: &str) {
        *self.lock().entry((verb.to_owned(), path.to_owned())).or_default() += 1;
    }

    pub(crate) fn count(&self, verb: &str, path: &str) -> usize {
        let counts = self.lock();
        let counts = counts.iter().filter(|((known, of), _)| known == verb && of == path);
        counts.map(|(_, count)| count).sum()
    }

    pub(crate) fn all(&self) -> BTreeMap<(String, String), usize> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(String, String), usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
