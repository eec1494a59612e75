//! Stands between a client and a server by hand, and prints what the client's next forward carried, in the
//! format of `tests/transcripts`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "what it is for")]

use std::env;
use std::process::ExitCode;
use std::time::Duration;

use portway_interop::Recorder;

/// For as long as somebody types.
const PATIENCE: Duration = Duration::from_secs(60 * 60);

fn main() -> ExitCode {
    let args: Vec<_> = env::args().skip(1).collect();
    let [server] = &args[..] else {
        eprintln!("usage: record SERVER, such as 127.0.0.1:8001 (plain HTTP)");
        return ExitCode::FAILURE;
    };
    let server = match server.parse() {
        Ok(server) => server,
        Err(error) => {
            eprintln!("record: {server:?} is no address: {error}");
            return ExitCode::FAILURE;
        }
    };
    let recorder = Recorder::start(server);
    eprintln!(
        "record: point the client at {}; its transcript follows when it ends",
        recorder.server()
    );
    for text in recorder.transcripts(1, PATIENCE) {
        print!("{text}");
    }
    ExitCode::SUCCESS
}
