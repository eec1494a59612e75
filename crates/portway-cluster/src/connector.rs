use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use event_listener::Event;
use portway_driver::proto::handshake::{Action, Offer};
use portway_driver::{
    ConnectError, Connector, DialError, Endpoint, Mapping, Port, Remembered, ResolveError, Runtime,
    TargetEvent, TargetSink, Upgraded, after, until,
};
use portway_resolve::object::Pod;
use portway_resolve::{LocalPort, PortError, PortSpec, RemotePort};

use crate::pause::pause;
use crate::plan::{Plan, Select};
use crate::reader::Reader;
use crate::state::State;
use crate::watch::follow;
use crate::{Api, Destination, LookupError, Policy};

/// A [`Connector`] to a target whose pods come and go.
///
/// Clones are the same target: what one learns, all know. So a listener and a forward over clones lead to
/// the same pod, and however many listeners there are, one watch is open.
#[derive(Clone)]
pub struct TargetConnector<A, R> {
    inner: Arc<Inner<A, R>>,
}

pub(crate) struct Inner<A, R> {
    api: A,
    pub(crate) runtime: R,
    pub(crate) settings: Settings,
    state: Mutex<State>,
    /// Something is known that was not before.
    changed: Event,
    /// Who reads; others wait for what it brings.
    reading: async_lock::Mutex<()>,
    /// Who watches.
    watching: async_lock::Mutex<()>,
    sinks: Mutex<Vec<(u64, TargetSink)>>,
    next_sink: AtomicU64,
}

#[derive(Debug, Clone)]
pub(crate) struct Settings {
    namespace: Arc<str>,
    pub(crate) destination: Destination,
    policy: Policy,
    patience: Duration,
    pod_running_timeout: Duration,
    request_timeout: Duration,
    watched: bool,
}

/// A pod for a connection, and what its ports mean.
struct Found {
    pod: Arc<Pod>,
    plan: Plan,
}

impl<A: Api, R: Runtime> TargetConnector<A, R> {
    /// A target in a namespace. Nothing is asked yet.
    pub fn new(
        api: A,
        runtime: R,
        namespace: impl Into<Arc<str>>,
        destination: impl Into<Destination>,
    ) -> Self {
        Self::with(
            api,
            runtime,
            Settings {
                namespace: namespace.into(),
                destination: destination.into(),
                policy: Policy::default(),
                patience: Duration::from_secs(5),
                pod_running_timeout: Duration::from_secs(60),
                request_timeout: Duration::from_secs(10),
                watched: true,
            },
        )
    }

