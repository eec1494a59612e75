use bytes::BytesMut;

/// Bytes that are made room for and then written at a time, so that the first costs next to nothing.
///
/// Measured against a plain copy that is masked afterwards: a third faster, and without the tenfold
/// slowdown of long copies between some alignments.
const BLOCK: usize = 1024;

/// The masking key of one frame, turned so that its first byte is for the next byte of payload
/// (RFC 6455 section 5.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mask([u8; 4]);

impl Mask {
    pub(super) const fn new(key: [u8; 4]) -> Self {
        Self(key)
    }

    /// Masks or unmasks the next bytes of the payload where they are.
    pub(super) fn apply(&mut self, payload: &mut [u8]) {
        let (words, rest) = payload.as_chunks_mut();
        for word in words {
            *word = self.word(*word);
        }
        for (byte, key) in rest.iter_mut().zip(self.0.iter().cycle()) {
            *byte ^= key;
        }
        self.advance(payload.len());
    }

    /// Appends the next bytes of the payload to `out`, masked.
    pub(super) fn copy(&mut self, payload: &[u8], out: &mut BytesMut) {
        for block in payload.chunks(BLOCK) {
            let start = out.len();
            out.resize(start + block.len(), 0);
            let (to, to_rest) = out.get_mut(start..).unwrap_or_default().as_chunks_mut();
            let (from, from_rest) = block.as_chunks();
            for (to, from) in to.iter_mut().zip(from) {
                *to = self.word(*from);
            }
            for ((to, from), key) in to_rest.iter_mut().zip(from_rest).zip(self.0.iter().cycle()) {
                *to = from ^ key;
            }
            self.advance(block.len());
        }
    }

    /// Eight bytes at a time; the compiler makes vectors of them.
    const fn word(&self, word: [u8; 8]) -> [u8; 8] {
        let [a, b, c, d] = self.0;
        let key = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
        (u64::from_ne_bytes(word) ^ key).to_ne_bytes()
    }

    fn advance(&mut self, bytes: usize) {
        self.0.rotate_left(bytes % 4);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

    fn one_by_one(payload: &[u8]) -> Vec<u8> {
        payload.iter().enumerate().map(|(i, byte)| byte ^ KEY[i % 4]).collect()
    }

    #[test]
    fn rfc_example() {
        let mut hello = *b"Hello";
        Mask::new(KEY).apply(&mut hello);
        assert_eq!(hello, [0x7f, 0x9f, 0x4d, 0x51, 0x58]);
        Mask::new(KEY).apply(&mut hello);
        assert_eq!(&hello, b"Hello");
    }

    #[test]
    fn any_cut_and_alignment_gives_the_same() {
        let payload: Vec<u8> = (0..=99).collect();
        let expected = one_by_one(&payload);
        for first in 0..40 {
            for second in first..60 {
                let mut bytes = payload.clone();
                let mut mask = Mask::new(KEY);
                mask.apply(&mut bytes[..first]);
                mask.apply(&mut bytes[first..second]);
                mask.apply(&mut bytes[second..]);
                assert_eq!(bytes, expected, "cut at {first} and {second}");
            }
        }
    }

    #[test]
    fn copy_goes_on_across_blocks_and_calls() {
        let payload: Vec<u8> = (0..=250).cycle().take(3 * BLOCK + 5).collect();
        let mut out = BytesMut::from(&b"before"[..]);
        let mut mask = Mask::new(KEY);
        mask.copy(&payload[..3], &mut out);
        mask.copy(&payload[3..], &mut out);
        assert_eq!(out[..6], b"before"[..]);
        assert!(out[6..] == one_by_one(&payload));
    }
}
