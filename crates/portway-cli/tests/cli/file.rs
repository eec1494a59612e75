use std::fs::File;
use std::process::Stdio;

use crate::cluster::{Cluster, expect_echo};
use crate::process::{Portway, command, run};

/// A folder with these files, and `-f` for each.
fn files(texts: &[(&str, &str)]) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let args = texts.iter().map(|(name, text)| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        format!(" -f {}", path.display())
    });
    let args = args.collect();
    (folder, args)
}

#[test]
fn a_file_is_forwarded_as_its_words_would_be() {
    let cluster = Cluster::start();
    let (_folder, args) = files(&[
        ("one.yaml", "forwards:\n- {name: one, target: pod/web, ports: [':80', '0:80']}\n"),
        ("two.yaml", "forwards:\n- {target: web, ports: [':80'], addresses: [127.0.0.1]}\n"),
    ]);
    let portway = Portway::start(&format!("--server {} --address 127.0.0.1{args}", cluster.url()));
    for _ in 0..3 {
        expect_echo(portway.forwarding(80), 100_000);
    }
}

#[test]
fn only_what_is_picked_is_opened() {
    let cluster = Cluster::start();
    let text = "defaults: {addresses: [127.0.0.1]}\nforwards:\n- {name: none, target: pod/none, ports: [':80']}\n- {name: web, target: pod/web, ports: [':80']}\n";
    let (_folder, args) = files(&[("one.yaml", text)]);
    let portway = Portway::start(&format!("--server {} --only web{args}", cluster.url()));
    expect_echo(portway.forwarding(80), 1_000);
}

#[test]
fn standard_input_can_be_the_file() {
    let cluster = Cluster::start();
    let text = "forwards: [{selector: app=web, ports: [':http'], addresses: [127.0.0.1]}]";
    let (folder, _) = files(&[("piped", text)]);
    let piped = File::open(folder.path().join("piped")).unwrap();
    let portway = Portway::spawn(
        command(&format!("--server {} -f -", cluster.url())).stdin(Stdio::from(piped)),
    );
    expect_echo(portway.forwarding(80), 1_000);
}

#[test]
fn every_mistake_is_a_line_of_its_own() {
    let (folder, args) = files(&[(
        "bad.yaml",
        "forwards:\n- {target: a/b, ports: [80]}\n- {target: web, ports: [0, 81]}\n",
    )]);
    let ended = run(&args);
    let bad = folder.path().join("bad.yaml");
    assert_eq!(
        ended.stderr,
        [
            format!(
                "error: {}:2:12: cannot forward to 'a/b': nothing can be forwarded to a 'a'; give a pod, service, deployment, replicaset, statefulset, daemonset, job or replicationcontroller",
                bad.display()
            ),
            format!(
                "error: {}:3:25: cannot forward port '0': remote port must be > 0; only a local port can be 0, for a free one",
                bad.display()
            ),
        ]
    );
    assert_eq!((ended.code, ended.stdout.len()), (Some(2), 0));
}

#[test]
fn a_file_that_cannot_be_read_is_told_as_that() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("none.yaml");
    run(&format!("-f {}", missing.display())).expect_error(
        2,
        &format!(
            "error: cannot read {}: No such file or directory (os error 2)",
            missing.display()
        ),
    );
    run("-f - -f -")
        .expect_error(2, "error: standard input is to be read twice; leave one '-f -' out");
    run("-f -").expect_error(
        2,
        "error: <stdin>:1:1: there is nothing in it; a file of forwards has a list 'forwards:'",
    );
    #[cfg(target_os = "linux")]
    run("-f /dev/zero").expect_error(
        2,
        "error: /dev/zero has more than 1 MiB, which is no file of forwards; split it, or look at what it is",
    );
}

#[test]
fn a_file_stands_in_place_of_words() {
    run("-f a.yaml web 80").expect_error(
        2,
        "error: the argument '--filename <FILE>' cannot be used with '[TARGET [LOCAL:]REMOTE]...' (see portway --help)",
    );
    run("--only a").expect_error(
        2,
        "error: the following required arguments were not provided: --filename <FILE> (see portway --help)",
    );
    run("web 80 --only a").expect_error(
        2,
        "error: the argument '[TARGET [LOCAL:]REMOTE]...' cannot be used with '--only <NAME>' (see portway --help)",
    );
}
