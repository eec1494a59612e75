use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// Why a kubeconfig does not lead to a server.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum KubeconfigError {
    /// There is none.
    #[error("there is no kubeconfig{}; name one in KUBECONFIG", at(.looked_at))]
    Missing {
        /// Where it was looked for.
        looked_at: Vec<PathBuf>,
    },
    /// A file cannot be read.
    #[error("cannot read the kubeconfig {}: {source}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// A file is no kubeconfig.
    #[error("{} is no kubeconfig: {problem}", file.display())]
    Yaml {
        /// The file.
        file: PathBuf,
        /// What is wrong with it, and where.
        problem: String,
    },
    /// No context is named, and there is no current one.
    #[error("the kubeconfig has no current context; of contexts it has {}", all(.known))]
    NoContext {
        /// Those that there are.
        known: Vec<String>,
    },
    /// A name leads nowhere.
    #[error("there is no {what} {name:?} in the kubeconfig; there is {}", all(.known))]
    Unknown {
        /// What was looked for: a context, a cluster, a user.
        what: &'static str,
        /// By which name.
        name: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// Something in it cannot be used.
    #[error("{}, context {context:?}, {field}: {problem}", file.display())]
    Field {
        /// The file that has it.
        file: PathBuf,
        /// The context that leads there.
        context: String,
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// Something in it is not supported.
    #[error("{}, context {context:?}, {field}: {instead}", file.display())]
    Unsupported {
        /// The file that has it.
        file: PathBuf,
        /// The context that leads there.
        context: String,
        /// The field.
        field: &'static str,
        /// What to do instead.
        instead: &'static str,
    },
    /// This is no pod.
    #[error("this is no pod of a cluster: {variable} is not set")]
    NotInCluster {
        /// What a pod has in its environment.
        variable: &'static str,
    },
    /// This pod has no account.
    #[error("cannot read the pod's service account from {}: {source}; is it mounted?", file.display())]
    ServiceAccount {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// The account of this pod cannot be used.
    #[error("cannot use the pod's service account: {problem}")]
    BadServiceAccount {
        /// What is wrong with it.
        problem: String,
    },
}

fn at(places: &[PathBuf]) -> String {
    let places: Vec<_> = places.iter().map(|place| place.display().to_string()).collect();
    if places.is_empty() { String::new() } else { format!(" at {}", places.join(" or ")) }
}

fn all(names: &[String]) -> String {
    const SHOWN: usize = 20;
    if names.is_empty() {
        return "none".to_owned();
    }
    let mut shown: Vec<_> = names.iter().take(SHOWN).map(|name| format!("{name:?}")).collect();
    if names.len() > SHOWN {
        shown.push(format!("{} more", names.len() - SHOWN));
    }
    shown.join(", ")
}
