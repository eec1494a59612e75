/// What both ends of a header stream act as if they had sent before the first block: the SPDY/3
/// draft's dictionary, section "Name/Value Header Block", unchanged in 3.1 (protocol.md C.4).
pub(super) static DICTIONARY: [u8; LENGTH] = build();

/// The Adler-32 of [`DICTIONARY`]: how the first block names it.
pub(super) const DICTIONARY_ID: [u8; 4] = [0xe3, 0xc6, 0xa7, 0xc2];

const LENGTH: usize = 1423;

/// Each with its length in front, in 4 bytes.
const WORDS: &[&str] = &[
    "options",
    "head",
    "post",
    "put",
    "delete",
    "trace",
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "accept-ranges",
    "age",
    "allow",
    "authorization",
    "cache-control",
    "connection",
    "content-base",
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-md5",
    "content-range",
    "content-type",
    "date",
    "etag",
    "expect",
    "expires",
    "from",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "last-modified",
    "location",
    "max-forwards",
    "pragma",
    "proxy-authenticate",
    "proxy-authorization",
    "range",
    "referer",
    "retry-after",
    "server",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "vary",
    "via",
    "warning",
    "www-authenticate",
    "method",
    "get",
    "status",
    "200 OK",
    "version",
    "HTTP/1.1",
    "url",
    "public",
    "set-cookie",
    "keep-alive",
    "origin",
];

/// One after the other, with nothing between.
const TEXTS: &[&str] = &[
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505",
    "203 Non-Authoritative Information",
    "204 No Content",
    "301 Moved Permanently",
    "400 Bad Request",
    "401 Unauthorized",
    "403 Forbidden",
    "404 Not Found",
    "500 Internal Server Error",
    "501 Not Implemented",
    "503 Service Unavailable",
    "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec",
    " 00:00:00",
    " Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT",
    "chunked,text/html,image/png,image/jpg,image/gif,",
    "application/xml,application/xhtml+xml,text/plain,text/javascript,",
    "publicprivate",
    "max-age=gzip,deflate,sdch",
    "charset=utf-8charset=iso-8859-1,utf-,*,enq=0.",
];

const fn build() -> [u8; LENGTH] {
    let mut dictionary = [0; LENGTH];
    let mut room: &mut [u8] = &mut dictionary;
    let mut words = WORDS;
    while let [word, rest @ ..] = words {
        #[allow(clippy::cast_possible_truncation, reason = "no word is longer than 19")]
        let length = word.len() as u32;
        room = put(room, &length.to_be_bytes());
        room = put(room, word.as_bytes());
        words = rest;
    }
    let mut texts = TEXTS;
    while let [text, rest @ ..] = texts {
        room = put(room, text.as_bytes());
        texts = rest;
    }
    assert!(room.is_empty(), "the texts are not as long as the dictionary");
    dictionary
}

const fn put<'a>(room: &'a mut [u8], bytes: &[u8]) -> &'a mut [u8] {
    let (to, rest) = room.split_at_mut(bytes.len());
    to.copy_from_slice(bytes);
    rest
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    /// Length and sums of protocol.md C.4.
    #[test]
    fn the_dictionary_is_the_drafts() {
        assert_eq!(WORDS.len(), 65);
        assert_eq!(DICTIONARY.len(), 1423);
        assert_eq!(adler32(&DICTIONARY).to_be_bytes(), DICTIONARY_ID);
        assert_eq!(crc32fast::hash(&DICTIONARY), 0x04c8_490e);
        let sha256: [u8; 32] = Sha256::digest(DICTIONARY).into();
        let hex: String = sha256.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "51d27341373f923f3cd88e1eb7162aeaa3723d7585ff2399201dc06498407f02");
    }

    /// RFC 1950 section 8.2.
    fn adler32(bytes: &[u8]) -> u32 {
        let (mut low, mut high) = (1, 0);
        for byte in bytes {
            low = (low + u32::from(*byte)) % 65_521;
            high = (high + low) % 65_521;
        }
        high << 16 | low
    }
}
