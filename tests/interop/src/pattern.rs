/// An endless stream of bytes that differs from seed to seed and in which every byte depends on
/// where it stands, so that lost, doubled and misplaced bytes all show.
///
/// Block `i` of eight bytes is the `i`-th output of splitmix64, little endian; the pod programs
/// have the same.
#[derive(Debug, Clone)]
pub struct Pattern {
    seed: u64,
    at: u64,
}

impl Pattern {
    /// The stream of this seed, from its start.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, at: 0 }
    }

    /// How many bytes were taken so far.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.at
    }

    /// The next bytes.
    pub fn fill(&mut self, mut out: &mut [u8]) {
        while !out.is_empty() {
            let block = splitmix64(self.seed, self.at / 8).to_le_bytes();
            let start = usize::try_from(self.at % 8).expect("less than eight");
            let n = out.len().min(8 - start);
            let (now, later) = out.split_at_mut(n);
            now.copy_from_slice(&block[start..start + n]);
            self.at += n as u64;
            out = later;
        }
    }

    /// Goes past `bytes` if they come next; else says where they differ first.
    ///
    /// # Errors
    ///
    /// The offset of the first byte that is not the expected one.
    pub fn check(&mut self, bytes: &[u8]) -> Result<(), u64> {
        let mut expected = [0; 4096];
        for piece in bytes.chunks(expected.len()) {
            let start = self.at;
            let expected = &mut expected[..piece.len()];
            self.fill(expected);
            if expected != piece {
                let same = expected.iter().zip(piece).take_while(|(a, b)| a == b).count();
                return Err(start + same as u64);
            }
        }
        Ok(())
    }
}

fn splitmix64(seed: u64, index: u64) -> u64 {
    let mut z = seed.wrapping_add((index.wrapping_add(1)).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_make_the_same_stream_as_the_whole() {
        let mut whole = [0; 100];
        Pattern::new(7).fill(&mut whole);
        let mut pieces = Pattern::new(7);
        let mut joined = Vec::new();
        for n in [1, 7, 8, 3, 13, 64, 4] {
            let mut piece = vec![0; n];
            pieces.fill(&mut piece);
            joined.extend(piece);
        }
        assert_eq!(joined, whole);
    }

    #[test]
    fn a_missing_byte_is_found() {
        let mut bytes = vec![0; 10_000];
        Pattern::new(0).fill(&mut bytes);
        assert_eq!(Pattern::new(0).check(&bytes), Ok(()));
        bytes.remove(5_000);
        assert!(Pattern::new(0).check(&bytes).is_err_and(|at| (5_000..5_010).contains(&at)));
    }

    #[test]
    fn the_first_bytes_are_those_of_splitmix64() {
        let mut bytes = [0; 8];
        Pattern::new(0).fill(&mut bytes);
        assert_eq!(u64::from_le_bytes(bytes), 0xe220_a839_7b1d_cdaf);
    }
}
