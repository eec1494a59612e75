#![cfg(unix)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use portway_testcluster::{Lie, Program, Workload};
use rustix::process::{Pid, Signal, kill_process};

use crate::cluster::{Cluster, expect_echo};
use crate::pane::Pane;
use crate::process::PATIENCE;

/// A cluster whose deployment `shop` has one pod with an echo.
fn shop() -> (Cluster, Workload) {
    let cluster = Cluster::start();
    let shop = cluster.deployment("shop", 1).port("echo", 7, Program::echo()).create();
    (cluster, shop)
}

/// Forwards to the echo in a terminal, and waits for the live lines.
fn start(pane: &Pane, cluster: &Cluster, args: &str) -> SocketAddr {
    let server = cluster.url();
    pane.portway(&format!("deploy/shop :7 --address 127.0.0.1 --server {server} {args}"));
    let screen = pane.wait("live lines", |screen| live(screen).is_some());
    local(&screen)
}

/// Until the prompt is at the bottom.
fn fill(pane: &Pane) {
    pane.type_line("seq 40");
    pane.wait("forty lines", |screen| screen.ends_with(&["40".to_owned(), "$".to_owned()]));
}

fn local(screen: &[String]) -> SocketAddr {
    let mut lines = screen.iter().filter_map(|line| line.strip_prefix("Forwarding from "));
    lines.next().unwrap().strip_suffix(" -> 7").unwrap().parse().unwrap()
}

/// The header and the line of the forward, if these are the last lines, and the only ones of their kind.
fn live(screen: &[String]) -> Option<(&str, &str)> {
    let headers = screen.iter().filter(|line| line.starts_with("FORWARD")).count();
    let [.., header, line] = screen else { return None };
    let is_right = headers == 1 && header.starts_with("FORWARD") && line.starts_with("deploy/shop");
    is_right.then_some((header, line))
}

/// What stands in the column with this title, which must be there.
fn cell(screen: &[String], title: &str) -> Option<String> {
    let (header, line) = live(screen)?;
    let at = header.find(title)?;
    let end = header[at..].find("  ").map(|gap| {
        let rest = &header[at + gap..];
        at + gap + rest.len() - rest.trim_start().len()
    });
    let cell = line.chars().take(end.unwrap_or(usize::MAX)).skip(at);
    Some(cell.collect::<String>().trim().to_owned())
}

fn shows(screen: &[String], title: &str, cell_is: &str) -> bool {
    cell(screen, title).is_some_and(|cell| cell == cell_is)
}

fn connect(local: SocketAddr) -> TcpStream {
    let program = TcpStream::connect(local).unwrap();
    program.set_read_timeout(Some(PATIENCE)).unwrap();
    program
}

fn echoes(program: &mut TcpStream) {
    program.write_all(b"ping").unwrap();
    let mut back = [0; 4];
    program.read_exact(&mut back).unwrap();
    assert_eq!(&back, b"ping");
}

/// A line of the screen and of what has scrolled off, however it was wrapped.
fn said(pane: &Pane, text: &str) -> bool {
    pane.history().iter().any(|line| line.contains(text))
}