    fn with(api: A, runtime: R, settings: Settings) -> Self {
        let target = settings.destination.to_string().into();
        let mut state = State::new(target, Arc::clone(&settings.namespace));
        if !settings.watched {
            state.set_unwatched();
        }
        let state = Mutex::new(state);
        let inner = Inner {
            api,
            runtime,
            settings,
            state,
            changed: Event::new(),
            reading: async_lock::Mutex::new(()),
            watching: async_lock::Mutex::new(()),
            sinks: Mutex::default(),
            next_sink: AtomicU64::new(0),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The same target by other rules: a new one, which has learnt nothing.
    fn change(self, change: impl FnOnce(&mut Settings)) -> Self {
        let Inner { api, runtime, settings, .. } = &*self.inner;
        let mut settings = settings.clone();
        change(&mut settings);
        Self::with(api.clone(), runtime.clone(), settings)
    }

    /// Another namespace.
    #[must_use]
    pub fn with_namespace(self, namespace: impl Into<Arc<str>>) -> Self {
        self.change(|settings| settings.namespace = namespace.into())
    }

    /// Which of the pods a connection gets. Default [`Policy::Sticky`].
    #[must_use]
    pub fn with_policy(self, policy: Policy) -> Self {
        self.change(|settings| settings.policy = policy)
    }

    /// How long a connection waits for a pod while there is none, before it fails with the reason.
    /// Default 5 s: what replaces a pod is mostly ready by then, and most programs wait that long for an
    /// answer. Failing at once would lose connections that nothing was wrong with; waiting for much
    /// longer would look like a server that hangs.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        self.change(|settings| settings.patience = patience)
    }

    /// How long [`mappings`](Self::mappings) waits for the first pod to run: kubectl's
    /// `--pod-running-timeout`. Default 1 min.
    #[must_use]
    pub fn with_pod_running_timeout(self, wait: Duration) -> Self {
        self.change(|settings| settings.pod_running_timeout = wait)
    }

    /// How long the API server may take to answer when objects are read. Default 10 s.
    #[must_use]
    pub fn with_request_timeout(self, wait: Duration) -> Self {
        self.change(|settings| settings.request_timeout = wait)
    }

    /// Whether a listener keeps a watch on the pods open. Without one, as where the role does not allow
    /// it, every connection looks its pod up and has a session dialled for it. Default: yes.
    #[must_use]
    pub fn with_watch(self, watch: bool) -> Self {
        self.change(|settings| settings.watched = watch)
    }

    /// Asks the server for the target and waits for its first pod to run, and says what to listen on
    /// for these ports. A port that is named keeps its name: where a later pod has it elsewhere, it
    /// leads there.
    ///
    /// # Errors
    /// What is wrong with target, ports, rights or server; or no pod has run in time.
    pub async fn mappings(&self, specs: &[PortSpec]) -> Result<Vec<Mapping>, LookupError> {
        let Inner { settings, .. } = &*self.inner;
        let Found { pod, plan } = self.inner.find(settings.pod_running_timeout).await?;
        let mapped = plan.map(&pod, specs)?;
        // How a service calls it, not what it is in this pod.
        let asked: Vec<_> =
            specs.iter().map(|spec| PortSpec::new(LocalPort::Same, spec.remote.clone())).collect();
        let asked = plan.map(&pod, &asked)?;
        let mut state = self.inner.state();
        let mut mappings = Vec::with_capacity(specs.len());
        for ((spec, mapped), asked) in specs.iter().zip(mapped).zip(asked) {
            let port = Port::new(asked.local).unwrap_or(mapped.remote);
            let number = RemotePort::Number(port);
            // Where a number and a name mean the same port, the number stays.
            if spec.remote != number && !specs.iter().any(|other| other.remote == number) {
                state.name_port(port, spec.remote.clone());
            }
            mappings.push(match &spec.local {
                LocalPort::Unix(path) => Mapping::unix(path, port),
                LocalPort::Free | LocalPort::Same | LocalPort::Number(_) | _ => {
                    Mapping::new(mapped.local, port)
                }
            });
        }
        Ok(mappings)
    }
}

impl<A: Api, R: Runtime> Connector for TargetConnector<A, R> {
    type Io = A::Io;

    async fn resolve(&self, ports: &[Port]) -> Result<Endpoint, ResolveError> {
        let inner = &*self.inner;
        let found = inner.find(inner.settings.patience).await?;
        let endpoint = match inner.endpoint(&found, ports) {
            Ok(endpoint) => endpoint,
            // The service may have changed since it was read.
            Err(error) => {
                tracing::debug!(%error, "the target is read again");
                inner.state().doubt_plan(inner.runtime.now());
                let found = inner.find(inner.settings.patience).await?;
                inner.endpoint(&found, ports).map_err(LookupError::from)?
            }
        };
        Ok(endpoint)
    }

    async fn dial(&self, to: &Endpoint, offer: &Offer) -> Result<Upgraded<A::Io>, DialError> {
        self.inner.api.upgrade(to, offer).await
    }

    fn remembered(&self) -> Remembered {
        self.inner.api.remembered()
    }

    fn is_sticky(&self) -> bool {
        // What was kept might lead to a pod that is gone, and nobody would have said so.
        self.inner.settings.policy == Policy::Sticky && !self.inner.state().is_unwatched()
    }

    fn is_current(&self, to: &Endpoint) -> bool {
        to.uid.as_ref().is_none_or(|uid| self.inner.state().is_current(uid))
    }

    fn doubt(&self, to: &Endpoint) {
        if self.is_current(to) {
            self.inner.state().doubt(self.inner.runtime.now());
        }
    }

    async fn has_moved(&self, to: &Endpoint) -> bool {
        self.doubt(to);
        let inner = &*self.inner;
        // Whether there is another pod is not the question yet: it would be waited for.
        let looked = inner.look(inner.runtime.now(), false).await;
        inner.tell();
        if let Err(error) = looked {
            tracing::debug!(%error, pod = to.pod, "not reached");
        }
        !self.is_current(to)
    }

