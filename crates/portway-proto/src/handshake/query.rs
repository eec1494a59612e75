//! The ports in a query, read as Kubernetes reads them (protocol.md A.2): the numbers by Go's
//! `strconv.ParseUint`, the query by Go's `net/url`, in which a pair with a broken escape or a
//! semicolon does not exist. The error texts are those that a kubelet sends.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::Port;
use crate::text::is_visible;

/// The names that the parameter goes by.
pub(super) const AT_API_SERVER: &str = "ports";
pub(super) const AT_KUBELET: &str = "port";

/// Why the ports of a request cannot be served. The text is the body that a kubelet sends, and names
/// the parameter `port` even where the client has to say `ports` (protocol.md trap 1).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PortsError {
    /// There is no such parameter.
    #[error("query parameter \"port\" is required")]
    Missing,
    /// The parameter is there without a value.
    #[error("query parameter \"port\" cannot be empty")]
    Empty,
    /// Something in the list is not a decimal number.
    #[error(
        "unable to parse {value} as a port: strconv.ParseUint: parsing {element}: invalid syntax"
    )]
    Syntax {
        /// The whole value, quoted and escaped.
        value: String,
        /// The element at fault, quoted and escaped.
        element: String,
    },
    /// A number above 65535.
    #[error(
        "unable to parse {value} as a port: strconv.ParseUint: parsing {element}: value out of range"
    )]
    Range {
        /// The whole value, quoted and escaped.
        value: String,
        /// The element at fault, quoted and escaped.
        element: String,
    },
    /// The port 0.
    #[error("port {value} must be > 0")]
    Zero {
        /// The whole value, quoted and escaped.
        value: String,
    },
    /// More ports than the channel byte of v4 can number (protocol.md B.4). The text is ours: the
    /// reference lets its arithmetic wrap.
    #[error("too many ports: at most {limit} fit into one session")]
    TooMany {
        /// How many would fit.
        limit: usize,
    },
}

/// The ports that the parameters of these `names` list, in their order, duplicates included.
pub(super) fn ports(query: &str, names: &[&str], limit: usize) -> Result<Vec<Port>, PortsError> {
    let mut ports = Vec::new();
    let mut missing = true;
    for (name, value) in pairs(query) {
        if !names.iter().any(|known| known.as_bytes() == name.as_ref()) {
            continue;
        }
        missing = false;
        if value.is_empty() {
            return Err(PortsError::Empty);
        }
        for element in value.split(|byte| *byte == b',') {
            let port = number(element).map_err(|fault| fault.of(&value, element))?;
            let port = Port::new(port).ok_or_else(|| PortsError::Zero { value: quote(&value) })?;
            if ports.len() == limit {
                return Err(PortsError::TooMany { limit });
            }
            ports.push(port);
        }
    }
    if missing { Err(PortsError::Missing) } else { Ok(ports) }
}

/// Whether the query has a parameter that either end could take for the ports.
pub(super) fn has_ports(query: &str) -> bool {
    pairs(query).any(|(name, _)| {
        [AT_API_SERVER, AT_KUBELET].iter().any(|known| known.as_bytes() == name.as_ref())
    })
}

/// The names and values of a query, decoded.
fn pairs(query: &str) -> impl Iterator<Item = (Cow<'_, [u8]>, Cow<'_, [u8]>)> {
    query.as_bytes().split(|byte| *byte == b'&').filter_map(|pair| {
        if pair.is_empty() || pair.contains(&b';') {
            return None;
        }
        let mut sides = pair.splitn(2, |byte| *byte == b'=');
        let name = decode(sides.next()?)?;
        let value = decode(sides.next().unwrap_or_default())?;
        Some((name, value))
    })
}

