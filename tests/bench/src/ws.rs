/// Appends the head of a binary message as a server sends it.
pub(crate) fn put_head(length: usize, to: &mut Vec<u8>) {
    to.push(0x82);
    if length < 126 {
        to.push(length.try_into().unwrap());
    } else {
        to.push(126);
        to.extend_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
    }
}