    async fn try_again(&self, to: &Endpoint, error: &ConnectError, since: Instant) -> bool {
        let Inner { runtime, settings, changed, .. } = &*self.inner;
        let Some(action) = after_failure(error) else { return false };
        let mut wait = Duration::ZERO;
        match action {
            Action::Reresolve => self.doubt(to),
            Action::Retry { after } => wait = after.unwrap_or_default(),
            Action::FallBack | Action::Authenticate | Action::GiveUp | _ => return false,
        }
        let changed = changed.listen();
        let now = runtime.now();
        let wait = wait.max(pause(now.saturating_duration_since(since), runtime.random()));
        let at = after(now, wait);
        if at > after(since, settings.patience) {
            return false;
        }
        let _ = until(runtime, at, changed).await;
        true
    }

    async fn watch(&self, sink: TargetSink) {
        let _attached = Attached::new(&self.inner, sink);
        if !self.inner.settings.watched {
            return std::future::pending().await;
        }
        let _first = self.inner.watching.lock().await;
        follow(&self.inner).await;
    }
}

impl<A: Api, R: Runtime> Inner<A, R> {
    pub(crate) fn reader(&self) -> Reader<'_, A, R> {
        let Self { api, runtime, settings, .. } = self;
        let timeout = settings.request_timeout;
        Reader { api, runtime, namespace: &settings.namespace, timeout }
    }

    /// Takes in something that a watch has brought.
    pub(crate) fn change(&self, change: impl FnOnce(&mut State, Instant)) {
        let now = self.runtime.now();
        {
            let mut state = self.state();
            change(&mut state, now);
            state.recover(self.settings.policy, now);
        }
        self.changed.notify(usize::MAX);
        self.tell();
    }

    /// Tells all listeners of something that is not about pods.
    pub(crate) fn announce(&self, event: TargetEvent) {
        for (_, sink) in self.sinks().iter() {
            sink.send(event.clone());
        }
    }

    /// The pod for a connection, for which it is waited so long.
    async fn find(&self, patience: Duration) -> Result<Found, LookupError> {
        let runtime = &self.runtime;
        let end = after(runtime.now(), patience);
        loop {
            let changed = self.changed.listen();
            let asked = runtime.now();
            let looked = self.look(asked, asked >= end).await;
            self.tell();
            let error = match looked {
                Ok(found) => return Ok(found),
                Err(error) => error,
            };
            if asked >= end || !self.state().may_recover_from(&error) {
                return Err(error);
            }
            let next = {
                let state = self.state();
                // A watch says when there is something new.
                state.next_read().filter(|_| !state.is_live()).unwrap_or(end)
            };
            let _ = until(runtime, next.min(end), changed).await;
        }
    }

    /// Chooses by what is known, after reading it if it has to be.
    async fn look(&self, asked: Instant, last_resort: bool) -> Result<Found, LookupError> {
        if let Some(known) = self.known(asked, last_resort) {
            return known;
        }
        let _turn = self.reading.lock().await;
        if let Some(known) = self.known(asked, last_resort) {
            return known;
        }
        let began = self.runtime.now();
        let read = self.read(began).await;
        let now = self.runtime.now();
        let chance = self.runtime.random();
        let mut state = self.state();
        let chosen = match &read {
            Ok(()) => state.choose(self.settings.policy, last_resort, now),
            Err(error) => {
                state.note_failure(error, began, now);
                Err(error.clone())
            }
        };
        match chosen {
            Ok(pod) => self.found(&state, pod),
            Err(error) => {
                let waited = state.out_since().map_or(Duration::ZERO, |since| now - since);
                let wait = pause(waited, chance).max(error.retry_after().unwrap_or_default());
                state.set_next_read(after(now, wait));
                Err(error)
            }
        }
    }

    /// Chooses by what is known already, if that is good enough for somebody who asked at `asked`.
    fn known(&self, asked: Instant, last_resort: bool) -> Option<Result<Found, LookupError>> {
        let mut state = self.state();
        if let Some(error) = state.failure(asked) {
            return Some(Err(error));
        }
        if !state.is_fresh(asked) {
            return None;
        }
        let now = self.runtime.now();
        let chosen = state.choose(self.settings.policy, last_resort, now);
        Some(chosen.and_then(|pod| self.found(&state, pod)))
    }

