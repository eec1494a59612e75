//! A file of forwards: `portway -f forwards.yaml`, of which docs/forwards-file.md tells.

mod document;
mod entry;
mod problem;
mod schema;

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use portway_cluster::Destination;

use self::document::Document;
use self::entry::Forward;
pub(crate) use self::problem::{Place, Problem};
pub(crate) use self::schema::schema;
use super::Wanted;
use crate::near::{did_you_mean, near};

/// A file of forwards takes no more; whoever has so many can split it.
const LIMIT: u64 = 1 << 20;

/// Why files of forwards do not say what is wanted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum FileError {
    #[error("cannot read {file}: {source}")]
    Unreadable { file: Arc<str>, source: std::io::Error },
    #[error(
        "{file} has more than 1 MiB, which is no file of forwards; split it, or look at what it is"
    )]
    Long { file: Arc<str> },
    #[error("standard input is to be read twice; leave one '-f -' out")]
    StdinTwice,
    /// All that is wrong, in the order of the files.
    #[error("{}", Lines(.0))]
    Invalid(Vec<Problem>),
    #[error("no forward is called '{given}'; {hint}")]
    NoSuchName { given: String, hint: String },
}

/// What files want, or those of their forwards that have one of these names if any are given. `new` makes a
/// forward of its name and destination, with what the command line says of all.
///
/// Names are told apart in all files together, local ports only among the forwards that are picked: a file
/// may hold several that never run at once.
pub(super) fn read(
    files: &[PathBuf],
    only: &[String],
    new: impl Fn(&str, Destination) -> Wanted,
) -> Result<Vec<Wanted>, FileError> {
    if files.iter().filter(|file| is_stdin(file)).count() > 1 {
        return Err(FileError::StdinTwice);
    }
    let texts: Vec<_> = files.iter().map(|file| load(file)).collect::<Result<_, _>>()?;
    understand(&texts, only, new)
}

/// The same of files by their names and what is in them.
fn understand(
    files: &[(Arc<str>, String)],
    only: &[String],
    new: impl Fn(&str, Destination) -> Wanted,
) -> Result<Vec<Wanted>, FileError> {
    let mut problems = Vec::new();
    let mut forwards: Vec<Forward> = Vec::new();
    for (file, text) in files {
        match serde_saphyr::from_str::<Document>(text) {
            Ok(document) => {
                for forward in entry::check(file, &document, &new, &mut problems) {
                    match forwards.iter().find(|it| it.wanted.name == forward.wanted.name) {
                        Some(it) => problems.push(forward.twice(it)),
                        None => forwards.push(forward),
                    }
                }
            }
            Err(error) => problems.push(Problem::of_yaml(file, text, &error)),
        }
    }
    if problems.is_empty() {
        forwards = pick(forwards, only)?;
        problems = entry::clashes(&forwards);
    }
    if problems.is_empty() {
        Ok(forwards.into_iter().map(|forward| forward.wanted).collect())
    } else {
        Err(FileError::Invalid(problems))
    }
}

/// In the order of the files, whatever that of the names is.
fn pick(mut forwards: Vec<Forward>, only: &[String]) -> Result<Vec<Forward>, FileError> {
    let names = || forwards.iter().map(|forward| forward.wanted.name.as_str());
    if let Some(given) = only.iter().find(|name| !names().any(|known| known == *name)) {
        let hint = did_you_mean(&near(given, names()));
        let hint =
            hint.unwrap_or_else(|| format!("there are {}", names().collect::<Vec<_>>().join(", ")));
        return Err(FileError::NoSuchName { given: given.clone(), hint });
    }
    if !only.is_empty() {
        forwards.retain(|forward| only.contains(&forward.wanted.name));
    }
    Ok(forwards)
}

/// What to call a file, and what is in it.
fn load(path: &Path) -> Result<(Arc<str>, String), FileError> {
    let file: Arc<str> =
        if is_stdin(path) { "<stdin>".into() } else { path.display().to_string().into() };
    let mut bytes = Vec::new();
    let read = if is_stdin(path) {
        std::io::stdin().lock().take(LIMIT + 1).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|it| it.take(LIMIT + 1).read_to_end(&mut bytes))
    };
    if let Err(source) = read {
        return Err(FileError::Unreadable { file, source });
    }
    if bytes.len() as u64 > LIMIT {
        return Err(FileError::Long { file });
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok((file, text)),
        Err(error) => {
            let problem = Problem::of_encoding(&file, &error);
            Err(FileError::Invalid(vec![problem]))
        }
    }
}

fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

