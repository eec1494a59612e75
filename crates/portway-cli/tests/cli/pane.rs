use std::env;
use std::io::{self, Write};
use std::process::{Command, Output};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::process::PATIENCE;

/// A terminal with a shell in it, drawn by tmux. It is closed when dropped.
pub(crate) struct Pane {
    folder: TempDir,
}

impl Pane {
    /// `None`, and it says so, where there is no tmux. With `CI` in the environment that is a failure:
    /// nothing may be skipped there.
    pub(crate) fn open(columns: usize, rows: usize) -> Option<Self> {
        if let Err(why) = Command::new("tmux").arg("-V").output() {
            let why = format!("no tmux: {why}");
            assert!(env::var_os("CI").is_none(), "{why}, and CI skips nothing");
            // Straight to the descriptor: a test harness would keep a print to itself.
            let _ = writeln!(io::stderr(), "SKIPPED: {why}");
            return None;
        }
        let pane = Self { folder: tempfile::tempdir().unwrap() };
        let (columns, rows) = (columns.to_string(), rows.to_string());
        let home = pane.folder.path().display();
        let path = env::var("PATH").unwrap();
        // Nothing of whoever runs the tests.
        let shell = format!("exec env -i HOME={home} PATH='{path}' TERM=screen PS1='$ ' sh");
        pane.tmux(&["-f", "/dev/null", "new-session", "-d", "-x", &columns, "-y", &rows, &shell]);
        pane.wait("a prompt", |screen| screen == ["$"]);
        Some(pane)
    }

    /// Runs portway in it; `args` are for the shell.
    pub(crate) fn portway(&self, args: &str) {
        self.type_line(&format!("{} {args}", env!("CARGO_BIN_EXE_portway")));
    }

    pub(crate) fn type_line(&self, line: &str) {
        self.tmux(&["send-keys", "-l", line]);
        self.key("Enter");
    }

    /// Such as `C-c`.
    pub(crate) fn key(&self, key: &str) {
        self.tmux(&["send-keys", key]);
    }

    pub(crate) fn resize(&self, columns: usize, rows: usize) {
        self.tmux(&["resize-window", "-x", &columns.to_string(), "-y", &rows.to_string()]);
    }

    /// The lines that are on the screen, but for empty ones at its end.
    pub(crate) fn screen(&self) -> Vec<String> {
        lines(&self.tmux(&["capture-pane", "-p"]))
    }

    /// The screen with all that has scrolled off it, lines that were too wide for it in one piece.
    pub(crate) fn history(&self) -> Vec<String> {
        lines(&self.tmux(&["capture-pane", "-p", "-J", "-S", "-"]))
    }

    /// Waits until the screen is as it should be.
    #[track_caller]
    pub(crate) fn wait(&self, what: &str, holds: impl Fn(&[String]) -> bool) -> Vec<String> {
        let late = Instant::now() + PATIENCE;
        loop {
            let screen = self.screen();
            if holds(&screen) {
                return screen;
            }
            assert!(Instant::now() < late, "never: {what}\n{}", screen.join("\n"));
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits for the shell's next prompt, as the last line; perhaps behind the `^C` that was typed.
    #[track_caller]
    pub(crate) fn wait_for_prompt(&self) -> Vec<String> {
        self.wait("a prompt", |screen| screen.last().is_some_and(|line| line.ends_with('$')))
    }

    /// Of a shell that waits for a command.
    pub(crate) fn clear(&self) {
        self.type_line("clear");
        self.wait("an empty screen", |screen| screen == ["$"]);
    }

    pub(crate) fn has_cursor(&self) -> bool {
        self.tmux(&["display-message", "-p", "#{cursor_flag}"]).trim() == "1"
    }

    /// The process that the shell waits for.
    #[cfg(target_os = "linux")]
    pub(crate) fn process(&self) -> u32 {
        let shell = self.tmux(&["display-message", "-p", "#{pane_pid}"]);
        let shell = shell.trim();
        let children = std::fs::read_to_string(format!("/proc/{shell}/task/{shell}/children"));
        children.unwrap().split_whitespace().next().expect("a child").parse().unwrap()
    }

    #[track_caller]
    fn tmux(&self, args: &[&str]) -> String {
        let Output { status, stdout, stderr } = self.run(args).unwrap();
        assert!(status.success(), "tmux {args:?}: {}", String::from_utf8_lossy(&stderr));
        String::from_utf8(stdout).expect("UTF-8")
    }

    fn run(&self, args: &[&str]) -> io::Result<Output> {
        let mut tmux = Command::new("tmux");
        tmux.arg("-u").arg("-S").arg(self.folder.path().join("tmux")).args(args);
        tmux.env_remove("TMUX").output()
    }
}

impl Drop for Pane {
    fn drop(&mut self) {
        let _ = self.run(&["kill-server"]);
    }
}

fn lines(captured: &str) -> Vec<String> {
    let captured = captured.trim_end();
    captured.lines().map(|line| line.trim_end().to_owned()).collect()
}