    fn found(&self, state: &State, pod: Arc<Pod>) -> Result<Found, LookupError> {
        let plan = state.plan().cloned();
        let (target, namespace) = (&self.settings.destination, &self.settings.namespace);
        let missing = || LookupError::NoPod {
            target: target.to_string().into(),
            namespace: Arc::clone(namespace),
        };
        // Whoever knows pods knows why.
        Ok(Found { pod, plan: plan.ok_or_else(missing)? })
    }

    /// Reads as little as will do.
    async fn read(&self, began: Instant) -> Result<(), LookupError> {
        let reader = self.reader();
        let (plan, only) = {
            let state = self.state();
            let plan = state.plan().filter(|_| state.plan_holds(began)).cloned();
            (plan, state.only_pod(self.settings.policy))
        };
        if let (Some(_), Some(name)) = (&plan, only) {
            let read = reader.pod(&name).await;
            let now = self.runtime.now();
            let mut state = self.state();
            match read {
                Ok((pod, _)) => {
                    state.note_pod(pod, now);
                    state.note_read(began);
                }
                Err(error) if error.is_not_found() => state.note_gone(&name, true, now),
                Err(error) => return Err(error),
            }
            if state.is_current_name(&name) {
                return Ok(());
            }
        }
        let plan = reader.plan(&self.settings.destination).await?;
        let pods = match &plan.select {
            Select::Pod(name) => match reader.pod(name).await {
                Ok((pod, _)) => vec![pod],
                Err(error) if error.is_not_found() && !self.state().is_new() => Vec::new(),
                Err(error) => return Err(error),
            },
            Select::Labels(selector) => reader.pods(selector).await?.items,
        };
        let now = self.runtime.now();
        let mut state = self.state();
        state.note_plan(plan, now);
        state.note_pods(pods, began, now);
        Ok(())
    }

    fn endpoint(&self, found: &Found, ports: &[Port]) -> Result<Endpoint, PortError> {
        let Found { pod, plan } = found;
        let remotes: Vec<_> = {
            let state = self.state();
            ports.iter().map(|port| state.remote(*port)).collect()
        };
        let ports = plan.ports(pod, remotes)?;
        let endpoint = Endpoint::new(&*self.settings.namespace, &pod.metadata.name, &ports);
        Ok(endpoint.with_uid(&pod.metadata.uid))
    }

    /// Passes events on, in their order.
    fn tell(&self) {
        let sinks = self.sinks();
        loop {
            let event = self.state().next_event();
            let Some(event) = event else { return };
            tracing::debug!(%event, target = %self.settings.destination, "target");
            for (_, sink) in sinks.iter() {
                sink.send(event.clone());
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in there panics halfway.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lock this before the state: a sink asks about the state.
    fn sinks(&self) -> MutexGuard<'_, Vec<(u64, TargetSink)>> {
        self.sinks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What to do after a dial that failed.
const fn after_failure(error: &ConnectError) -> Option<Action> {
    let ConnectError::Dial(error) = error else { return None };
    match error {
        DialError::Refused { refusal, .. } => Some(refusal.action()),
        // The server may be on its way up again.
        DialError::Connect { .. } | DialError::Http { .. } => Some(Action::Retry { after: None }),
        // Who has waited that long already, or asked for nonsense, waits for nothing.
        DialError::Timeout { .. }
        | DialError::Offer(_)
        | DialError::Request(_)
        | DialError::Upgrade { .. }
        | DialError::Session(_)
        | _ => None,
    }
}

/// A listener is told what happens for as long as this is there.
struct Attached<'a, A, R> {
    inner: &'a Inner<A, R>,
    number: u64,
}

impl<'a, A: Api, R: Runtime> Attached<'a, A, R> {
    fn new(inner: &'a Inner<A, R>, sink: TargetSink) -> Self {
        let number = inner.next_sink.fetch_add(1, Ordering::Relaxed);
        inner.sinks().push((number, sink));
        Self { inner, number }
    }
}

impl<A, R> Drop for Attached<'_, A, R> {
    fn drop(&mut self) {
        let mut sinks = self.inner.sinks.lock().unwrap_or_else(PoisonError::into_inner);
        sinks.retain(|(number, _)| *number != self.number);
    }
}

impl<A, R> fmt::Debug for TargetConnector<A, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TargetConnector")
            .field("settings", &self.inner.settings)
            .finish_non_exhaustive()
    }
}
