use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};

use crate::process::{Ended, command, run};

const SHELLS: [&str; 5] = ["bash", "elvish", "fish", "powershell", "zsh"];

fn print(args: &str) -> String {
    let Ended { code, stdout, stderr } = run(args);
    assert_eq!((code, stderr), (Some(0), vec![]), "{args}");
    stdout.join("\n") + "\n"
}

/// All long flags that `--help` of these shows.
fn flags(helps: &[&str]) -> BTreeSet<String> {
    let helps: String = helps.iter().map(|help| print(help)).collect();
    let shown = helps.lines().filter(|line| line.trim_start().starts_with('-'));
    let words = shown.flat_map(|line| line.split([' ', ',', '[', '=', '.']));
    let flags: BTreeSet<_> =
        words.filter_map(|word| word.strip_prefix("--")).map(str::to_owned).collect();
    assert!(flags.len() >= 5, "{flags:?}");
    flags
}

/// What a program says when it is fed `text`, or nothing if there is no such program here.
fn pipe(program: &str, args: &[&str], text: &str) -> Option<(bool, String)> {
    let child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.ok()?;
    let mut stdin = child.stdin.take().unwrap();
    let text = text.to_owned();
    let writing = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writing.join().unwrap().unwrap();
    let said = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
}

#[test]
fn every_shell_completes_every_flag() {
    let flags = flags(&["--help", "demo --help"]);
    for shell in SHELLS {
        let script = print(&format!("completions {shell}"));
        for flag in &flags {
            // fish leaves the hyphens to itself.
            let spelled = if shell == "fish" { format!("-l {flag}") } else { format!("--{flag}") };
            assert!(script.contains(&spelled), "{shell}: {flag}");
        }
        for word in ["demo", "schema", "completions", "man"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
}

#[test]
fn shells_can_read_what_completes_for_them() {
    for (shell, program, args) in [
        ("bash", "bash", &["-n"][..]),
        ("zsh", "zsh", &["-n"]),
        ("fish", "fish", &["--no-execute"]),
    ] {
        let script = print(&format!("completions {shell}"));
        if let Some((good, said)) = pipe(program, args, &script) {
            assert!(good && said.is_empty(), "{shell}: {said}");
        }
    }
}

#[test]
fn bash_completes_a_flag_and_a_command() {
    let script = print("completions bash");
    for (word, expected) in [("--half", "--half-close"), ("sch", "schema")] {
        let ask = format!(
            "{script}\nCOMP_WORDS=(portway {word}); COMP_CWORD=1; _portway portway {word} portway; echo \"${{COMPREPLY[*]}}\"\n"
        );
        if let Some((_, said)) = pipe("bash", &["--norc"], &ask) {
            assert_eq!(said.trim(), expected);
        }
    }
}

#[test]
fn the_manual_page_has_every_flag_and_every_command() {
    for (page, helps) in [("man", &["--help"][..]), ("man demo", &["demo --help"])] {
        let text = print(page);
        let plain = text.replace('\\', "");
        for flag in flags(helps) {
            assert!(plain.contains(&format!("--{flag}")), "{page}: {flag}");
        }
        assert!(text.starts_with(".ie") && text.contains(".TH portway"), "{page}: {text:.80}");
        // Everything that is wrong with it is said on stderr.
        if let Some((good, said)) = pipe("groff", &["-man", "-Tutf8", "-ww", "-z"], &text) {
            assert!(good && said.is_empty(), "{page}: {said}");
        }
    }
    let main = print("man");
    for command in ["demo", "schema", "completions", "man"] {
        assert!(main.contains(&format!("portway\\-{command}(1)")), "{command}");
    }
    run("man nothing").expect_error(2, "error: portway has no such command (see portway --help)");
}

#[test]
fn the_schema_is_json_of_its_own() {
    let schema: serde_json::Value = serde_json::from_str(&print("schema")).unwrap();
    assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
    assert_eq!(print("schema"), include_str!("../../../../docs/forwards.schema.json"));
}

#[cfg(target_os = "linux")]
#[test]
fn what_cannot_be_written_is_not_passed_over() {
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let child = command("schema").stdout(full).spawn().unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        said,
        "error: cannot write to standard output: No space left on device (os error 28)\n"
    );
    assert_eq!(output.status.code(), Some(1));
}
