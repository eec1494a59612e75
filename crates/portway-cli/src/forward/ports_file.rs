use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use tempfile::Builder;

use super::open::Opened;
use super::ports::OpenPort;
use crate::failure::Failure;

/// A file that says which ports are open, for as long as they are.
#[derive(Debug)]
pub(super) struct PortsFile {
    path: PathBuf,
}

/// What stands in it.
#[derive(Debug, Serialize)]
struct Content<'a> {
    /// Of this process.
    pid: u32,
    forwards: Vec<Entry<'a>>,
}

#[derive(Debug, Serialize)]
struct Entry<'a> {
    forward: &'a str,
    namespace: &'a str,
    target: &'a str,
    ports: &'a [OpenPort],
}

impl PortsFile {
    /// Writes it beside its place and moves it there, so that nobody reads half of it.
    pub(super) fn write(path: &Path, opened: &[Opened]) -> Result<Self, Failure> {
        let forwards = opened
            .iter()
            .map(|opened| Entry {
                forward: &opened.forward,
                namespace: &opened.namespace,
                target: &opened.target,
                ports: &opened.ports,
            })
            .collect();
        let content = Content { pid: std::process::id(), forwards };
        write(path, &content).map_err(|error| {
            Failure::new(format_args!("cannot write the ports file {}: {error}", path.display()))
        })?;
        Ok(Self { path: path.to_owned() })
    }
}

impl Drop for PortsFile {
    fn drop(&mut self) {
        // Somebody may have tidied up.
        let _ = std::fs::remove_file(&self.path);
    }
}

fn write(path: &Path, content: &Content<'_>) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut file =
        Builder::new().prefix(".portway").tempfile_in(folder.unwrap_or_else(|| Path::new(".")))?;
    serde_json::to_writer_pretty(&mut file, content)?;
    writeln!(file)?;
    file.persist(path)?;
    Ok(())
}