#[test]
fn the_screen_stays_right_whatever_happens() {
    let Some(pane) = Pane::open(110, 24) else { return };
    let (cluster, shop) = shop();
    // A terminal that has been used. What one pushes off its top as it becomes narrower is lost to it.
    fill(&pane);
    let local = start(&pane, &cluster, "");
    pane.wait("where it leads", |screen| {
        shows(screen, "POD", shop.pods()[0].name()) && shows(screen, "WIRE", "tunnel")
    });
    assert!(!pane.has_cursor());

    // Narrower and wider, once in one step and once as a hand does it.
    for widths in [&[40, 110][..], &[100, 70, 52, 40, 64, 110]] {
        for width in widths {
            pane.resize(*width, 24);
        }
        pane.resize(40, 24);
        pane.wait("a narrow screen", |screen| {
            let narrow = "FORWARD      OPEN  UP/S    DOWN/S";
            live(screen).is_some_and(|(header, _)| header.starts_with(narrow))
                && screen.iter().all(|line| line.chars().count() <= 40)
        });
        pane.resize(110, 24);
        pane.wait("a wide screen", |screen| shows(screen, "TOTAL", "0"));
    }

    // Bytes while they move, and after.
    let pod = shop.pods()[0].clone();
    let mut program = connect(local);
    echoes(&mut program);
    pane.wait("an open connection", |screen| {
        shows(screen, "OPEN", "1") && shows(screen, "UP", "4") && shows(screen, "DOWN", "4")
    });
    expect_echo(local, 3 << 20);
    let screen = pane.wait("what has moved", |screen| shows(screen, "DOWN", "3.0Mi"));
    assert!(shows(&screen, "TOTAL", "2") && shows(&screen, "UP", "3.0Mi"), "{screen:#?}");
    assert!(!shows(&screen, "DOWN/S", "0"), "{screen:#?}");
    assert!(shows(&screen, "POD", pod.name()) && shows(&screen, "WIRE", "tunnel"), "{screen:#?}");
    pane.wait("an end of it", |screen| shows(screen, "OPEN", "1") && shows(screen, "DOWN/S", "0"));

    // A pod that goes, in the middle of a connection, and one in its place.
    pod.delete();
    let next = shop.pods()[0].clone();
    assert_ne!(next.name(), pod.name());
    pane.wait("the next pod", |screen| shows(screen, "POD", next.name()));
    drop(program);
    expect_echo(local, 1_000);
    let lost = format!("lost pod {}: ", pod.name());
    assert!(said(&pane, &lost), "{:#?}", pane.history());
    assert!(said(&pane, &format!("connections go to pod {}", next.name())));

    // A port that is refused: a note above, and the cause in the line.
    next.lie(Lie::Refuses);
    assert!(connect(local).read(&mut [0]).is_err());
    let refused = |screen: &[String]| {
        cell(screen, "LAST ERROR").is_some_and(|cell| cell.ends_with("refused"))
    };
    pane.wait("a refusal", refused);
    assert!(said(&pane, "connection refused"), "{:#?}", pane.history());
    next.tell_the_truth();
    expect_echo(local, 1_000);
    pane.wait("a connection more", |screen| shows(screen, "TOTAL", "5") && refused(screen));
    assert!(!said(&pane, "Handling connection"), "the count says it");

    // An end that leaves the lines, and the shell as it was.
    pane.key("C-c");
    let screen = pane.wait_for_prompt();
    let (_, above) = screen.split_last().unwrap();
    assert!(shows(above, "TOTAL", "5") && shows(above, "OPEN", "0"), "{screen:#?}");
    assert!(pane.has_cursor());
    pane.type_line("echo code $?");
    pane.wait("its exit code", |screen| screen.contains(&"code 0".to_owned()));
    let headers = pane.history().iter().filter(|line| line.starts_with("FORWARD")).count();
    assert_eq!(headers, 1, "{:#?}", pane.history());
}

#[test]
fn a_full_screen_scrolls_above_the_live_lines() {
    let Some(pane) = Pane::open(110, 8) else { return };
    let (cluster, shop) = shop();
    let local = start(&pane, &cluster, "");
    shop.pods()[0].lie(Lie::Refuses);
    for _ in 0..30 {
        assert!(connect(local).read(&mut [0]).is_err());
    }
    pane.wait("all of them", |screen| shows(screen, "TOTAL", "30") && shows(screen, "OPEN", "0"));
    for number in 1..=30 {
        let name = format!("connection {number} ({local} -> 7): ");
        let notes = pane.history().iter().filter(|line| line.starts_with(&name)).count();
        assert_eq!(notes, 1, "{name}\n{:#?}", pane.history());
    }
    pane.resize(40, 8);
    pane.resize(110, 12);
    pane.wait("a wide screen", |screen| shows(screen, "TOTAL", "30"));
    pane.key("C-c");
    pane.wait_for_prompt();
}

