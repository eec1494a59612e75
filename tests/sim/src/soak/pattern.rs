/// The byte at one place of what somebody says: any piece of it, at any place, tells a wrong byte.
pub(super) const fn byte(who: u64, at: u64) -> u8 {
    let mixed = (at ^ who.wrapping_mul(0x9E37_79B9_7F4A_7C15)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed.to_be_bytes()[1]
}

/// A piece of it.
pub(super) fn bytes(who: u64, from: u64, len: usize) -> Vec<u8> {
    (from..from + len as u64).map(|at| byte(who, at)).collect()
}

/// What a program says first: who it is, how much it sends in all (this included), and how long an
/// answer it wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) program: u64,
    pub(super) upload: u64,
    pub(super) answer: u64,
}

impl Header {
    pub(super) const LEN: usize = 24;

    pub(super) fn encode(self) -> Vec<u8> {
        [self.program, self.upload, self.answer].map(u64::to_be_bytes).concat()
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let number = |at| Some(u64::from_be_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        Some(Self { program: number(0)?, upload: number(8)?, answer: number(16)? })
    }

    /// A piece of everything that the program sends.
    pub(super) fn upload(self, from: u64, len: usize) -> Vec<u8> {
        let mut piece = Vec::with_capacity(len);
        let head = self.encode();
        for at in from..from + len as u64 {
            let index = usize::try_from(at).unwrap_or(usize::MAX);
            piece.push(head.get(index).copied().unwrap_or_else(|| byte(self.program, at)));
        }
        piece
    }

    /// Who says the answer.
    pub(super) const fn answerer(self) -> u64 {
        !self.program
    }
}
