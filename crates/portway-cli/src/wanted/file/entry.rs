use std::fmt::Display;
use std::sync::Arc;

use portway_cluster::Destination;
use portway_resolve::PortSpec;
use portway_tokio::proto::HalfClose;
use portway_tokio::{Protocol, Sessions};
use serde_saphyr::Spanned;

use super::document::{Document, Entry};
use super::{Place, Problem};
use crate::args::value::{Address, Reconnect, half_close, sessions, size};
use crate::wanted::Wanted;
use crate::wanted::clash::{Clash, Spot};
use crate::wanted::line::{port, selected, target};

/// A forward of a file, and where its parts stand there.
#[derive(Debug)]
pub(super) struct Forward {
    pub(super) wanted: Wanted,
    place: Place,
    ports: Vec<Place>,
}

/// What forwards may say and defaults may say for them.
#[derive(Debug, Default)]
struct Settings {
    namespace: Option<String>,
    context: Option<String>,
    addresses: Option<Vec<Address>>,
    reconnect: Option<Reconnect>,
    half_close: Option<HalfClose>,
    sessions: Option<Sessions>,
    buffer: Option<usize>,
    protocol: Option<Protocol>,
}

/// Finds what is wrong in a file, one thing after the other.
struct Checker<'a> {
    file: &'a Arc<str>,
    problems: &'a mut Vec<Problem>,
}

/// The forwards of a document that nothing is wrong with; what is goes to `problems`.
pub(super) fn check(
    file: &Arc<str>,
    document: &Document,
    new: impl Fn(&str, Destination) -> Wanted,
    problems: &mut Vec<Problem>,
) -> Vec<Forward> {
    let mut checker = Checker { file, problems };
    let defaults = match &document.defaults {
        Some(defaults) => checker.defaults(&defaults.value),
        None => Settings::default(),
    };
    if document.forwards.value.is_empty() {
        let what = "there is no forward; add one to the list, with a target and ports";
        checker.problem(&document.forwards, what);
    }
    let entries = document.forwards.value.iter();
    entries.filter_map(|entry| checker.forward(entry, &defaults, &new)).collect()
}

/// Local ports that are wanted more than once.
pub(super) fn clashes(forwards: &[Forward]) -> Vec<Problem> {
    let place = |spot: Spot| &forwards[spot.forward].ports[spot.port];
    let problem = |clash: Clash| {
        place(clash.other).clone().problem(format_args!(
            "local port {} is that of '{}' already ({}); give one of them another one, or pick one with --only",
            clash.local,
            forwards[clash.one.forward].wanted.name,
            place(clash.one)
        ))
    };
    let found = Clash::find(forwards.iter().map(|forward| &forward.wanted));
    found.into_iter().map(problem).collect()
}

impl Forward {
    /// What is wrong with this one if there is that one already.
    pub(super) fn twice(&self, other: &Self) -> Problem {
        self.place.clone().problem(format_args!(
            "a forward is called '{}' already ({}); give one of them a 'name' of its own",
            self.wanted.name, other.place
        ))
    }
}

impl Settings {
    fn apply(&self, wanted: &mut Wanted) {
        let Self {
            namespace,
            context,
            addresses,
            reconnect,
            half_close,
            sessions,
            buffer,
            protocol,
        } = self;
        let policies = &mut wanted.policies;
        or_keep(&mut policies.reconnect, reconnect);
        or_keep(&mut policies.half_close, &half_close.map(Some));
        or_keep(&mut policies.sessions, sessions);
        or_keep(&mut policies.buffer, &buffer.map(Some));
        or_keep(&mut policies.protocol, protocol);
        or_keep(&mut wanted.namespace, &namespace.clone().map(Some));
        or_keep(&mut wanted.context, &context.clone().map(Some));
        or_keep(&mut wanted.addresses, addresses);
    }
}

fn or_keep<T: Clone>(value: &mut T, said: &Option<T>) {
    if let Some(said) = said {
        value.clone_from(said);
    }
}