#[test]
#[cfg(target_os = "linux")]
fn every_end_gives_the_cursor_back() {
    let Some(pane) = Pane::open(110, 24) else { return };
    let (cluster, _shop) = shop();
    let ends = [(&[Signal::INT][..], 0), (&[Signal::TERM], 0), (&[Signal::INT, Signal::TERM], 143)];
    for (signals, code) in ends {
        pane.clear();
        let local = start(&pane, &cluster, "");
        // Which holds the end up for two seconds.
        let mut program = connect(local);
        echoes(&mut program);
        pane.wait("a connection", |screen| shows(screen, "OPEN", "1"));
        let process = Pid::from_raw(i32::try_from(pane.process()).unwrap()).unwrap();
        for signal in signals {
            kill_process(process, *signal).unwrap();
            // Until it has been heard.
            while TcpStream::connect(local).is_ok() {
                std::thread::yield_now();
            }
        }
        pane.wait_for_prompt();
        assert!(pane.has_cursor());
        pane.type_line("echo code $?");
        pane.wait("its exit code", |screen| screen.contains(&format!("code {code}")));
    }
}

#[test]
fn an_error_has_the_last_word() {
    let Some(pane) = Pane::open(110, 24) else { return };
    let (cluster, shop) = shop();
    let local = start(&pane, &cluster, "--reconnect off");
    expect_echo(local, 10);
    pane.wait("a connection", |screen| shows(screen, "TOTAL", "1"));
    shop.pods()[0].delete();
    let screen = pane.wait_for_prompt();
    let [.., header, line, error, _] = &screen[..] else { panic!("{screen:#?}") };
    assert!(header.starts_with("FORWARD") && line.starts_with("deploy/shop"), "{screen:#?}");
    assert_eq!(error, "error: lost connection to pod");
    assert!(pane.has_cursor());
}

#[test]
fn who_stops_it_gets_a_shell_and_who_goes_on_gets_the_screen() {
    let Some(pane) = Pane::open(110, 24) else { return };
    let (cluster, shop) = shop();
    let local = start(&pane, &cluster, "");
    pane.key("C-z");
    let screen = pane.wait_for_prompt();
    assert!(live(&screen).is_none() && !screen.iter().any(|line| line.starts_with("FORWARD")));
    assert!(pane.has_cursor());
    pane.type_line("echo in between");
    pane.wait_for_prompt();
    pane.type_line("fg");
    pane.wait("the screen", |screen| shows(screen, "TOTAL", "0"));
    assert!(!pane.has_cursor());
    expect_echo(local, 10);
    pane.wait("a connection", |screen| shows(screen, "TOTAL", "1"));

    // In the background the shell has the terminal.
    pane.key("C-z");
    pane.wait_for_prompt();
    pane.type_line("clear; bg");
    pane.wait_for_prompt();
    shop.pods()[0].lie(Lie::Refuses);
    assert!(connect(local).read(&mut [0]).is_err());
    let screen = pane.wait("a note", |screen| screen.concat().contains("connection refused"));
    assert!(!screen.iter().any(|line| line.starts_with("FORWARD")), "{screen:#?}");
    assert!(pane.has_cursor());
    pane.type_line("fg");
    pane.wait("the screen", |screen| shows(screen, "TOTAL", "2"));
    pane.key("C-c");
    pane.wait_for_prompt();
}

#[test]
fn a_terminal_that_takes_nothing_holds_nothing_up() {
    let Some(pane) = Pane::open(110, 24) else { return };
    let (cluster, _shop) = shop();
    // Every connection has a lot to say.
    let local = start(&pane, &cluster, "-v");
    pane.key("C-s");
    // More than anybody keeps.
    for _ in 0..1_500 {
        echoes(&mut connect(local));
    }
    pane.key("C-q");
    pane.wait("all of them", |screen| shows(screen, "TOTAL", "1500"));
    assert!(said(&pane, " lines came too fast to be shown"));
    pane.key("C-s");
    // A terminal lets go of its output for an interrupt.
    pane.key("C-c");
    pane.wait_for_prompt();
    assert!(pane.has_cursor());
}

#[test]
fn diagnostics_scroll_above_the_live_lines() {
    let Some(pane) = Pane::open(110, 24) else { return };
    let (cluster, _shop) = shop();
    fill(&pane);
    let local = start(&pane, &cluster, "-v");
    for _ in 0..5 {
        echoes(&mut connect(local));
    }
    pane.wait("all of them", |screen| shows(screen, "TOTAL", "5") && shows(screen, "OPEN", "0"));
    assert!(said(&pane, "DEBUG"), "{:#?}", pane.history());
    // Written over a live line, one would leave its end.
    for once in ["FORWARD  ", "deploy/shop  ", "WIRE", "tunnel"] {
        let lines = pane.history().iter().filter(|line| line.contains(once)).count();
        assert_eq!(lines, 1, "{once}: {:#?}", pane.history());
    }
    pane.key("C-c");
    pane.wait_for_prompt();
}

