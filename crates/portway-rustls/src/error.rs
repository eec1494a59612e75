use std::io;
use std::time::Duration;

use rustls::pki_types::{ServerName, UnixTime};
use rustls::{AlertDescription, CertificateError, Error, InvalidMessage};

/// Why there is no TLS with a peer, or not any more. "It" is the peer in these texts.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The connection below broke.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The peer ended the connection before hands were shaken.
    #[error("it hung up in the middle of the TLS handshake")]
    HungUp,
    /// The peer ended the connection without a `close_notify`.
    #[error("it ended the connection without the end of TLS: something may have been cut off")]
    Truncated,
    /// What the peer says is not TLS.
    #[error("it does not speak TLS; is it plain HTTP?")]
    NotTls,
    /// The peer's certificate leads to no authority that is trusted.
    #[error("its certificate was issued by nobody who is trusted here; is it the right CA?")]
    UnknownIssuer,
    /// The peer's certificate is over.
    #[error("its certificate has expired {} ago", rough(*.since))]
    Expired {
        /// For how long.
        since: Duration,
    },
    /// The peer's certificate has not begun.
    #[error("its certificate becomes valid in {} only; is the clock right?", rough(*.wait))]
    NotYetValid {
        /// When it does.
        wait: Duration,
    },
    /// The peer's certificate is somebody else's.
    #[error("its certificate is for {}, and not for {expected}", names(.presented))]
    WrongName {
        /// Who was asked for.
        expected: String,
        /// Whom it names.
        presented: Vec<String>,
    },
    /// The peer's certificate cannot be used for another reason.
    #[error("its certificate cannot be used: {0}")]
    Certificate(CertificateError),
    /// The peer refused, by an alert of TLS.
    #[error("it refused: {}", meaning(*.0))]
    Refused(AlertDescription),
    /// Anything else.
    #[error("TLS failed: {0}")]
    Other(Error),
}

impl From<Error> for TlsError {
    fn from(error: Error) -> Self {
        #[allow(clippy::wildcard_enum_match_arm, reason = "what has no text of its own has one")]
        match error {
            Error::InvalidMessage(InvalidMessage::InvalidContentType) => Self::NotTls,
            Error::InvalidCertificate(error) => error.into(),
            Error::NoCertificatesPresented => Self::Certificate(CertificateError::BadEncoding),
            Error::AlertReceived(alert) => Self::Refused(alert),
            error => Self::Other(error),
        }
    }
}

impl From<CertificateError> for TlsError {
    fn from(error: CertificateError) -> Self {
        #[allow(clippy::wildcard_enum_match_arm, reason = "what has no text of its own has one")]
        match error {
            // Authorities of clusters tend to have the same name: with the wrong one it is a
            // signature that does not fit.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::UnknownIssuer,
            CertificateError::ExpiredContext { time, not_after } => {
                Self::Expired { since: between(not_after, time) }
            }
            CertificateError::NotValidYetContext { time, not_before } => {
                Self::NotYetValid { wait: between(time, not_before) }
            }
            CertificateError::NotValidForNameContext { expected, presented } => {
                Self::WrongName { expected: name(&expected), presented }
            }
            error => Self::Certificate(error),
        }
    }
}

impl From<TlsError> for io::Error {
    fn from(error: TlsError) -> Self {
        match error {
            TlsError::Io(error) => error,
            TlsError::HungUp | TlsError::Truncated => {
                Self::new(io::ErrorKind::UnexpectedEof, error)
            }
            TlsError::NotTls
            | TlsError::UnknownIssuer
            | TlsError::Expired { .. }
            | TlsError::NotYetValid { .. }
            | TlsError::WrongName { .. }
            | TlsError::Certificate(_)
            | TlsError::Refused(_)
            | TlsError::Other(_) => Self::new(io::ErrorKind::InvalidData, error),
        }
    }
}

fn name(name: &ServerName<'_>) -> String {
    match name {
        ServerName::DnsName(name) => name.as_ref().to_owned(),
        ServerName::IpAddress(ip) => std::net::IpAddr::from(*ip).to_string(),
        other => format!("{other:?}"),
    }
}

/// A certificate may name a lot.
fn names(presented: &[String]) -> String {
    const SHOWN: usize = 5;
    if presented.is_empty() {
        return "nobody (a name in its subject does not count)".to_owned();
    }
    // `DnsName("kubernetes")`, `IpAddress(10.0.0.1)`: the verifier's way to write them.
    let bare = |name: &String| {
        let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
        inner.unwrap_or(name).trim_matches('"').to_owned()
    };
    let mut shown: Vec<_> = presented.iter().take(SHOWN).map(bare).collect();
    if presented.len() > SHOWN {
        shown.push(format!("{} more", presented.len() - SHOWN));
    }
    shown.join(", ")
}

/// What an alert means for somebody who wanted to connect.
fn meaning(alert: AlertDescription) -> String {
    #[allow(clippy::wildcard_enum_match_arm, reason = "what has no text of its own has a name")]
    let text = match alert {
        AlertDescription::CertificateRequired => "it wants a client certificate",
        AlertDescription::UnknownCA => "it does not trust who issued our certificate",
        AlertDescription::CertificateExpired => "our certificate has expired",
        AlertDescription::CertificateRevoked => "our certificate was revoked",
        AlertDescription::BadCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::DecryptError => "our certificate does not suit it",
        AlertDescription::ProtocolVersion => "it speaks no TLS 1.2 or 1.3",
        AlertDescription::HandshakeFailure => "there is no cipher that both ends know",
        AlertDescription::NoApplicationProtocol => "it does not speak HTTP/1.1 over TLS",
        AlertDescription::UnrecognisedName => "it does not know the name it was asked for",
        other => return format!("TLS alert {other:?}"),
    };
    text.to_owned()
}

fn between(earlier: UnixTime, later: UnixTime) -> Duration {
    Duration::from_secs(later.as_secs().saturating_sub(earlier.as_secs()))
}

/// The largest unit is all that matters.
fn rough(time: Duration) -> String {
    let seconds = time.as_secs();
    let (count, unit) = match seconds {
        0..60 => (seconds, "second"),
        60..3_600 => (seconds / 60, "minute"),
        3_600..86_400 => (seconds / 3_600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_by_their_largest_unit() {
        let told = |seconds| rough(Duration::from_secs(seconds));
        assert_eq!(told(1), "1 second");
        assert_eq!(told(59), "59 seconds");
        assert_eq!(told(60), "1 minute");
        assert_eq!(told(7_199), "1 hour");
        assert_eq!(told(3 * 86_400), "3 days");
    }

    #[test]
    fn names_are_bare_and_few() {
        assert_eq!(names(&[]), "nobody (a name in its subject does not count)");
        let two = ["DnsName(\"kubernetes\")".to_owned(), "IpAddress(10.0.0.1)".to_owned()];
        assert_eq!(names(&two), "kubernetes, 10.0.0.1");
        let many: Vec<_> = (0..7).map(|n| format!("DnsName(\"n{n}\")")).collect();
        assert_eq!(names(&many), "n0, n1, n2, n3, n4, 2 more");
    }
}
