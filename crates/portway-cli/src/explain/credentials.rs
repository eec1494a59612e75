use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use kube::client::AuthError;
use kube::config::{AuthInfo, ExecConfig};
use secrecy::ExposeSecret;
use serde::Deserialize;

/// By what we say who we are, and what to do when it is not taken. Nothing secret is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Credentials {
    None,
    Token {
        /// It was over by then, in seconds since the epoch.
        expires: Option<u64>,
    },
    TokenFile(String),
    Certificate,
    /// The program that is run for them.
    Plugin(String),
}

impl Credentials {
    pub(crate) fn of(auth: &AuthInfo) -> Self {
        if let Some(exec) = &auth.exec {
            return Self::Plugin(command(exec));
        }
        if let Some(provider) = &auth.auth_provider {
            return Self::Plugin(provider.name.clone());
        }
        if let Some(token) = &auth.token {
            return Self::Token { expires: expiry(token.expose_secret()) };
        }
        if let Some(path) = &auth.token_file {
            return Self::TokenFile(path.clone());
        }
        if auth.client_certificate.is_some() || auth.client_certificate_data.is_some() {
            return Self::Certificate;
        }
        Self::None
    }

    /// What to do about a server that does not take them.
    pub(crate) fn advice(&self, now: SystemTime) -> String {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        match self {
            Self::None => {
                "no credentials were sent: the user of the context has none, or give --token"
                    .to_owned()
            }
            Self::Token { expires: Some(at) } if Duration::from_secs(*at) < now => {
                let ago = rough(now - Duration::from_secs(*at));
                format!("the token that was sent expired {ago} ago: log in again")
            }
            Self::Token { .. } => {
                "the token that was sent is over, revoked, or another cluster's: log in again"
                    .to_owned()
            }
            Self::TokenFile(path) => {
                format!("the token in {path} is over, or another cluster's: write a new one there")
            }
            Self::Certificate => {
                "the client certificate is over, or another cluster's: log in again".to_owned()
            }
            Self::Plugin(command) => {
                format!("what `{command}` gave is not taken: log in again with that program")
            }
        }
    }
}

/// Why there are no credentials to begin with, in a line.
pub(crate) fn no_credentials(error: &AuthError, exec: Option<&ExecConfig>) -> String {
    let command = exec.map(command).unwrap_or_default();
    #[allow(clippy::wildcard_enum_match_arm, reason = "what has no text of its own has one")]
    match error {
        AuthError::AuthExecStart(source) => {
            let hint = exec.and_then(|exec| exec.install_hint.as_deref());
            let hint = hint.and_then(|hint| hint.split('\n').find(|line| !line.trim().is_empty()));
            let hint = match hint {
                Some(hint) => hint.trim().to_owned(),
                None => "install it, or put it on the PATH".to_owned(),
            };
            let program = exec.and_then(|exec| exec.command.as_deref()).unwrap_or_default();
            format!("cannot run the credential plugin `{program}`: {source}; {hint}")
        }
        AuthError::AuthExecRun { out, .. } => {
            // What it says itself has gone to the terminal, but for a plugin that must not.
            let said = String::from_utf8_lossy(&out.stderr);
            let said = said.lines().rev().find(|line| !line.trim().is_empty());
            let said = said.map(|line| format!(": {}", line.trim())).unwrap_or_default();
            format!(
                "the credential plugin failed ({}){said}; run it by itself to see why: `{command}`",
                out.status
            )
        }
        AuthError::AuthExecParse(problem) => format!(
            "the credential plugin `{command}` said something that are no credentials: {problem}"
        ),
        AuthError::ExecPluginFailed => {
            format!("the credential plugin `{command}` gave no credentials")
        }
        AuthError::ReadTokenFile(source, path) => {
            format!("cannot read the token in {}: {source}", path.display())
        }
        other => other.to_string(),
    }
}

fn command(exec: &ExecConfig) -> String {
    let words = exec.command.iter().chain(exec.args.iter().flatten());
    words.cloned().collect::<Vec<_>>().join(" ")
}

/// When a token is over, if it says so itself (a JWT).
fn expiry(token: &str) -> Option<u64> {
    #[derive(Deserialize)]
    struct Claims {
        exp: Option<f64>,
    }
    let claims = token.split('.').nth(1)?;
    let claims = BASE64_URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?;
    let Claims { exp } = serde_json::from_slice(&claims).ok()?;
    exp.map(|seconds| seconds as u64)
}

/// The largest unit is all that matters.
fn rough(time: Duration) -> impl fmt::Display {
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
    fn a_token_says_when_it_is_over() {
        let claims = BASE64_URL_SAFE_NO_PAD.encode(r#"{"sub":"jane","exp":1000}"#);
        let token = format!("e30.{claims}.c2ln");
        assert_eq!(expiry(&token), Some(1000));
        for other in ["secret", "a.b.c", "", "a.e30.c"] {
            assert_eq!(expiry(other), None, "{other}");
        }
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let credentials = Credentials::Token { expires: Some(1000) };
        let advice = credentials.advice(at(1000 + 7_300));
        assert_eq!(advice, "the token that was sent expired 2 hours ago: log in again");
        assert!(!credentials.advice(at(999)).contains("ago"));
    }
}