/// Undoes percent-encoding and `+` for a space; `None` when an escape is broken.
fn decode(encoded: &[u8]) -> Option<Cow<'_, [u8]>> {
    if !encoded.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return Some(Cow::Borrowed(encoded));
    }
    let mut decoded = Vec::with_capacity(encoded.len());
    let mut bytes = encoded.iter().copied();
    let hex = |bytes: &mut std::iter::Copied<std::slice::Iter<'_, u8>>| {
        char::from(bytes.next()?).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
    };
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => hex(&mut bytes)? << 4 | hex(&mut bytes)?,
            b'+' => b' ',
            other => other,
        });
    }
    Some(Cow::Owned(decoded))
}

enum Fault {
    Syntax,
    Range,
}

impl Fault {
    fn of(self, value: &[u8], element: &[u8]) -> PortsError {
        let (value, element) = (quote(value), quote(element));
        match self {
            Self::Syntax => PortsError::Syntax { value, element },
            Self::Range => PortsError::Range { value, element },
        }
    }
}

/// `strconv.ParseUint(digits, 10, 16)`, which stops at the first digit that makes the number too
/// large, and so before a letter behind it.
fn number(digits: &[u8]) -> Result<u16, Fault> {
    if digits.is_empty() {
        return Err(Fault::Syntax);
    }
    digits.iter().try_fold(0_u16, |number, byte| {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit < 10).ok_or(Fault::Syntax)?;
        let number = number.checked_mul(10).ok_or(Fault::Range)?;
        number.checked_add(u16::from(digit)).ok_or(Fault::Range)
    })
}

/// Go's `%q`: double quotes, and an escape for whatever would not show as itself.
fn quote(bytes: &[u8]) -> String {
    let mut quoted = String::with_capacity(bytes.len() + 2);
    quoted.push('"');
    for chunk in bytes.utf8_chunks() {
        for char in chunk.valid().chars() {
            push_escaped(&mut quoted, char);
        }
        for byte in chunk.invalid() {
            _ = write!(quoted, "\\x{byte:02x}");
        }
    }
    quoted.push('"');
    quoted
}

fn push_escaped(quoted: &mut String, char: char) {
    match char {
        '"' => quoted.push_str("\\\""),
        '\\' => quoted.push_str("\\\\"),
        ' ' => quoted.push(' '),
        '\x07' => quoted.push_str("\\a"),
        '\x08' => quoted.push_str("\\b"),
        '\x0c' => quoted.push_str("\\f"),
        '\n' => quoted.push_str("\\n"),
        '\r' => quoted.push_str("\\r"),
        '\t' => quoted.push_str("\\t"),
        '\x0b' => quoted.push_str("\\v"),
        shown if is_visible(shown) => quoted.push(shown),
        hidden => {
            let code = u32::from(hidden);
            _ = match code {
                ..0x80 => write!(quoted, "\\x{code:02x}"),
                0x80..0x1_0000 => write!(quoted, "\\u{code:04x}"),
                0x1_0000.. => write!(quoted, "\\U{code:08x}"),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoting_is_that_of_go() {
        // Each checked against fmt.Sprintf("%q") of Go.
        for (raw, quoted) in [
            (&b"http"[..], r#""http""#),
            (b"a\"b\\c", r#""a\"b\\c""#),
            (b"\x07\x08\x0c\n\r\t\x0b", r#""\a\b\f\n\r\t\v""#),
            (b"\x00\x1b\x7f", r#""\x00\x1b\x7f""#),
            ("é \u{a0}\u{202e}\u{feff}".as_bytes(), r#""é \u00a0\u202e\ufeff""#),
            ("\u{e0041}😀".as_bytes(), "\"\\U000e0041😀\""),
            (b"a\xff\xc3", r#""a\xff\xc3""#),
        ] {
            assert_eq!(quote(raw), quoted);
        }
    }

    #[test]
    fn a_broken_pair_does_not_exist() {
        assert_eq!(ports("port=%zz", &["port"], 9), Err(PortsError::Missing));
        assert_eq!(ports("port=%8", &["port"], 9), Err(PortsError::Missing));
        assert_eq!(ports("port=80;port=81", &["port"], 9), Err(PortsError::Missing));
        assert_eq!(ports("&&=1&port=80&%zz=1", &["port"], 9), Ok(vec![Port::new(80).unwrap()]));
    }
}
