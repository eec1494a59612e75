use std::time::Duration;

use bytes::BytesMut;
use http_body_util::BodyExt;
use portway_driver::{Runtime, TargetEvent, after, until};
use portway_resolve::object::Pod;
use serde::Deserialize;

use crate::connector::Inner;
use crate::pause::pause;
use crate::plan::Select;
use crate::{Api, LookupError};

/// How long the server is asked to keep a watch open: what is between ends what is quiet for longer, and
/// a new one costs little.
const LASTING: Duration = Duration::from_secs(240);

/// How much longer it may be open and silent before it is taken for dead.
const GRACE: Duration = Duration::from_secs(30);

/// The longest line that is taken: one object.
const LONGEST_LINE: usize = 16 * 1024 * 1024;

/// Keeps what is known of a target's pods up to date, until it is dropped.
pub(crate) async fn follow<A: Api, R: Runtime>(inner: &Inner<A, R>) {
    let mut failing_since = None;
    loop {
        let error = match once(inner).await {
            Ok(()) => {
                failing_since = None;
                continue;
            }
            Err(Trouble::Expired) => continue,
            Err(Trouble::Cut(problem)) => {
                tracing::debug!(problem, "the watch on pods was cut");
                None
            }
            Err(Trouble::Lookup(error)) => Some(error),
        };
        if let Some(error) = error.filter(LookupError::is_forbidden) {
            inner.change(|state, _| state.set_unwatched());
            inner.announce(TargetEvent::Unwatched { error: error.into() });
            // Rights are not given while one looks: whoever connects asks for themselves.
            return std::future::pending().await;
        }
        let now = inner.runtime.now();
        let since = *failing_since.get_or_insert(now);
        let wait = pause(now.saturating_duration_since(since), inner.runtime.random());
        inner.runtime.sleep_until(after(now, wait)).await;
    }
}

/// Why a watch ended.
enum Trouble {
    /// What it went on from is too old: everything is to be read again.
    Expired,
    /// In the middle.
    Cut(&'static str),
    Lookup(LookupError),
}

impl From<LookupError> for Trouble {
    fn from(error: LookupError) -> Self {
        Self::Lookup(error)
    }
}

/// Reads all pods, and then follows them for as long as it works.
async fn once<A: Api, R: Runtime>(inner: &Inner<A, R>) -> Result<(), Trouble> {
    let reader = inner.reader();
    let began = inner.runtime.now();
    let plan = reader.plan(&inner.settings.destination).await?;
    let (pods, mut version) = match &plan.select {
        Select::Pod(name) => {
            let (pod, version) = reader.pod(name).await?;
            (vec![pod], version)
        }
        Select::Labels(selector) => {
            let pods = reader.pods(selector).await?;
            (pods.items, pods.version)
        }
    };
    let select = plan.select.clone();
    inner.change(|state, now| {
        state.note_plan(plan);
        state.note_pods(pods, began, now);
    });
    loop {
        let body = reader.watch(&select, &version, LASTING).await?;
        let _live = Live::new(inner);
        let opened = inner.runtime.now();
        let before = version.clone();
        read(inner, body, &mut version).await?;
        let lasted = inner.runtime.now().saturating_duration_since(opened);
        if version == before && lasted < Duration::from_secs(1) {
            return Err(Trouble::Cut("it ended at once"));
        }
    }
}

/// Takes a watch's lines until it ends.
async fn read<A: Api, R: Runtime>(
    inner: &Inner<A, R>,
    mut body: A::Body,
    version: &mut String,
) -> Result<(), Trouble> {
    let deadline = after(inner.runtime.now(), LASTING + GRACE);
    let mut memory = BytesMut::new();
    let mut searched = 0;
    loop {
        while let Some(end) = memory[searched..].iter().position(|byte| *byte == b'\n') {
            let line = memory.split_to(searched + end + 1);
            searched = 0;
            take(inner, &line, version)?;
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
                tracing::debug!(%error, "the watch on pods was cut");
                return Ok(());
            }
            Ok(None) => return Ok(()),
            Err(_) => return Err(Trouble::Cut("it was silent")),
        }
    }
}

/// Takes one line.
fn take<A: Api, R: Runtime>(
    inner: &Inner<A, R>,
    line: &[u8],
    version: &mut String,
) -> Result<(), Trouble> {
    if line.trim_ascii().is_empty() {
        return Ok(());
    }
    let unreadable = |_| Trouble::Cut("a line makes no sense");
    let head: Line<Head> = serde_json::from_slice(line).map_err(unreadable)?;
    match head.kind.as_str() {
        "ADDED" | "MODIFIED" => {
            let pod: Line<Pod> = serde_json::from_slice(line).map_err(unreadable)?;
            inner.change(|state, now| state.note_pod(pod.object, now));
        }
        "DELETED" => {
            let pod: Line<Pod> = serde_json::from_slice(line).map_err(unreadable)?;
            inner.change(|state, now| state.note_gone(&pod.object.metadata.name, now));
        }
        "BOOKMARK" => {}
        // 410 above all: the server does not remember what was since.
        "ERROR" => return Err(Trouble::Expired),
        _ => return Err(Trouble::Cut("a line of a kind that is not known")),
    }
    *version = head.object.metadata.resource_version;
    Ok(())
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
