use clap::{Args, Command};
use clap_mangen::Man;

/// `portway man [COMMAND]`
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// The command of portway that the page is about; portway itself if not said
    command: Option<String>,
}

impl ManArgs {
    /// The manual page, which says what `--help` says; nothing if there is no such command.
    pub(crate) fn of(&self, command: &mut Command) -> Option<String> {
        command.build();
        let about = match &self.command {
            Some(name) => command.find_subcommand(name)?,
            None => command,
        };
        let mut page = Vec::new();
        // Into memory, where nothing goes wrong.
        let _ = Man::new(about.clone()).manual("portway").render(&mut page);
        Some(String::from_utf8_lossy(&page).into_owned())
    }
}
