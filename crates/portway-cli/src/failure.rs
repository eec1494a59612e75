use std::fmt;
use std::io::IsTerminal;
use std::process::ExitCode;

use crate::output;

/// Why a command ends with an exit code that is not 0: one line for the user.
#[derive(Debug)]
pub(crate) struct Failure {
    text: String,
    /// Lines for who sits at a terminal.
    advice: Option<String>,
    code: u8,
}

impl Failure {
    /// What was asked for does not work: exit code 1.
    pub(crate) fn new(error: impl fmt::Display) -> Self {
        Self { text: error.to_string(), advice: None, code: 1 }
    }

    /// What was asked for makes no sense: exit code 2.
    pub(crate) fn usage(error: impl fmt::Display) -> Self {
        Self { text: error.to_string(), advice: None, code: 2 }
    }

    /// With another exit code.
    pub(crate) fn with_code(self, code: u8) -> Self {
        Self { code, ..self }
    }

    /// With lines that say what to do, for who sits at a terminal.
    pub(crate) fn with_advice(self, advice: String) -> Self {
        Self { advice: Some(advice), ..self }
    }

    /// Says it, and how the process ends.
    pub(crate) fn report(self) -> ExitCode {
        output::error(self.text);
        if let Some(advice) = self.advice.filter(|_| std::io::stderr().is_terminal()) {
            output::advice(&advice);
        }
        ExitCode::from(self.code)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