/// Where a frame stands at the very top, what is cleared is not to be kept as if it had scrolled off.
#[test]
fn frames_leave_no_copies_behind() {
    let Some(pane) = Pane::open(110, 24) else { return };
    let (cluster, _shop) = shop();
    let local = start(&pane, &cluster, "");
    for width in [70, 40] {
        pane.resize(width, 24);
        pane.wait("a narrower screen", |screen| {
            live(screen).is_some() && screen.iter().all(|line| line.chars().count() <= width)
        });
    }
    pane.resize(110, 24);
    for total in 1..=10 {
        expect_echo(local, 10);
        pane.wait("one more", |screen| shows(screen, "TOTAL", &total.to_string()));
    }
    // Those that the terminal itself has pushed off are two at most: one for each time.
    let headers = pane.history().iter().filter(|line| line.starts_with("FORWARD")).count();
    assert!(headers <= 3, "{:#?}", pane.history());
}

#[test]
fn there_is_none_of_it_for_who_asks_for_none() {
    let Some(pane) = Pane::open(110, 24) else { return };
    let (cluster, _shop) = shop();
    let server = cluster.url();
    let program = env!("CARGO_BIN_EXE_portway");
    let forward = format!("{program} deploy/shop :7 --address 127.0.0.1 --server {server}");
    for (line, word) in [
        (format!("NO_COLOR=1 {forward}"), "Handling connection for "),
        (format!("TERM=dumb {forward}"), "Handling connection for "),
        (format!("TERM= {forward}"), "Handling connection for "),
        (format!("{forward} 2>/dev/null"), "Handling connection for "),
        (format!("{forward} | cat"), "Handling connection for "),
        (format!("{forward} -o json"), "\"event\":\"accepted\""),
    ] {
        pane.clear();
        pane.type_line(&line);
        let local = |screen: &[String]| {
            let text = screen.concat();
            let marks = ["Forwarding from 127.0.0.1:", "\"local\":\"127.0.0.1:"];
            let (_, port) = marks.iter().find_map(|mark| text.split_once(mark))?;
            let digits: String = port.chars().take_while(char::is_ascii_digit).collect();
            digits.parse::<u16>().ok()
        };
        let screen = pane.wait("a local port", |screen| local(screen).is_some());
        expect_echo(([127, 0, 0, 1], local(&screen).unwrap()).into(), 10);
        let screen = pane.wait("a word", |screen| screen.concat().contains(word));
        assert!(!screen.iter().any(|line| line.starts_with("FORWARD")), "{line}: {screen:#?}");
        assert!(pane.has_cursor(), "{line}");
        pane.key("C-c");
        pane.wait_for_prompt();
    }
}

/// An idle forward costs nothing, on a terminal too: no redraw, and no look whether one is due.
#[test]
#[cfg(target_os = "linux")]
fn nobody_is_woken_while_nothing_happens() {
    use std::time::{Duration, Instant};

    let Some(pane) = Pane::open(110, 24) else { return };
    let (cluster, _shop) = shop();
    let local = start(&pane, &cluster, "");
    let mut program = connect(local);
    echoes(&mut program);
    pane.wait("calm", |screen| shows(screen, "OPEN", "1") && shows(screen, "DOWN/S", "0"));
    let wakeups = || -> u64 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", pane.process())).unwrap();
        let status = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("status"));
        let counts = tasks.map(|task| {
            let status = status(task.unwrap()).unwrap();
            let count =
                status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            count.unwrap().trim().parse::<u64>().unwrap()
        });
        counts.sum()
    };
    // The quietest of a few seconds: keep-alives and watches have their own.
    let quietest = (0..5).map(|_| {
        let (before, until) = (wakeups(), Instant::now() + Duration::from_secs(1));
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            std::thread::sleep(left);
        }
        wakeups() - before
    });
    assert_eq!(quietest.min(), Some(0));
}
