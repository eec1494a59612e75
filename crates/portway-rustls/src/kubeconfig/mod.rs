//! What is known of clusters without asking anybody: kubeconfig files, and the account of a pod.

mod access;
mod choice;
mod error;
mod file;

use std::collections::HashSet;
use std::env;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use access::ClusterAccess;
pub use choice::Choice;
pub use error::KubeconfigError;

use file::{Cluster, Context, File, Named, User};

/// What kubeconfig files say, put together as kubectl does: of several entries of one name the first
/// counts, and so does the first current context.
///
/// Credentials that are in the files or in files that they name are understood: certificates and keys,
/// tokens. A program that has to be run for them (`exec`) is not; the feature `kube` of portway does that.
///
/// ```no_run
/// # fn server(rt: portway_smol::Smol) -> Result<(), Box<dyn std::error::Error>> {
/// use portway_rustls::{Choice, Kubeconfig};
///
/// let access = Kubeconfig::load()?.choose(&Choice::new().with_context("staging"))?;
/// println!("in namespace {}", access.namespace());
/// let server = access.server(rt)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Kubeconfig {
    files: Vec<PathBuf>,
    current_context: Option<String>,
    clusters: Vec<Found<Cluster>>,
    users: Vec<Found<User>>,
    contexts: Vec<Found<Context>>,
}

/// An entry, and the file that it is from.
#[derive(Clone)]
struct Found<T> {
    file: Arc<Path>,
    name: String,
    entry: T,
}

impl Kubeconfig {
    /// The files of the environment variable `KUBECONFIG`, or else `.kube/config` in the home folder. Of
    /// several files some may be missing.
    ///
    /// # Errors
    /// There is no file, or one cannot be read.
    pub fn load() -> Result<Self, KubeconfigError> {
        Self::from_files(places(env::var_os("KUBECONFIG"), env::home_dir()))
    }

    /// These files, the first first. Of several some may be missing.
    ///
    /// # Errors
    /// There is no file, or one cannot be read.
    pub fn from_files(
        paths: impl IntoIterator<Item = impl Into<PathBuf>>,
    ) -> Result<Self, KubeconfigError> {
        let mut config = Self::default();
        let mut missing = Vec::new();
        for path in paths {
            let path = path.into();
            match std::fs::read_to_string(&path) {
                Ok(text) => config.add(&path, &text)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => missing.push(path),
                Err(source) => {
                    return Err(KubeconfigError::Read { file: path, source: Arc::new(source) });
                }
            }
        }
        if config.files.is_empty() {
            return Err(KubeconfigError::Missing { looked_at: missing });
        }
        Ok(config)
    }

    /// The names of all contexts, in their order.
    pub fn contexts(&self) -> impl Iterator<Item = &str> {
        self.contexts.iter().map(|context| context.name.as_str())
    }

    /// The context that is meant where none is named.
    pub fn current_context(&self) -> Option<&str> {
        self.current_context.as_deref()
    }

    fn add(&mut self, path: &Path, text: &str) -> Result<(), KubeconfigError> {
        let parsed = yaml_serde::from_str::<Option<File>>(text);
        let file = parsed.map_err(|error| KubeconfigError::Yaml {
            file: path.to_owned(),
            problem: error.to_string(),
        })?;
        let File { current_context, clusters, users, contexts } = file.unwrap_or_default();
        let current_context = current_context.filter(|name| !name.is_empty());
        self.current_context = self.current_context.take().or(current_context);
        let path: Arc<Path> = path.into();
        add_named(&mut self.clusters, &path, clusters);
        add_named(&mut self.users, &path, users);
        add_named(&mut self.contexts, &path, contexts);
        self.files.push(path.to_path_buf());
        Ok(())
    }
}

fn add_named<T: Default>(
    found: &mut Vec<Found<T>>,
    path: &Arc<Path>,
    named: Option<Vec<Named<T>>>,
) {
    for Named { name, entry } in named.unwrap_or_default() {
        if !found.iter().any(|known| known.name == name) {
            let entry = entry.unwrap_or_default();
            found.push(Found { file: Arc::clone(path), name, entry });
        }
    }
}

/// Where to look: the same place only once.
fn places(variable: Option<OsString>, home: Option<PathBuf>) -> Vec<PathBuf> {
    let Some(list) = variable.filter(|list| !list.is_empty()) else {
        return home.map(|home| home.join(".kube/config")).into_iter().collect();
    };
    let mut seen = HashSet::new();
    let named = env::split_paths(&list).filter(|path| !path.as_os_str().is_empty());
    named.filter(|path| seen.insert(path.clone())).collect()
}

impl fmt::Debug for Kubeconfig {
    /// Without what is secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kubeconfig")
            .field("files", &self.files)
            .field("current_context", &self.current_context)
            .field("contexts", &self.contexts().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kubeconfig_names_files_and_the_home_folder_is_for_when_it_does_not() {
        let home = || Some(PathBuf::from("/home/jane"));
        assert_eq!(places(None, home()), [PathBuf::from("/home/jane/.kube/config")]);
        assert_eq!(places(Some("".into()), home()), [PathBuf::from("/home/jane/.kube/config")]);
        let list = env::join_paths(["/a", "", "/b", "/a"]).unwrap();
        assert_eq!(places(Some(list), home()), [PathBuf::from("/a"), PathBuf::from("/b")]);
        assert_eq!(places(None, None), Vec::<PathBuf>::new());
    }
}
