use std::convert::Infallible;
use std::future::pending;
use std::time::Duration;

use bytes::BytesMut;
use futures_lite::future::or;
use http_body_util::BodyExt;
use portway_driver::{Runtime, TargetEvent, after, until};
use portway_resolve::Kind;
use portway_resolve::object::Pod;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::connector::Inner;
use crate::pause::pause;
use crate::plan::{PLAN_KEPT, Plan, Select};
use crate::{Api, Destination, LookupError};

/// How long the server is asked to keep a watch open: what is between ends what is quiet for longer, and
/// a new one costs little.
const LASTING: Duration = Duration::from_secs(240);

/// How much longer it may be open and silent before it is taken for dead.
const GRACE: Duration = Duration::from_secs(30);

/// A watch that ends sooner does not work.
const AT_ONCE: Duration = Duration::from_secs(1);

/// The longest line that is taken: one object.
const LONGEST_LINE: usize = 16 * 1024 * 1024;

/// Keeps what is known of a target's pods up to date, until it is dropped.
pub(crate) async fn follow<A: Api, R: Runtime>(inner: &Inner<A, R>) {
    let mut failing_since = None;
    loop {
        let began = inner.runtime.now();
        let Err(trouble) = once(inner).await;
        let error = match trouble {
            Trouble::Outdated => continue,
            Trouble::Cut(problem) => {
                tracing::debug!(problem, "the watch on pods was cut");
                None
            }
            Trouble::Lookup(error) => Some(error),
        };
        if let Some(error) = error.filter(LookupError::is_forbidden) {
            inner.change(|state, _| state.set_unwatched());
            inner.announce(TargetEvent::Unwatched { error: error.into() });
            // Rights are not given while one looks: whoever connects asks for themselves.
            return pending().await;
        }
        let now = inner.runtime.now();
        // What worked for a while has not been failing since the last time.
        let failing = failing_since.filter(|_| now < after(began, GRACE));
        let since = *failing_since.insert(failing.unwrap_or(now));
        let wait = pause(now.saturating_duration_since(since), inner.runtime.random());
        inner.runtime.sleep_until(after(now, wait)).await;
    }
}

