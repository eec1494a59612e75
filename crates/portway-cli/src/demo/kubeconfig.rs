use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// A kubeconfig in a file, for as long as the demo stays; where the user wants it, it is left.
#[derive(Debug)]
pub(super) struct Kubeconfig {
    path: PathBuf,
    ours: bool,
}

impl Kubeconfig {
    /// Writes it to where it is wanted, or else among the temporary files.
    pub(super) fn write(content: &str, wanted: Option<&Path>) -> Result<Self, Failure> {
        let name = format!("portway-demo-{}.kubeconfig", std::process::id());
        let path = wanted.map_or_else(|| std::env::temp_dir().join(name), Path::to_owned);
        let written = match wanted {
            Some(_) => File::create(&path),
            // Nobody else may have put something there for us to write to.
            None => OpenOptions::new().write(true).create_new(true).open(&path),
        };
        let written: io::Result<()> =
            written.and_then(|mut file| file.write_all(content.as_bytes()));
        written.map_err(|error| {
            Failure::new(format_args!("cannot write the kubeconfig {}: {error}", path.display()))
        })?;
        Ok(Self { path, ours: wanted.is_none() })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Kubeconfig {
    fn drop(&mut self) {
        if self.ours {
            // Somebody may have tidied up.
            let _ = fs::remove_file(&self.path);
        }
    }
}
