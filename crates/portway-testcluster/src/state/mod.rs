//! What the cluster knows: its objects, in every version that a watch may still ask for, and what runs
//! in its pods.

mod controllers;
mod key;
mod template;

pub(crate) use key::{Key, is_terminating, labels, text, uid};
pub(crate) use template::{Template, set_ready};

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use event_listener::{Event, EventListener};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::pod::Running;
use crate::resource::Resource;

/// The state of a cluster, shared by its server and by everybody's handles.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    /// Something is different, or every watch is to end.
    changed: Event,
}

/// What the lock guards.
#[derive(Debug)]
pub(crate) struct State {
    /// That of the last change.
    version: u64,
    /// Changes up to this one are forgotten.
    forgotten: u64,
    history: VecDeque<Change>,
    objects: BTreeMap<Key, Arc<Value>>,
    /// What runs in pods, by their UIDs.
    running: BTreeMap<String, Arc<Running>>,
    /// What controllers make pods of, by the UIDs of their objects.
    templates: BTreeMap<String, Template>,
    /// How often all watches were ended.
    cuts: u64,
    made: u64,
}

/// A change of one object.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) version: u64,
    pub(crate) key: Key,
    pub(crate) was: Option<Arc<Value>>,
    /// What became of it; behind a deletion, its last words.
    pub(crate) is: Arc<Value>,
    pub(crate) deleted: bool,
}

/// The version asked for is older than what is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too old resource version: {asked} ({oldest})")]
pub(crate) struct TooOld {
    pub(crate) asked: u64,
    pub(crate) oldest: u64,
}

impl Shared {
    pub(crate) fn new() -> Self {
        let mut state = State {
            version: 0,
            forgotten: 0,
            history: VecDeque::new(),
            objects: BTreeMap::new(),
            running: BTreeMap::new(),
            templates: BTreeMap::new(),
            cuts: 0,
            made: 0,
        };
        for name in ["default", "kube-system"] {
            state.make_namespace(name);
        }
        Self { state: Mutex::new(state), changed: Event::new() }
    }

    pub(crate) fn read(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes something; then controllers do their work, and watches hear of it.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.read();
        let result = change(&mut state);
        state.settle();
        drop(state);
        self.changed.notify(usize::MAX);
        result
    }

    /// Hears of the next change.
    pub(crate) fn listen(&self) -> EventListener {
        self.changed.listen()
    }
}

impl State {
    /// Changes that are remembered.
    const HISTORY: usize = 4_096;

    pub(crate) const fn version(&self) -> u64 {
        self.version
    }

    pub(crate) const fn cuts(&self) -> u64 {
        self.cuts
    }

    /// Ends all watches.
    pub(crate) const fn cut_watches(&mut self) {
        self.cuts += 1;
    }

    /// Forgets what was, so that a watch has to begin anew. The version moves on, because a watch may
    /// begin at the last one that is known.
    pub(crate) fn forget(&mut self) {
        self.version += 1;
        self.forgotten = self.version;
        self.history.clear();
    }

    pub(crate) fn get(&self, key: &Key) -> Option<&Arc<Value>> {
        self.objects.get(key)
    }

