/// What a peer's control frames may ask of our memory.
///
/// Against CVE-2026-35469 and its kin: a count or a length from the wire meets one of these before it
/// meets an allocation. DATA has no limit here because it is passed on as it arrives.
///
/// A header block in Kubernetes has at most four headers and some 60 bytes, so the defaults are what a
/// receiver ought to take (the draft: control frames of 8192 bytes; Go: 1000 headers), and far below
/// what hurts. One decoder of frames and one of headers hold at most `control_frame` +
/// `header_block` + 40 KiB while they work, and 33 KiB between blocks.
///
/// ```
/// use portway_proto::spdy::Limits;
/// const LIMITS: Limits = Limits::new().with_header_block(4096).with_headers(16);
/// assert_eq!((LIMITS.header_block(), LIMITS.value()), (4096, 8192));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    control_frame: usize,
    header_block: usize,
    headers: usize,
    name: usize,
    value: usize,
    settings: usize,
}

impl Limits {
    /// The defaults: 64 KiB of control frame, 64 KiB of header block, 1000 headers, names of 256 bytes,
    /// values of 8 KiB, 1000 settings.
    pub const fn new() -> Self {
        Self {
            control_frame: 64 * 1024,
            header_block: 64 * 1024,
            headers: 1000,
            name: 256,
            value: 8 * 1024,
            settings: 1000,
        }
    }

    /// The most payload of a SYN_STREAM, SYN_REPLY or HEADERS, in bytes: these are gathered. Other
    /// control frames have a fixed length or are skipped as they arrive, and cost nothing.
    #[must_use]
    pub const fn with_control_frame(mut self, bytes: usize) -> Self {
        self.control_frame = bytes;
        self
    }

    /// The most that a header block may inflate to, in bytes.
    #[must_use]
    pub const fn with_header_block(mut self, bytes: usize) -> Self {
        self.header_block = bytes;
        self
    }

    /// The most headers in a block.
    #[must_use]
    pub const fn with_headers(mut self, count: usize) -> Self {
        self.headers = count;
        self
    }

    /// The longest name of a header, in bytes.
    #[must_use]
    pub const fn with_name(mut self, bytes: usize) -> Self {
        self.name = bytes;
        self
    }

    /// The longest value of a header, in bytes.
    #[must_use]
    pub const fn with_value(mut self, bytes: usize) -> Self {
        self.value = bytes;
        self
    }

    /// The most entries of a SETTINGS frame. They are skipped, so this bounds only patience.
    #[must_use]
    pub const fn with_settings(mut self, entries: usize) -> Self {
        self.settings = entries;
        self
    }

    /// See [`with_control_frame`](Self::with_control_frame).
    pub const fn control_frame(&self) -> usize {
        self.control_frame
    }

    /// See [`with_header_block`](Self::with_header_block).
    pub const fn header_block(&self) -> usize {
        self.header_block
    }

    /// See [`with_headers`](Self::with_headers).
    pub const fn headers(&self) -> usize {
        self.headers
    }

    /// See [`with_name`](Self::with_name).
    pub const fn name(&self) -> usize {
        self.name
    }

    /// See [`with_value`](Self::with_value).
    pub const fn value(&self) -> usize {
        self.value
    }

    /// See [`with_settings`](Self::with_settings).
    pub const fn settings(&self) -> usize {
        self.settings
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::new()
    }
}
