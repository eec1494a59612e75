/// Masking keys from the system's random source (RFC 6455 section 5.3 wants them unpredictable),
/// fetched 64 at a time: one system call for 64 frames.
pub(crate) struct MaskKeys {
    keys: [[u8; 4]; 64],
    next: usize,
}

impl MaskKeys {
    pub(crate) const fn new() -> Self {
        Self { keys: [[0; 4]; 64], next: 64 }
    }

    pub(crate) fn next_key(&mut self) -> [u8; 4] {
        if self.next == self.keys.len() {
            // Without randomness the frames stay valid; masking protects proxies from bytes that a
            // web page chose, and no web page chooses ours.
            if let Err(error) = getrandom::fill(self.keys.as_flattened_mut()) {
                tracing::warn!(%error, "no randomness for masking keys");
            }
            self.next = 0;
        }
        let key = self.keys[self.next];
        self.next += 1;
        key
    }
}

impl std::fmt::Debug for MaskKeys {
    /// Without the keys.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MaskKeys").finish_non_exhaustive()
    }
}