/// Why a watch ended.
enum Trouble {
    /// Everything is to be read again: what it went on from is too old, or the target leads elsewhere.
    Outdated,
    /// In the middle.
    Cut(&'static str),
    Lookup(LookupError),
}

impl From<LookupError> for Trouble {
    fn from(error: LookupError) -> Self {
        Self::Lookup(error)
    }
}

/// Reads target and pods, and then follows both for as long as it works.
async fn once<A: Api, R: Runtime>(inner: &Inner<A, R>) -> Result<Infallible, Trouble> {
    let reader = inner.reader();
    let began = inner.runtime.now();
    let plan = reader.plan(&inner.settings.destination).await?;
    let (pods, version) = match &plan.select {
        Select::Pod(name) => {
            // Its own version may be of long ago, and forgotten: the watch begins with what there is.
            (vec![reader.pod(name).await?.0], String::new())
        }
        Select::Labels(selector) => {
            let pods = reader.pods(selector).await?;
            (pods.items, pods.version)
        }
    };
    let known = plan.clone();
    inner.change(|state, now| {
        state.note_plan(plan, now);
        state.note_pods(pods, began, now);
    });
    let pods = follow_pods(inner, &known.select, version);
    let target = async {
        follow_target(inner, &known).await;
        Err(Trouble::Outdated)
    };
    or(pods, target).await
}

async fn follow_pods<A: Api, R: Runtime>(
    inner: &Inner<A, R>,
    select: &Select,
    mut version: String,
) -> Result<Infallible, Trouble> {
    let mut first = true;
    loop {
        let body = inner.reader().watch(select, &version, LASTING).await?;
        let _live = Live::new(inner);
        let opened = inner.runtime.now();
        let before = version.clone();
        let ended = read(inner, body, |line| take_pod(inner, select, line, &mut version)).await;
        let lasted = inner.runtime.now().saturating_duration_since(opened);
        if lasted < AT_ONCE && version == before && (first || ended.is_ok()) {
            return Err(Trouble::Cut("it ended at once"));
        }
        ended?;
        first = false;
    }
}

/// Ends once the target leads elsewhere: to other pods, or to other ports of them.
async fn follow_target<A: Api, R: Runtime>(inner: &Inner<A, R>, known: &Plan) {
    let destination = &inner.settings.destination;
    let target = match destination {
        Destination::Object(target) if target.kind != Kind::Pod => target,
        // It is what it is.
        Destination::Object(_) | Destination::Pods(_) => return pending().await,
    };
    let mut failing_since = None;
    loop {
        let opened = inner.runtime.now();
        let watched = async {
            let body = inner.reader().watch_target(target, LASTING).await?;
            read(inner, body, |line| take_target(target.kind, known, line)).await
        };
        let ended = watched.await;
        let now = inner.runtime.now();
        let worked = now.saturating_duration_since(opened) >= AT_ONCE;
        let wait = match ended {
            // Who may not watch it may read it, which is all that kubectl needs.
            Err(Trouble::Lookup(error)) if error.is_forbidden() => PLAN_KEPT,
            Ok(()) | Err(Trouble::Outdated) if worked => {
                failing_since = None;
                Duration::ZERO
            }
            _ => {
                let since = *failing_since.get_or_insert(opened);
                pause(now.saturating_duration_since(since), inner.runtime.random())
            }
        };
        inner.runtime.sleep_until(after(now, wait)).await;
        match inner.reader().plan(destination).await {
            Ok(plan) if plan.leads_elsewhere_than(known) => return,
            Ok(_) => {}
            // Without it, its pods are what there is.
            Err(error) => tracing::debug!(%error, "the target cannot be read"),
        }
    }
}

/// Takes a watch's lines until it ends.
async fn read<A: Api, R: Runtime>(
    inner: &Inner<A, R>,
    mut body: A::Body,
    mut take: impl FnMut(&[u8]) -> Result<(), Trouble>,
) -> Result<(), Trouble> {
    let deadline = after(inner.runtime.now(), LASTING + GRACE);
    let mut memory = BytesMut::new();
    let mut searched = 0;
    loop {
        while let Some(end) = memory[searched..].iter().position(|byte| *byte == b'\n') {
            let line = memory.split_to(searched + end + 1);
            searched = 0;
            if !line.trim_ascii().is_empty() {
                take(&line)?;
            }
        }
        searched = memory.len();
        if memory.len() > LONGEST_LINE {
            return Err(Trouble::Cut("a line is too long"));
        }
        match until(&inner.runtime, deadline, body.frame()).await {
            Ok(Some(Ok(frame))) => {
                if let Ok(data) = frame.into_data() {
                    memory.extend_from_slice(&data);
                }
            }
            Ok(Some(Err(error))) => {
                tracing::debug!(%error, "a watch was cut");
                return Ok(());
            }
            Ok(None) => return Ok(()),
            Err(_) => return Err(Trouble::Cut("it was silent")),
        }
    }
}

/// Takes one line about pods.
fn take_pod<A: Api, R: Runtime>(
    inner: &Inner<A, R>,
    select: &Select,
    line: &[u8],
    version: &mut String,
) -> Result<(), Trouble> {
    let head: Line<Head> = parse(line)?;
    match head.kind.as_str() {
        "ADDED" | "MODIFIED" => {
            let pod: Line<Pod> = parse(line)?;
            inner.change(|state, now| state.note_pod(pod.object, now));
        }
        "DELETED" => {
            // Also said of a pod whose labels have changed.
            let Line { object: pod, .. } = parse::<Pod>(line)?;
            let name = &pod.metadata.name;
            let selected = select.includes(&pod);
            inner.change(|state, now| state.note_gone(name, selected, now));
        }
        "BOOKMARK" => {}
        // 410 above all: the server does not remember what was since.
        "ERROR" => return Err(Trouble::Outdated),
        _ => return Err(Trouble::Cut("a line of a kind that is not known")),
    }
    *version = head.object.metadata.resource_version;
    Ok(())
}

/// Takes one line about the target.
fn take_target(kind: Kind, known: &Plan, line: &[u8]) -> Result<(), Trouble> {
    let head: Line<Head> = parse(line)?;
    let plan = match head.kind.as_str() {
        "ADDED" | "MODIFIED" if kind == Kind::Service => Plan::of_service(parse(line)?.object),
        "ADDED" | "MODIFIED" => Plan::of_workload(&parse(line)?.object),
        "ERROR" => return Err(Trouble::Outdated),
        // Of one that is deleted the pods may stay; it may come back.
        _ => return Ok(()),
    };
    match plan {
        Ok(plan) if !plan.leads_elsewhere_than(known) => Ok(()),
        _ => Err(Trouble::Outdated),
    }
}

fn parse<T: DeserializeOwned>(line: &[u8]) -> Result<Line<T>, Trouble> {
    serde_json::from_slice(line).map_err(|_| Trouble::Cut("a line makes no sense"))
}

/// What is known is up to date for as long as this is there.
struct Live<'a, A: Api, R: Runtime>(&'a Inner<A, R>);

impl<'a, A: Api, R: Runtime> Live<'a, A, R> {
    fn new(inner: &'a Inner<A, R>) -> Self {
        inner.change(|state, _| state.set_live(true));
        Self(inner)
    }
}

impl<A: Api, R: Runtime> Drop for Live<'_, A, R> {
    fn drop(&mut self) {
        self.0.change(|state, _| state.set_live(false));
    }
}

/// One line of a watch.
#[derive(Deserialize)]
struct Line<T> {
    #[serde(rename = "type")]
    kind: String,
    object: T,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Head {
    metadata: Version,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Version {
    resource_version: String,
}
