use std::fmt;
use std::str::FromStr;

/// What to forward to: `POD`, `pod/POD`, `pods/POD` or `po/POD`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PodName(String);

/// Why a text names no pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TargetError {
    Empty,
    Type(String),
    Slash,
}

impl PodName {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PodName {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let name = match text.split_once('/') {
            None => text,
            Some(("pod" | "pods" | "po", name)) => name,
            Some((kind, _)) => return Err(TargetError::Type(kind.to_owned())),
        };
        if name.is_empty() {
            return Err(TargetError::Empty);
        }
        if name.contains('/') {
            return Err(TargetError::Slash);
        }
        Ok(Self(name.to_owned()))
    }
}

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "it names no pod; give POD or pod/POD"),
            Self::Type(kind) => write!(
                f,
                "'{kind}' is not a pod, and targets other than pods come with a later version; give POD or pod/POD"
            ),
            Self::Slash => write!(f, "the name of a pod has no slash in it; give POD or pod/POD"),
        }
    }
}

impl std::error::Error for TargetError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_has_four_spellings() {
        for text in ["web-0", "pod/web-0", "pods/web-0", "po/web-0"] {
            assert_eq!(text.parse(), Ok(PodName("web-0".to_owned())));
        }
    }

    #[test]
    fn everything_else_is_refused_for_its_own_reason() {
        for (text, expected) in [
            ("", TargetError::Empty),
            ("pod/", TargetError::Empty),
            ("svc/web", TargetError::Type("svc".to_owned())),
            ("deployment.apps/web", TargetError::Type("deployment.apps".to_owned())),
            ("/web", TargetError::Type(String::new())),
            ("pod/a/b", TargetError::Slash),
        ] {
            assert_eq!(text.parse::<PodName>(), Err(expected), "{text:?}");
        }
    }
}
