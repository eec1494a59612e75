use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use portway_driver::{Runtime, after, until};
use portway_server::Body;
use serde_json::{Value, json};

use super::accept::Shape;
use super::filter::Filter;
use super::list;
use super::query::Query;
use super::route::Objects;
use super::status::Refusal;
use crate::state::{Change, Key, Shared, State};

/// Changes of objects, as they happen.
pub(crate) struct Watch<R> {
    runtime: R,
    shared: Arc<Shared>,
    objects: Objects,
    filter: Filter,
    shape: Shape,
    /// Everything up to here was told.
    told: u64,
    /// The watches ended so far, when this one began.
    cuts: u64,
    ready: VecDeque<Bytes>,
    bookmarks: bool,
    next_bookmark: Instant,
    ends: Instant,
    over: bool,
}

/// How often a client hears up to where it has heard everything.
const BOOKMARK: Duration = Duration::from_secs(60);

/// How long a watch lasts if nothing else is asked for: an API server takes 30 to 60 minutes.
const LONGEST: Duration = Duration::from_secs(30 * 60);

impl<R: Runtime> Watch<R> {
    /// Begins behind the version asked for, or with all that there is.
    pub(crate) fn begin(
        runtime: R,
        shared: Arc<Shared>,
        objects: Objects,
        query: &Query,
        shape: Shape,
    ) -> Result<Body, Refusal> {
        let now = runtime.now();
        let filter = Filter::parse(
            objects.resource,
            query.get("labelSelector"),
            query.get("fieldSelector"),
        )?;
        // What is asked for by name is a watch of one.
        let version = query.number("resourceVersion")?;
        let seconds = query.number("timeoutSeconds")?;
        let initial = query.get("sendInitialEvents").map(|_| query.flag("sendInitialEvents"));
        let mut watch = Self {
            runtime,
            objects,
            filter,
            shape,
            told: 0,
            cuts: 0,
            ready: VecDeque::new(),
            bookmarks: query.flag("allowWatchBookmarks"),
            next_bookmark: after(now, BOOKMARK),
            ends: after(now, seconds.map_or(LONGEST, Duration::from_secs)),
            over: false,
            shared: Arc::clone(&shared),
        };
        let state = shared.read();
        watch.cuts = state.cuts();
        match version {
            Some(version) if initial != Some(true) => watch.told = version,
            _ => {
                watch.told = state.version();
                if initial != Some(false) {
                    watch.tell_all(&state);
                }
                if initial == Some(true) && watch.bookmarks {
                    let marks = json!({ "k8s.io/initial-events-end": "true" });
                    watch.tell_bookmark(Some(marks));
                }
            }
        }
        drop(state);
        Ok(Body::stream(futures_lite::stream::unfold(watch, |mut watch| async move {
            let piece = watch.next().await?;
            Some((io::Result::Ok(piece), watch))
        })))
    }

    /// The next event, a line of JSON; `None` when the watch is over.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            if self.over {
                return None;
            }
            // Before looking, so that no change falls between.
            let changed = self.shared.listen();
            self.look();
            if self.over || !self.ready.is_empty() {
                continue;
            }
            let wake = if self.bookmarks { self.ends.min(self.next_bookmark) } else { self.ends };
            if until(&self.runtime, wake, changed).await.is_ok() {
                continue;
            }
            let now = self.runtime.now();
            self.over = now >= self.ends;
            if self.bookmarks {
                self.next_bookmark = after(now, BOOKMARK);
                self.tell_bookmark(None);
            }
        }
    }

    /// What happened meanwhile?
    fn look(&mut self) {
        let shared = Arc::clone(&self.shared);
        let state = shared.read();
        if state.cuts() == self.cuts {
            self.tell_changes(&state);
        } else {
            self.over = true;
        }
    }

    fn tell_all(&mut self, state: &State) {
        let namespace = self.objects.namespace.clone();
        for (key, object) in state.list(self.objects.resource, namespace.as_deref()) {
            if self.concerns(key) && self.filter.matches(object) {
                self.tell("ADDED", object);
            }
        }
    }

    fn tell_changes(&mut self, state: &State) {
        let changes: Vec<Change> = match state.since(self.told) {
            Ok(changes) => changes.cloned().collect(),
            Err(why) => {
                let status = Refusal::expired(why).object();
                self.push("ERROR", &status);
                self.over = true;
                return;
            }
        };
        for change in changes {
            self.told = change.version;
            if self.concerns(&change.key) {
                self.tell_change(&change);
            }
        }
        self.told = self.told.max(state.version());
    }

    /// What was meant and is not any more is gone for this client.
    fn tell_change(&mut self, change: &Change) {
        let was = change.was.as_ref().is_some_and(|was| self.filter.matches(was));
        let is = !change.deleted && self.filter.matches(&change.is);
        match (was, is) {
            (false, false) => {}
            (false, true) => self.tell("ADDED", &change.is),
            (true, true) => self.tell("MODIFIED", &change.is),
            (true, false) => self.tell("DELETED", &change.is),
        }
    }

    fn tell_bookmark(&mut self, annotations: Option<Value>) {
        let mut metadata =
            json!({ "resourceVersion": self.told.to_string(), "creationTimestamp": null });
        if let Some(annotations) = annotations {
            metadata["annotations"] = annotations;
        }
        let resource = self.objects.resource;
        let mut object = json!({
            "kind": resource.describe().kind,
            "apiVersion": resource.api_version(),
            "metadata": metadata,
        });
        // Typed clients want these to be there.
        for part in ["spec", "status"] {
            object[part] = json!({});
        }
        if resource == crate::resource::Resource::Pods {
            object["spec"] = json!({ "containers": null });
        }
        if self.shape == Shape::Table {
            let object = list::one(resource, &object, self.shape);
            return self.push("BOOKMARK", &object);
        }
        self.push("BOOKMARK", &object);
    }

    fn tell(&mut self, kind: &str, object: &Value) {
        let object = list::one(self.objects.resource, object, self.shape);
        self.push(kind, &object);
    }

    fn push(&mut self, kind: &str, object: &Value) {
        let event = json!({ "type": kind, "object": object });
        self.ready.push_back(format!("{event}\n").into());
    }

    fn concerns(&self, key: &Key) -> bool {
        let Objects { resource, namespace, name, .. } = &self.objects;
        key.resource == *resource
            && namespace.as_ref().is_none_or(|namespace| key.namespace == *namespace)
            && name.as_ref().is_none_or(|name| key.name == *name)
    }
}
