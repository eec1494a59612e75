use clap::{Args, Command};
use clap_complete::Shell;

/// `portway completions SHELL`
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// For which shell
    shell: Shell,
}

impl CompletionsArgs {
    /// The script that completes a command.
    pub(crate) fn of(&self, command: &mut Command) -> String {
        let name = command.get_name().to_owned();
        let mut script = Vec::new();
        clap_complete::generate(self.shell, command, name, &mut script);
        String::from_utf8_lossy(&script).into_owned()
    }
}
