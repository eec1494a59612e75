use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use portway_driver::{Port, TargetEvent, after};
use portway_resolve::object::{Phase, Pod};
use portway_resolve::{RemotePort, best_pod};

use crate::plan::{PLAN_KEPT, Plan};
use crate::{LookupError, Policy};

/// What is known of a target, and which of its pods is next. No I/O, no clock and no chance.
#[derive(Debug)]
pub(crate) struct State {
    target: Arc<str>,
    namespace: Arc<str>,
    plan: Option<Plan>,
    plan_read: Option<Instant>,
    pods: BTreeMap<String, Arc<Pod>>,
    /// Pods that connections were sent to and still may be; of a sticky target the one that it
    /// sticks to.
    held: Vec<Held>,
    /// Who was last, of those that take turns.
    last: String,
    /// A watch keeps `pods` up to date.
    live: bool,
    /// There will be none.
    unwatched: bool,
    /// Something speaks against what is known of pods, since then.
    doubted: Option<Instant>,
    /// There was a pod once.
    reached: bool,
    outage: Option<Outage>,
    read: Option<Instant>,
    failed: Option<(Instant, LookupError)>,
    next_read: Option<Instant>,
    names: BTreeMap<Port, RemotePort>,
    events: VecDeque<TargetEvent>,
}

/// A pod that connections are sent to.
#[derive(Debug)]
struct Held {
    name: String,
    uid: String,
    ready: bool,
}

/// Why a pod that lives is let go of.
const DESELECTED: &str = "the target does not select it any more";

impl Held {
    fn lost(&self, namespace: &str, reason: impl Into<String>) -> TargetEvent {
        let (namespace, pod) = (namespace.to_owned(), self.name.clone());
        TargetEvent::Lost { namespace, pod, reason: reason.into() }
    }
}

/// The target leads to no pod.
#[derive(Debug)]
struct Outage {
    since: Instant,
    told: Option<String>,
}

impl State {
    pub(crate) fn new(target: Arc<str>, namespace: Arc<str>) -> Self {
        Self {
            target,
            namespace,
            plan: None,
            plan_read: None,
            pods: BTreeMap::new(),
            held: Vec::new(),
            last: String::new(),
            live: false,
            unwatched: false,
            doubted: None,
            reached: false,
            outage: None,
            read: None,
            failed: None,
            next_read: None,
            names: BTreeMap::new(),
            events: VecDeque::new(),
        }
    }

    // -- what is learnt

    /// The target itself was read.
    pub(crate) fn note_plan(&mut self, plan: Plan, now: Instant) {
        let (pods, events, namespace) = (&self.pods, &mut self.events, &self.namespace);
        self.held.retain(|held| {
            let selected = pods.get(&held.name).is_none_or(|pod| plan.select.includes(pod));
            if !selected {
                events.push_back(held.lost(namespace, DESELECTED));
            }
            selected
        });
        self.plan = Some(plan);
        self.plan_read = Some(now);
    }

    /// All its pods were read; the request went out at `began`.
    pub(crate) fn note_pods(&mut self, pods: Vec<Pod>, began: Instant, now: Instant) {
        let named = |pod: Pod| (pod.metadata.name.clone(), Arc::new(pod));
        self.pods = pods.into_iter().map(named).collect();
        self.note_read(began);
        self.review(now);
    }

    /// One of its pods was read again, or has changed.
    pub(crate) fn note_pod(&mut self, pod: Pod, now: Instant) {
        self.pods.insert(pod.metadata.name.clone(), Arc::new(pod));
        self.review(now);
    }

    /// One of its pods is gone, or is none of its pods any more.
    pub(crate) fn note_gone(&mut self, name: &str, selected: bool, now: Instant) {
        self.pods.remove(name);
        if !selected {
            let (events, namespace) = (&mut self.events, &self.namespace);
            self.held.retain(|held| {
                let stays = held.name != name;
                if !stays {
                    events.push_back(held.lost(namespace, DESELECTED));
                }
                stays
            });
        }
        self.review(now);
    }

    /// What is known is what the server says, as of a request that went out at `began`.
    pub(crate) fn note_read(&mut self, began: Instant) {
        self.read = Some(began);
        self.failed = None;
        // What was on its way by then may be as old.
        self.doubted = self.doubted.filter(|since| *since > began);
    }

    /// It could not be read.
    pub(crate) fn note_failure(&mut self, error: &LookupError, began: Instant, now: Instant) {
        self.failed = Some((began, error.clone()));
        self.tell_resolving(error, now);
    }

