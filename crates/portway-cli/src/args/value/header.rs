use std::fmt;
use std::str::FromStr;

use http::header::{
    CONNECTION, CONTENT_LENGTH, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, TE, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderName, HeaderValue};

/// A header that goes with every request: `Name: value`. Its value may be a token, so no error and no
/// log shows it.
#[derive(Clone)]
pub(crate) struct Header {
    pub(crate) name: HeaderName,
    pub(crate) value: HeaderValue,
}

/// Why a text is no header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HeaderError {
    NoColon,
    Name,
    Value(HeaderName),
    Ours(HeaderName),
}

impl FromStr for Header {
    type Err = HeaderError;

    fn from_str(text: &str) -> Result<Self, HeaderError> {
        let (name, value) = text.split_once(':').ok_or(HeaderError::NoColon)?;
        let name: HeaderName = name.trim().parse().map_err(|_| HeaderError::Name)?;
        let ours = [
            CONNECTION,
            CONTENT_LENGTH,
            SEC_WEBSOCKET_EXTENSIONS,
            SEC_WEBSOCKET_KEY,
            SEC_WEBSOCKET_PROTOCOL,
            SEC_WEBSOCKET_VERSION,
            TE,
            TRANSFER_ENCODING,
            UPGRADE,
        ];
        if ours.contains(&name) {
            return Err(HeaderError::Ours(name));
        }
        let Ok(mut value) = HeaderValue::from_str(value.trim()) else {
            return Err(HeaderError::Value(name));
        };
        value.set_sensitive(true);
        Ok(Self { name, value })
    }
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Header").field("name", &self.name).finish_non_exhaustive()
    }
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const GIVE: &str = "give it as 'Name: value'";
        match self {
            Self::NoColon => write!(f, "a header has no colon; {GIVE}"),
            Self::Name => write!(f, "a header has a name that HTTP does not allow; {GIVE}"),
            Self::Value(name) => {
                write!(f, "the value of header {name} has characters that HTTP does not allow")
            }
            Self::Ours(name) => write!(f, "header {name} is set by portway itself; leave it out"),
        }
    }
}

impl std::error::Error for HeaderError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_cut_at_its_first_colon() {
        let header: Header = "X-Url:  http://a:1 ".parse().unwrap();
        assert_eq!(header.name, "x-url");
        assert_eq!(header.value, "http://a:1");
        assert!(header.value.is_sensitive());
    }

    #[test]
    fn what_is_no_header_is_refused_without_showing_its_value() {
        for text in ["Authorization secret", "Bad Name: secret", "A: sec\nret", "Upgrade: secret"] {
            let error = text.parse::<Header>().unwrap_err().to_string();
            assert!(!error.contains("sec"), "{error}");
        }
        let shown = format!("{:?}", "Authorization: Bearer secret".parse::<Header>().unwrap());
        assert!(!shown.contains("secret"), "{shown}");
    }
}