    /// The objects of a kind, in a namespace or in all, in the order of their keys.
    pub(crate) fn list<'a>(
        &'a self,
        resource: Resource,
        namespace: Option<&'a str>,
    ) -> impl Iterator<Item = (&'a Key, &'a Arc<Value>)> + 'a {
        let first = Key::new(resource, namespace.unwrap_or_default(), "");
        self.objects.range(first..).take_while(move |(key, _)| {
            key.resource == resource && namespace.is_none_or(|namespace| key.namespace == namespace)
        })
    }

    /// The same as it was at a version.
    pub(crate) fn list_at(
        &self,
        resource: Resource,
        namespace: Option<&str>,
        version: u64,
    ) -> Result<Vec<(Key, Arc<Value>)>, TooOld> {
        let mut objects: BTreeMap<Key, Arc<Value>> = self
            .list(resource, namespace)
            .map(|(key, object)| (key.clone(), Arc::clone(object)))
            .collect();
        // Backwards.
        for change in self.since(version)?.rev() {
            let here = namespace.is_none_or(|namespace| change.key.namespace == namespace);
            if change.key.resource == resource && here {
                match &change.was {
                    Some(was) => objects.insert(change.key.clone(), Arc::clone(was)),
                    None => objects.remove(&change.key),
                };
            }
        }
        Ok(objects.into_iter().collect())
    }

    /// What happened after a version.
    pub(crate) fn since(
        &self,
        version: u64,
    ) -> Result<impl DoubleEndedIterator<Item = &Change>, TooOld> {
        if version < self.forgotten {
            return Err(TooOld { asked: version, oldest: self.forgotten });
        }
        let first = self.history.partition_point(|change| change.version <= version);
        Ok(self.history.range(first..))
    }

    /// Puts an object there, new or instead of what was.
    pub(crate) fn put(&mut self, key: Key, mut object: Value) -> Arc<Value> {
        self.version += 1;
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        let object = Arc::new(object);
        let was = self.objects.insert(key.clone(), Arc::clone(&object));
        let is = Arc::clone(&object);
        self.remember(Change { version: self.version, key, was, is, deleted: false });
        object
    }

    /// Changes an object, if it is there and `change` changes anything.
    pub(crate) fn edit(
        &mut self,
        key: &Key,
        change: impl FnOnce(&mut Value),
    ) -> Option<Arc<Value>> {
        let was = self.objects.get(key)?;
        let mut object = Value::clone(was);
        change(&mut object);
        if object == **was {
            return Some(Arc::clone(was));
        }
        Some(self.put(key.clone(), object))
    }

    /// Takes an object away, and kills what runs in it. Its last words.
    pub(crate) fn remove(&mut self, key: &Key) -> Option<Arc<Value>> {
        let was = self.objects.remove(key)?;
        if let Some(running) = self.running.remove(uid(&was)) {
            running.end();
        }
        self.templates.remove(uid(&was));
        self.version += 1;
        let mut last = Value::clone(&was);
        last["metadata"]["resourceVersion"] = self.version.to_string().into();
        let is = Arc::new(last);
        let change =
            Change { version: self.version, key: key.clone(), was: Some(was), is, deleted: true };
        let last = Arc::clone(&change.is);
        self.remember(change);
        Some(last)
    }

    fn remember(&mut self, change: Change) {
        self.history.push_back(change);
        if self.history.len() > Self::HISTORY {
            self.forgotten = self.history.pop_front().map_or(0, |change| change.version);
        }
    }

    /// What every object says of itself.
    pub(crate) fn metadata(&mut self, namespace: &str, name: &str) -> Value {
        self.made += 1;
        let mut metadata = json!({
            "name": name,
            // Different for every object, and the same in every run of a test.
            "uid": format!("00000000-0000-4000-8000-{:012x}", self.made),
            "creationTimestamp": now(),
        });
        if !namespace.is_empty() {
            metadata["namespace"] = namespace.into();
        }
        metadata
    }

    /// What a generated name ends in: different every time, and the same in every run of a test.
    pub(crate) fn suffix(&mut self, length: u32) -> String {
        const LETTERS: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
        self.made += 1;
        let count = (LETTERS.len() as u64).pow(length);
        // Odd, so no two are the same within a round.
        let mut number = self.made.wrapping_mul(0x9e37_79b9_7f4a_7c15) % count;
        let mut suffix = String::new();
        for _ in 0..length {
            let index = usize::try_from(number % LETTERS.len() as u64).unwrap_or_default();
            suffix.push(char::from(LETTERS[index]));
            number /= LETTERS.len() as u64;
        }
        suffix
    }

    pub(crate) fn make_namespace(&mut self, name: &str) {
        let key = Key::new(Resource::Namespaces, "", name);
        if self.get(&key).is_some() {
            return;
        }
        let mut metadata = self.metadata("", name);
        metadata["labels"] = json!({ "kubernetes.io/metadata.name": name });
        let namespace = json!({
            "kind": "Namespace",
            "apiVersion": "v1",
            "metadata": metadata,
            "spec": { "finalizers": ["kubernetes"] },
            "status": { "phase": "Active" },
        });
        self.put(key, namespace);
    }

    /// Takes away what is in a namespace.
    pub(crate) fn empty_namespace(&mut self, namespace: &str) {
        let within = self.objects.keys().filter(|key| key.namespace == namespace);
        for key in within.cloned().collect::<Vec<_>>() {
            self.remove(&key);
        }
    }

    /// What a controller makes pods of.
    pub(crate) fn template_of(&self, key: &Key) -> Option<&Template> {
        self.templates.get(uid(self.get(key)?))
    }

    pub(crate) fn set_template(&mut self, object: &Value, template: Template) {
        self.templates.insert(uid(object).to_owned(), template);
    }

    pub(crate) fn change_template(&mut self, key: &Key, change: impl FnOnce(&mut Template)) {
        let of = self.get(key).map(|object| uid(object).to_owned());
        if let Some(template) = of.and_then(|of| self.templates.get_mut(&of)) {
            change(template);
        }
    }

    /// What runs in a pod.
    pub(crate) fn running(&self, key: &Key) -> Option<&Arc<Running>> {
        self.running.get(uid(self.get(key)?))
    }
}

/// As objects say it.
pub(crate) fn now() -> String {
    let now = Timestamp::now();
    Timestamp::from_second(now.as_second()).unwrap_or(now).to_string()
}