    /// Nobody needs to read it again before this.
    pub(crate) fn set_next_read(&mut self, at: Instant) {
        self.next_read = Some(at);
    }

    /// A watch keeps what is known up to date, or does not any more.
    pub(crate) fn set_live(&mut self, live: bool) {
        self.live = live;
    }

    /// No watch will tell that a pod has gone.
    pub(crate) fn set_unwatched(&mut self) {
        self.unwatched = true;
    }

    /// Something speaks against what is known of pods.
    pub(crate) fn doubt(&mut self, now: Instant) {
        self.doubted = Some(now);
    }

    /// Something speaks against what is known of the target itself.
    pub(crate) fn doubt_plan(&mut self, now: Instant) {
        self.plan = None;
        self.doubt(now);
    }

    /// What the ports of a listener are called, besides their numbers.
    pub(crate) fn name_port(&mut self, port: Port, remote: RemotePort) {
        self.names.insert(port, remote);
    }

    // -- what is known

    pub(crate) fn plan(&self) -> Option<&Plan> {
        self.plan.as_ref()
    }

    /// The target itself need not be read again while it leads to a pod.
    pub(crate) fn plan_holds(&self, now: Instant) -> bool {
        let recent = self.plan_read.is_some_and(|read| now < after(read, PLAN_KEPT));
        self.plan.is_some() && !self.held.is_empty() && (self.live || recent)
    }

    /// The one pod to be looked at, where no other is wanted.
    pub(crate) fn only_pod(&self, policy: Policy) -> Option<String> {
        match (policy, self.held.as_slice()) {
            (Policy::Sticky, [held]) => Some(held.name.clone()),
            _ => None,
        }
    }

    /// Nothing has to be read for somebody who asked at `asked`.
    pub(crate) fn is_fresh(&self, asked: Instant) -> bool {
        self.doubted.is_none() && (self.live || self.read.is_some_and(|read| read >= asked))
    }

    /// What became of a reading for somebody who asked at `asked`, if it failed.
    pub(crate) fn failure(&self, asked: Instant) -> Option<LookupError> {
        self.failed.as_ref().filter(|(began, _)| *began >= asked).map(|(_, error)| error.clone())
    }

    pub(crate) fn is_live(&self) -> bool {
        self.live && self.doubted.is_none()
    }

    pub(crate) fn is_unwatched(&self) -> bool {
        self.unwatched
    }

    pub(crate) fn next_read(&self) -> Option<Instant> {
        self.next_read
    }

    /// Since when it leads to no pod.
    pub(crate) fn out_since(&self) -> Option<Instant> {
        self.outage.as_ref().map(|outage| outage.since)
    }

    /// Waiting may help.
    pub(crate) fn may_recover_from(&self, error: &LookupError) -> bool {
        let hopeless = if self.reached {
            error.is_final() && !error.is_not_found()
        } else {
            error.is_final_at_first()
        };
        !hopeless
    }

    /// No connection was ever sent anywhere.
    pub(crate) const fn is_new(&self) -> bool {
        !self.reached
    }

    pub(crate) fn is_current(&self, uid: &str) -> bool {
        self.held.iter().any(|held| held.uid == uid)
    }

    pub(crate) fn is_current_name(&self, name: &str) -> bool {
        self.held.iter().any(|held| held.name == name)
    }

    /// What is asked for by this number.
    pub(crate) fn remote(&self, port: Port) -> RemotePort {
        self.names.get(&port).cloned().unwrap_or(RemotePort::Number(port))
    }

    pub(crate) fn next_event(&mut self) -> Option<TargetEvent> {
        self.events.pop_front()
    }

    // -- the choice

    /// The pod for a connection. With `last_resort` one that is not ready will do, as it will where there
    /// was none before: kubectl never asks for more.
    pub(crate) fn choose(
        &mut self,
        policy: Policy,
        last_resort: bool,
        now: Instant,
    ) -> Result<Arc<Pod>, LookupError> {
        if policy == Policy::Sticky
            && let Some(held) = self.held.first()
            && let Some(pod) = self.pods.get(&held.name).map(Arc::clone)
        {
            self.tell_restored(&pod, now);
            return Ok(pod);
        }
        match self.pick(policy, last_resort) {
            Some(pod) => {
                self.hold(&pod);
                self.tell_restored(&pod, now);
                Ok(pod)
            }
            None => {
                let error = self.why_none();
                self.tell_resolving(&error, now);
                Err(error)
            }
        }
    }