impl Checker<'_> {
    fn defaults(&mut self, entry: &Entry) -> Settings {
        let texts =
            [("name", &entry.name), ("target", &entry.target), ("selector", &entry.selector)];
        let texts =
            texts.into_iter().filter_map(|(key, text)| Some((key, self.place(text.as_ref()?))));
        let ports = entry.ports.iter().map(|ports| ("ports", self.place(ports)));
        let wrong: Vec<_> = texts.chain(ports).collect();
        self.problems.extend(wrong.into_iter().map(|(key, place)| {
            place.problem(format_args!(
                "the key '{key}' is for a single forward; move it into an item of 'forwards'"
            ))
        }));
        self.settings(entry)
    }

    fn forward(
        &mut self,
        entry: &Spanned<Entry>,
        defaults: &Settings,
        new: impl Fn(&str, Destination) -> Wanted,
    ) -> Option<Forward> {
        let before = self.problems.len();
        let own = self.settings(&entry.value);
        let leads = self.leads(entry);
        let name = self.value(&entry.value.name, "name", name);
        let ports = self.ports(entry);
        let (given, destination) = leads?;
        if self.problems.len() > before {
            return None;
        }
        let mut wanted = new(name.as_deref().unwrap_or(given), destination);
        defaults.apply(&mut wanted);
        own.apply(&mut wanted);
        let (specs, places) = ports.into_iter().unzip();
        wanted.ports = specs;
        let place =
            entry.value.name.as_ref().map_or_else(|| self.place(entry), |it| self.place(it));
        Some(Forward { wanted, place, ports: places })
    }

    /// As it is written, and what it means.
    fn leads<'e>(&mut self, entry: &'e Spanned<Entry>) -> Option<(&'e str, Destination)> {
        match (&entry.value.target, &entry.value.selector) {
            (Some(text), None) => Some((text.value.as_str(), self.read(text, target)?)),
            (None, Some(text)) => Some((text.value.as_str(), self.read(text, selected)?)),
            (Some(_), Some(selector)) => {
                let what = "there is a target already; leave it or the selector out";
                self.problem(selector, what);
                None
            }
            (None, None) => {
                let what =
                    "this forward leads nowhere; add 'target: TYPE/NAME' or 'selector: LABELS'";
                self.problem(entry, what);
                None
            }
        }
    }

    fn ports(&mut self, entry: &Spanned<Entry>) -> Vec<(PortSpec, Place)> {
        const GIVE: &str = "no port is given; add one, such as 'ports: [8080:80]'";
        match &entry.value.ports {
            None => self.problem(entry, GIVE),
            Some(ports) if ports.value.is_empty() => self.problem(ports, GIVE),
            Some(_) => {}
        }
        let texts = entry.value.ports.iter().flat_map(|ports| &ports.value);
        texts.filter_map(|text| Some((self.read(text, port)?, self.place(text)))).collect()
    }

    fn settings(&mut self, entry: &Entry) -> Settings {
        Settings {
            namespace: self.value(&entry.namespace, "namespace", name),
            context: self.value(&entry.context, "context", name),
            addresses: entry.addresses.as_ref().map(|texts| self.addresses(texts)),
            reconnect: self.value(&entry.reconnect, "reconnect", str::parse),
            half_close: self.value(&entry.half_close, "halfClose", half_close),
            sessions: self.value(&entry.sessions, "sessions", sessions),
            buffer: self.value(&entry.buffer, "buffer", size),
            protocol: self.value(&entry.protocol, "protocol", str::parse),
        }
    }

    fn addresses(&mut self, texts: &Spanned<Vec<Spanned<String>>>) -> Vec<Address> {
        if texts.value.is_empty() {
            self.problem(
                texts,
                "no address is given; add one, or leave 'addresses' out for localhost",
            );
        }
        texts.value.iter().filter_map(|text| self.read(text, str::parse)).collect()
    }

    /// The value behind a key, if there is one and it is one.
    fn value<T, E: Display>(
        &mut self,
        text: &Option<Spanned<String>>,
        key: &str,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let read = |given: &str| {
            read(given).map_err(|error| format!("'{given}' does not fit '{key}': {error}"))
        };
        self.read(text.as_ref()?, read)
    }

    /// What a text means, whose error says enough.
    fn read<T, E: Display>(
        &mut self,
        text: &Spanned<String>,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        read(&text.value).map_err(|error| self.problem(text, error)).ok()
    }

    fn problem<T>(&mut self, at: &Spanned<T>, what: impl Display) {
        let problem = self.place(at).problem(what);
        self.problems.push(problem);
    }

    fn place<T>(&self, at: &Spanned<T>) -> Place {
        Place::new(self.file, at.referenced)
    }
}

/// What people call things.
fn name(text: &str) -> Result<String, &'static str> {
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err("a name has a character at least, and none that a terminal would act on");
    }
    Ok(text.to_owned())
}