impl FileError {
    /// What to say, one line each.
    pub(crate) fn lines(&self) -> Vec<String> {
        match self {
            Self::Invalid(problems) => problems.iter().map(ToString::to_string).collect(),
            Self::Unreadable { .. }
            | Self::Long { .. }
            | Self::StdinTwice
            | Self::NoSuchName { .. } => vec![self.to_string()],
        }
    }
}

/// Problems, one a line.
struct Lines<'a>(&'a [Problem]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use portway_resolve::{Selector, Target};
    use portway_tokio::proto::HalfClose;
    use portway_tokio::{Protocol, Sessions};

    use super::*;
    use crate::args::value::{Address, Reconnect};
    use crate::wanted::Policies;

    /// As if the command line said `-n shop --address ::1 --protocol v4`.
    fn new(name: &str, destination: Destination) -> Wanted {
        Wanted {
            name: name.to_owned(),
            destination,
            namespace: Some("shop".to_owned()),
            context: None,
            ports: Vec::new(),
            addresses: vec!["::1".parse().unwrap()],
            policies: Policies { protocol: Protocol::V4, ..Policies::default() },
        }
    }

    pub(super) fn read_all(texts: &[&str], only: &[&str]) -> Result<Vec<Wanted>, FileError> {
        let files: Vec<_> = ["a.yaml", "b.yaml"]
            .into_iter()
            .zip(texts)
            .map(|(name, text)| (name.into(), (*text).to_owned()))
            .collect();
        let only: Vec<_> = only.iter().map(|name| (*name).to_owned()).collect();
        understand(&files, &only, new)
    }

    fn wrong(texts: &[&str]) -> Vec<String> {
        read_all(texts, &[]).unwrap_err().lines()
    }

    fn service(name: &str) -> Destination {
        format!("svc/{name}").parse::<Target>().unwrap().into()
    }

    #[test]
    fn a_forward_is_what_it_says_then_what_the_defaults_say_then_the_command_line() {
        let text = "
defaults:
  namespace: tools
  context: lab
  reconnect: round-robin
  halfClose: never
forwards:
- target: svc/web
  ports: [8080:http]
- name: all of it
  selector: app=db
  ports: [':5432']
  namespace: db
  context: prod
  addresses: [localhost, 127.0.0.2]
  reconnect: \"off\"
  halfClose: 0.5
  sessions: shared:8
  buffer: 64Ki
  protocol: tunnel
";
        let selector: Selector = "app=db".parse().unwrap();
        let ms = Duration::from_millis;
        let expected = [
            Wanted {
                namespace: Some("tools".to_owned()),
                context: Some("lab".to_owned()),
                ports: vec!["8080:http".parse().unwrap()],
                policies: Policies {
                    reconnect: Reconnect::RoundRobin,
                    half_close: Some(HalfClose::Never),
                    protocol: Protocol::V4,
                    ..Policies::default()
                },
                ..new("svc/web", service("web"))
            },
            Wanted {
                name: "all of it".to_owned(),
                destination: selector.into(),
                namespace: Some("db".to_owned()),
                context: Some("prod".to_owned()),
                ports: vec![":5432".parse().unwrap()],
                addresses: vec![Address::Localhost, "127.0.0.2".parse().unwrap()],
                policies: Policies {
                    reconnect: Reconnect::Off,
                    half_close: Some(HalfClose::WhenIdle {
                        unanswered: ms(500),
                        answered: ms(500),
                    }),
                    sessions: Sessions::Shared { max_streams: 8 },
                    buffer: Some(65_536),
                    protocol: Protocol::Tunnel,
                },
            },
        ];
        assert_eq!(read_all(&[text], &[]).unwrap(), expected);
    }

    #[test]
    fn a_port_is_what_it_is_on_a_command_line_and_never_a_number_of_yaml() {
        // YAML 1.1 reads 22:80 as 1400, 080 and 8_0 as numbers too, and 12:30 as 750.
        for port in [
            "8080",
            "22:80",
            "080",
            "12:30",
            ":5432",
            "0:5432",
            "http",
            "8080:http",
            "'8888:'",
            "0x50",
            "'22:80'",
            "\"22:80\"",
        ] {
            let block = format!("forwards:\n- target: svc/web\n  ports:\n  - {port}\n");
            let flow = format!("{{forwards: [{{target: svc/web, ports: [ {port} ]}}]}}");
            let plain = port.trim_matches(['\'', '"']);
            for text in [block, flow] {
                let read = read_all(&[&text], &[]).unwrap();
                assert_eq!(read[0].ports, [plain.parse().unwrap()], "{text}");
            }
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place_and_what_to_do() {
        for (text, place, what) in [
            ("", "1:1", "there is nothing in it; a file of forwards has a list 'forwards:'"),
            ("# later\n", "2:1", "there is nothing in it"),
            ("~", "1:1", "keys are expected here; write 'forwards:'"),
            ("svc/web 8080", "1:1", "keys are expected here"),
            ("- target: web\n", "1:1", "keys are expected here; write 'forwards:' above the list"),
            ("defaults: {}\n", "1:1", "the key 'forwards' is missing; add 'forwards:'"),
            ("forwards:\n", "1:9", "a list is expected here; write [a, b]"),
            ("forwards: []\n", "1:11", "there is no forward; add one"),
            ("forwards: svc/web\n", "1:11", "a list is expected here"),
            ("forward: []\n", "1:1", "there is no key 'forward' here; did you mean 'forwards'?"),
            ("forwards:\n- svc/web 80\n", "2:3", "keys are expected here"),
            (
                "forwards:\n- target: web\n  prots: [80]\n",
                "3:3",
                "there is no key 'prots' here; did you mean 'ports'?",
            ),
            ("forwards:\n- target: web\n  half-close: 5\n", "3:3", "did you mean 'halfClose'?"),
            (
                "forwards:\n- target: web\n  image: x\n",
                "3:3",
                "there is no key 'image' here; there are name, target, selector, ports,",
            ),
            ("forwards:\n- target: a\n  target: b\n", "3:3", "the key 'target' is here twice"),
            ("forwards:\n- target: [a]\n", "2:11", "a single value is expected here"),
            ("forwards:\n- target: web\n  ports: 80\n", "3:10", "a list is expected here"),
            (
                "forwards:\n- target: web\n  ports:\n  - 80: 80\n",
                "4:5",
                "no keys either, which a colon makes with a space or nothing behind it",
            ),
            ("forwards:\n- target: web\n  ports: [80,~]\n", "3:14", "there is nothing here"),
            ("forwards:\n- ports: [80]\n", "2:3", "leads nowhere; add 'target: TYPE/NAME'"),
            (
                "forwards:\n- target: web\n  selector: a=b\n  ports: [80]\n",
                "3:13",
                "there is a target already",
            ),
            ("forwards:\n- target: web\n", "2:3", "no port is given; add one, such as 'ports:"),
            ("forwards:\n- target: web\n  ports: []\n", "3:10", "no port is given"),
            ("forwards:\n- target: web\n  ports: [0]\n", "3:11", "remote port must be > 0"),
            ("forwards:\n- target: web\n  ports: [80, 65536]\n", "3:15", "'65536'"),
            ("forwards:\n- target: web\n  ports: [8080.5]\n", "3:11", "remote port '8080.5'"),
            ("forwards:\n- target: web\n  ports: [-80]\n", "3:11", "remote port '-80'"),
            ("forwards:\n- target: web\n  ports: [53/udp]\n", "3:11", "UDP protocol is not"),
            ("forwards:\n- target: nod/a\n  ports: [80]\n", "2:11", "nothing can be forwarded"),
            ("forwards:\n- selector: a b\n  ports: [80]\n", "2:13", "with 'a b'"),
            (
                "forwards:\n- target: web\n  ports: [80]\n  addresses: [web]\n",
                "4:15",
                "web is not a valid IP; give IP addresses or localhost",
            ),
            (
                "forwards:\n- target: web\n  ports: [80]\n  addresses: []\n",
                "4:14",
                "no address is given",
            ),
            (
                "forwards:\n- target: web\n  ports: [80]\n  reconnect: maybe\n",
                "4:14",
                "'maybe' does not fit 'reconnect': it is none of sticky,",
            ),
            (
                "forwards:\n- target: web\n  ports: [80]\n  buffer: 1\n",
                "4:11",
                "'1' does not fit 'buffer': it is no number of bytes",
            ),
            (
                "forwards:\n- target: web\n  ports: [80]\n  name: ''\n",
                "4:9",
                "'' does not fit 'name': a name has a character at least",
            ),
            (
                "defaults: {ports: [80]}\nforwards:\n- target: web\n  ports: [80]\n",
                "1:19",
                "the key 'ports' is for a single forward; move it",
            ),
            (
                "forwards:\n\t- target: web\n",
                "2:1",
                "a tab begins this line; YAML takes only spaces",
            ),
            ("forwards:\n- target: web\n\tports: [80]\n", "3:1", "a tab begins this line"),
            (
                "forwards:\n- target: web\n   ports: [80]\n",
                "3:9",
                "this is not YAML: mapping values are not allowed in this context; look at the quotes",
            ),
            ("forwards:\n- target: \"web\n", "3:1", "this is not YAML"),
            ("forwards: []\n---\nforwards: []\n", "3:1", "another document begins here"),
            ("forwards: [*web]\n", "1:12", "no value has been given this name with &"),
            ("forwards:\r\n- target: web\r\n  prots: [80]\r\n", "3:3", "no key 'prots'"),
        ] {
            let said = wrong(&[text]);
            assert_eq!(said.len(), 1, "{text:?}: {said:?}");
            assert!(said[0].starts_with(&format!("a.yaml:{place}: ")), "{text:?}: {said:?}");
            assert!(said[0].contains(what), "{text:?}: {said:?}");
        }
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once_in_the_order_of_the_files() {
        let one = "
defaults: {protocol: udp}
forwards:
- target: a/b
  ports: [0, 80, x/y]
- target: svc/web
  ports: [80]
- target: svc/web
  ports: [81]
";
        let other = "forwards:\n- name: svc/web\n  target: db\n  ports: [82]\n- tagret: x\n";
        let said = wrong(&[one, other]);
        let places: Vec<_> = said.iter().map(|line| line.split(": ").next().unwrap()).collect();
        let expected = [
            "a.yaml:2:22",
            "a.yaml:4:11",
            "a.yaml:5:11",
            "a.yaml:5:18",
            "a.yaml:8:3",
            "b.yaml:5:3",
        ];
        assert_eq!(places, expected, "{said:#?}");
        assert!(
            said[4].contains("a forward is called 'svc/web' already (a.yaml:6:3)"),
            "{}",
            said[4]
        );
    }

    #[test]
    fn names_are_told_apart_in_all_files_and_ports_among_what_is_picked() {
        let one = "forwards:\n- {name: old, target: svc/web, ports: [8080:80]}\n";
        let other = "forwards:\n- {name: new, target: svc/web, ports: [81, 8080:80]}\n";
        assert_eq!(
            wrong(&[one, other]),
            [
                "b.yaml:2:44: local port 8080 is that of 'old' already (a.yaml:2:40); give one of them another one, or pick one with --only"
            ]
        );
        let picked = read_all(&[one, other], &["new"]).unwrap();
        assert_eq!(picked.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["new"]);
        assert_eq!(
            wrong(&[one, one]),
            [
                "b.yaml:2:10: a forward is called 'old' already (a.yaml:2:10); give one of them a 'name' of its own"
            ]
        );
    }

    #[test]
    fn a_name_that_is_not_there_is_told_with_those_that_are() {
        let text =
            "forwards:\n- {name: web, target: a, ports: [80]}\n- {target: svc/db, ports: [81]}\n";
        let said = |only: &[&str]| read_all(&[text], only).unwrap_err().to_string();
        assert_eq!(said(&["wbe"]), "no forward is called 'wbe'; did you mean 'web'?");
        assert_eq!(said(&["web", "cache"]), "no forward is called 'cache'; there are web, svc/db");
        assert_eq!(read_all(&[text], &["svc/db", "web"]).unwrap().len(), 2);
    }

    #[test]
    fn what_yaml_offers_besides_works() {
        let text = "\u{feff}%YAML 1.2\n---\nforwards:\n- &web {target: svc/web, ports: &ports [80]}\n- <<: *web\n  target: svc/api\n  ports: [81]\n- {target: db, ports: [\"82\", '83' ]}\n";
        let names: Vec<_> =
            read_all(&[text], &[]).unwrap().into_iter().map(|wanted| wanted.name).collect();
        assert_eq!(names, ["svc/web", "svc/api", "db"]);
        let json = r#"{"forwards": [{"target": "svc/web", "ports": [8080, "81:http"]}]}"#;
        assert_eq!(read_all(&[json], &[]).unwrap()[0].ports.len(), 2);
    }

    #[test]
    fn a_bomb_of_aliases_is_no_file_of_forwards() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let before = format!("*a{}, ", level - 1).repeat(10);
            text.push_str(&format!("a{level}: &a{level} [{before}]\n"));
        }
        text.push_str("forwards: *a11\n");
        assert_eq!(wrong(&[&text]).len(), 1);
        let deep = format!("forwards: {}", "[".repeat(100_000));
        assert_eq!(wrong(&[&deep]).len(), 1);
    }

    #[test]
    fn what_is_not_utf_8_is_told_with_its_place() {
        let bytes = b"forwards:\n- name: \xc3\xa4\xe4\n".to_vec();
        let error = String::from_utf8(bytes).unwrap_err();
        assert_eq!(
            Problem::of_encoding(&"a.yaml".into(), &error).to_string(),
            "a.yaml:2:10: this is not UTF-8; save the file in that encoding"
        );
    }
}