    /// Ends an outage as soon as a pod is there, before the next connection comes.
    pub(crate) fn recover(&mut self, policy: Policy, now: Instant) {
        if self.outage.is_none() {
            return;
        }
        if policy == Policy::Sticky {
            let _ = self.choose(policy, false, now);
        } else if let Some(pod) = self.pick(Policy::PerConnection, false) {
            self.tell_restored(&pod, now);
        }
    }

    fn pick(&self, policy: Policy, last_resort: bool) -> Option<Arc<Pod>> {
        let usable = || self.pods.values().filter(|pod| unusable(pod).is_none());
        let mut candidates: Vec<&Arc<Pod>> = usable().filter(|pod| pod.is_ready()).collect();
        if candidates.is_empty() && (last_resort || !self.reached) {
            candidates = usable().collect();
        }
        let picked = match policy {
            // They are in the order of their names.
            Policy::RoundRobin => {
                let next = candidates.iter().find(|pod| pod.metadata.name > self.last);
                next.or_else(|| candidates.first()).copied()
            }
            Policy::Sticky | Policy::PerConnection => {
                let best = best_pod(candidates.iter().map(|pod| &***pod));
                best.and_then(|best| self.pods.get(&best.metadata.name))
            }
        };
        picked.map(Arc::clone)
    }

    fn hold(&mut self, pod: &Pod) {
        self.reached = true;
        self.last.clone_from(&pod.metadata.name);
        if !self.is_current(&pod.metadata.uid) {
            let (name, uid) = (pod.metadata.name.clone(), pod.metadata.uid.clone());
            self.held.push(Held { name, uid, ready: pod.is_ready() });
        }
    }

    /// Lets go of pods that no connection is to be sent to any more.
    fn review(&mut self, now: Instant) {
        let (pods, events, namespace) = (&self.pods, &mut self.events, &self.namespace);
        self.held.retain_mut(|held| {
            let reason = match pods.get(&held.name) {
                None => Some("it is gone".to_owned()),
                Some(pod) if pod.metadata.uid != held.uid => {
                    Some("another pod has its name now".to_owned())
                }
                Some(pod) => unusable(pod).or_else(|| {
                    (held.ready && !pod.is_ready()).then(|| "it is not ready".to_owned())
                }),
            };
            let Some(reason) = reason else {
                held.ready = pods.get(&held.name).is_some_and(|pod| pod.is_ready());
                return true;
            };
            events.push_back(held.lost(namespace, reason));
            false
        });
        if self.reached && self.held.is_empty() && self.outage.is_none() {
            self.outage = Some(Outage { since: now, told: None });
        }
    }

    /// What the pod lacks that has come the furthest, of those that are not on their way out.
    fn why_none(&self) -> LookupError {
        let stays = |pod: &&Arc<Pod>| pod.metadata.deletion_timestamp.is_none();
        let best = best_pod(self.pods.values().filter(stays).map(|pod| &**pod));
        let Some(best) = best.or_else(|| best_pod(self.pods.values().map(|pod| &**pod))) else {
            let (target, namespace) = (Arc::clone(&self.target), Arc::clone(&self.namespace));
            return LookupError::NoPod { target, namespace };
        };
        let pod = Arc::from(best.metadata.name.as_str());
        if best.metadata.deletion_timestamp.is_some() {
            LookupError::Leaving { pod }
        } else if best.status.phase != Phase::Running {
            LookupError::NotRunning { pod, phase: best.status.phase.clone() }
        } else {
            LookupError::NotReady { pod }
        }
    }

    // -- events

    /// Once for each thing that stands in the way, unless nobody waits for it to pass.
    fn tell_resolving(&mut self, error: &LookupError, now: Instant) {
        if !self.may_recover_from(error) {
            return;
        }
        let outage = self.outage.get_or_insert(Outage { since: now, told: None });
        let text = error.to_string();
        if outage.told.as_ref() != Some(&text) {
            outage.told = Some(text);
            self.events.push_back(TargetEvent::Resolving { error: error.clone().into() });
        }
    }

    fn tell_restored(&mut self, pod: &Pod, now: Instant) {
        if let Some(outage) = self.outage.take() {
            let (namespace, pod) = (self.namespace.to_string(), pod.metadata.name.clone());
            let after = now.saturating_duration_since(outage.since);
            self.events.push_back(TargetEvent::Restored { namespace, pod, after });
        }
    }
}

/// Why no connection can be sent there, whatever else there is.
fn unusable(pod: &Pod) -> Option<String> {
    if pod.metadata.deletion_timestamp.is_some() {
        return Some("it is being deleted".to_owned());
    }
    (pod.status.phase != Phase::Running).then(|| format!("it is {}", pod.status.phase))
}
