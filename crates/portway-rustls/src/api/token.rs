use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::HeaderValue;

/// Where a bearer token comes from.
///
/// ```
/// use portway_rustls::Token;
///
/// let fixed = Token::new("eyJhbGciOi…")?;
/// let of_pod = Token::from_file("/var/run/secrets/kubernetes.io/serviceaccount/token");
/// // Asked before every request; `refused` says that the server did not take the last one.
/// let renewed = Token::from_fn(|refused| async move {
///     let _ = refused;
///     Ok::<_, std::io::Error>("eyJhbGciOi…".to_owned())
/// });
/// # Ok::<(), portway_rustls::TokenError>(())
/// ```
#[derive(Clone)]
pub struct Token {
    source: Source,
}

#[derive(Clone)]
enum Source {
    Fixed(HeaderValue),
    File { path: PathBuf, read: Arc<Mutex<Option<Read>>> },
    Callback(Arc<Callback>),
}

/// What was in the file, and when it is read again.
#[derive(Clone)]
struct Read {
    value: HeaderValue,
    until: Instant,
}

type Callback = dyn Fn(bool) -> Asking + Send + Sync;
type Asking = Pin<Box<dyn Future<Output = Result<String, Arc<dyn Error + Send + Sync>>> + Send>>;

impl Token {
    /// Always the same.
    ///
    /// # Errors
    /// It cannot stand in a header.
    pub fn new(token: &str) -> Result<Self, TokenError> {
        Ok(Self { source: Source::Fixed(bearer(token)?) })
    }

    /// What stands in a file, read again every minute and when the server does not take it, because
    /// whoever writes it renews it in time.
    pub fn from_file(path: impl Into<PathBuf>) -> Self {
        Self { source: Source::File { path: path.into(), read: Arc::default() } }
    }

    /// What `ask` says. It is asked before every request, so it keeps what is still good, and once more,
    /// with `true`, when the server did not take what it said. Where it says the same again, the
    /// server's refusal stands.
    pub fn from_fn<F, E>(ask: impl Fn(bool) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<String, E>> + Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let ask = move |refused| -> Asking {
            let asked = ask(refused);
            Box::pin(async move { asked.await.map_err(|error| Arc::from(error.into())) })
        };
        Self { source: Source::Callback(Arc::new(ask)) }
    }

    /// The header to send.
    pub(super) async fn header(
        &self,
        refused: bool,
        now: Instant,
    ) -> Result<HeaderValue, TokenError> {
        match &self.source {
            Source::Fixed(value) => Ok(value.clone()),
            Source::File { path, read } => {
                let mut read = read.lock().unwrap_or_else(PoisonError::into_inner);
                match &*read {
                    Some(read) if !refused && now < read.until => Ok(read.value.clone()),
                    _ => {
                        let value = from_file(path)?;
                        *read = Some(Read { value: value.clone(), until: now + REREAD });
                        Ok(value)
                    }
                }
            }
            Source::Callback(ask) => {
                let token = ask(refused).await.map_err(TokenError::Callback)?;
                bearer(&token)
            }
        }
    }
}

/// As client-go does.
const REREAD: Duration = Duration::from_secs(60);

/// A token is short and on a disk of this machine: reading it holds up nobody.
fn from_file(path: &Path) -> Result<HeaderValue, TokenError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| TokenError::File { path: path.to_owned(), source: Arc::new(source) })?;
    bearer(text.trim()).map_err(|_| TokenError::InFile { path: path.to_owned() })
}

fn bearer(token: &str) -> Result<HeaderValue, TokenError> {
    if token.is_empty() {
        return Err(TokenError::Invalid);
    }
    let value = HeaderValue::from_str(&format!("Bearer {token}"));
    let mut value = value.map_err(|_| TokenError::Invalid)?;
    value.set_sensitive(true);
    Ok(value)
}

impl fmt::Debug for Token {
    /// Without the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.source {
            Source::Fixed(_) => "Token(fixed)",
            Source::File { path, .. } => return f.debug_tuple("Token").field(path).finish(),
            Source::Callback(_) => "Token(callback)",
        })
    }
}

/// Why there is no token to send.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// It is empty, or has line ends and the like in it.
    #[error("the bearer token is empty, or has characters that no header can carry")]
    Invalid,
    /// The file cannot be read.
    #[error("cannot read the bearer token from {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// What is in the file is no token.
    #[error("there is no bearer token in {}: it is empty, or has line ends in it", path.display())]
    InFile {
        /// The file.
        path: PathBuf,
    },
    /// Whoever was asked has none.
    #[error("no bearer token could be had: {0}")]
    Callback(Arc<dyn Error + Send + Sync>),
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kubelet writes a new one long before the old one ends.
    #[test]
    fn a_file_is_read_again_after_a_minute() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let token = Token::from_file(&path);
        let start = Instant::now();
        let said = |after| {
            let header = token.header(false, start + Duration::from_secs(after));
            smol::block_on(header).unwrap()
        };
        std::fs::write(&path, "first").unwrap();
        assert_eq!(said(0), "Bearer first");
        std::fs::write(&path, "second").unwrap();
        assert_eq!(said(59), "Bearer first", "it is not read for every request");
        assert_eq!(said(60), "Bearer second");
    }
}
