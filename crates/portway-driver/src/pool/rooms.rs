use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

use portway_proto::Port;

use super::mailbox::Mailbox;
use super::{Guest, Keeping};
use crate::{Endpoint, after};

/// What a listener knows of its sessions, and who gets which. No I/O and no task: what is to be done
/// is for the caller, once nothing is locked.
#[derive(Debug)]
pub(super) struct Rooms<S> {
    keeping: Keeping,
    rooms: Vec<Room<S>>,
    next: u64,
    /// When a program connected last; at first, when the listener was opened.
    used: Instant,
    spare: Spare,
    /// The server's sessions carry one connection each: nobody waits to share one.
    fixed: bool,
}

/// One session, or one that is being dialled for somebody.
#[derive(Debug)]
struct Room<S> {
    id: RoomId,
    mailbox: Arc<Mailbox<S>>,
    /// The ports for which it is known where in the pod they lead.
    ports: Arc<[Port]>,
    /// Where it leads, once that is known.
    endpoint: Option<Endpoint>,
    guests: usize,
    standing: Standing,
    /// When the dial began.
    born: Instant,
    idle_since: Instant,
}

/// The name of a session in its pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RoomId(u64);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// On its way: guests may wait for it.
    Dialling,
    /// Takes guests.
    Open,
    /// Takes nobody: its health is being checked.
    Checking,
}

/// The session that is kept ahead of need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spare {
    /// Nobody sees to it.
    Unattended,
    /// A task does.
    Attended,
}

/// Where a guest went.
#[derive(Debug)]
pub(super) enum Lodging<S> {
    /// Into a session that stands or is on its way; its task, if it sleeps.
    There(Option<Waker>),
    /// A session is to be dialled.
    Dial(Dialling<S>),
}

/// A dial to be done.
#[derive(Debug)]
pub(super) struct Dialling<S> {
    pub(super) id: RoomId,
    pub(super) mailbox: Arc<Mailbox<S>>,
    pub(super) ports: Arc<[Port]>,
    /// Only in a form that many can share.
    pub(super) ahead: bool,
}

/// Whether an idle session goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Review {
    /// Until then at least.
    Stay(Instant),
    /// It was taken out.
    Leave,
}

impl<S> Rooms<S> {
    pub(super) const fn new(keeping: Keeping, now: Instant) -> Self {
        let spare = Spare::Unattended;
        Self { keeping, rooms: Vec::new(), next: 0, used: now, spare, fixed: false }
    }

    /// A place for a guest: where the last one left most recently, or where most are already.
    /// To a target that is not sticky, in a session of its own.
    pub(super) fn lodge(
        &mut self,
        guest: Guest<S>,
        all: &Arc<[Port]>,
        sticky: bool,
        now: Instant,
    ) -> Lodging<S> {
        self.used = now;
        let port = guest.ticket.bound.remote;
        // Nobody who was failed once is sent to a session that may be as dead as the last.
        let alone = guest.ticket.second_try || !sticky;
        let picked = if alone { None } else { self.pick(port) };
        if let Some(room) = picked {
            room.guests += 1;
            return Lodging::There(room.mailbox.push(guest));
        }
        let shares = self.keeping.per_session > 1 && !self.fixed && sticky;
        let ports = if shares { Arc::clone(all) } else { Arc::from([port]) };
        let room = self.add(ports, Standing::Dialling, 1, now);
        // Its task does not run yet.
        let _ = room.mailbox.push(guest);
        let (id, mailbox, ports) = (room.id, Arc::clone(&room.mailbox), Arc::clone(&room.ports));
        Lodging::Dial(Dialling { id, mailbox, ports, ahead: shares })
    }

    fn pick(&mut self, port: Port) -> Option<&mut Room<S>> {
        let (limit, fixed) = (self.keeping.per_session, self.fixed);
        let fits = |room: &&mut Room<S>| {
            let open = match room.standing {
                Standing::Open => true,
                Standing::Dialling => !fixed,
                Standing::Checking => false,
            };
            open && room.guests < limit && room.ports.contains(&port)
        };
        let rank =
            |room: &&mut Room<S>| (room.standing == Standing::Open, room.guests, room.idle_since);
        self.rooms.iter_mut().filter(fits).max_by_key(rank)
    }

    fn add(
        &mut self,
        ports: Arc<[Port]>,
        standing: Standing,
        guests: usize,
        now: Instant,
    ) -> &Room<S> {
        self.next += 1;
        let (id, mailbox) = (RoomId(self.next), Arc::new(Mailbox::new()));
        let (endpoint, born, idle_since) = (None, now, now);
        let room = Room { id, mailbox, ports, endpoint, guests, standing, born, idle_since };
        self.rooms.push(room);
        &self.rooms[self.rooms.len() - 1]
    }

    /// A session that was dialled ahead of need.
    pub(super) fn add_spare(
        &mut self,
        all: &Arc<[Port]>,
        endpoint: &Endpoint,
        now: Instant,
    ) -> (RoomId, Arc<Mailbox<S>>) {
        self.spare = Spare::Unattended;
        let room = self.add(Arc::clone(all), Standing::Checking, 0, now);
        let (id, mailbox) = (room.id, Arc::clone(&room.mailbox));
        self.lead(id, endpoint);
        (id, mailbox)
    }

    /// A session stands. One that is fixed to its first guest is no room: it is out.
    pub(super) fn dialled(&mut self, id: RoomId, endpoint: &Endpoint, fixed: bool) {
        self.fixed = fixed;
        self.lead(id, endpoint);
        if fixed {
            self.remove(id);
        } else if let Some(room) = self.get(id) {
            room.standing = Standing::Open;
        }
    }

    /// The server has no session that can be dialled ahead of need or shared.
    pub(super) fn note_fixed(&mut self) {
        self.fixed = true;
    }

    /// A guest left. Once it was the last, nobody comes before the session's health is checked.
    pub(super) fn left(&mut self, id: RoomId) {
        if let Some(room) = self.get(id) {
            room.guests = room.guests.saturating_sub(1);
            if room.guests == 0 {
                room.standing = Standing::Checking;
            }
        }
    }

    /// A guest that had left goes on.
    pub(super) fn came_back(&mut self, id: RoomId) {
        if let Some(room) = self.get(id) {
            room.guests += 1;
            room.standing = Standing::Open;
        }
    }

    /// It is healthy and empty. Refused, and taken out, where enough are kept, it is too old, or the
    /// next connection may have to go elsewhere.
    pub(super) fn park(&mut self, id: RoomId, sticky: bool, now: Instant) -> Review {
        let wanted = sticky && self.idle() <= self.keeping.max_idle;
        match self.get(id) {
            Some(room) if wanted => {
                room.standing = Standing::Open;
                room.idle_since = now;
                self.review(id, now)
            }
            _ => {
                self.remove(id);
                Review::Leave
            }
        }
    }

    /// Whether an idle session is kept: the last one for longer than the others.
    pub(super) fn review(&mut self, id: RoomId, now: Instant) -> Review {
        let (idle, used) = (self.idle(), self.used);
        let Keeping { idle_time, spare_time, max_age, .. } = self.keeping;
        let Some(room) = self.get(id) else { return Review::Leave };
        if room.guests > 0 {
            // On its way to us.
            return Review::Stay(after(now, idle_time));
        }
        let old = after(room.born, max_age);
        let unused = after(room.idle_since, idle_time);
        let until = if idle <= 1 { after(used, spare_time).max(unused) } else { unused }.min(old);
        if until <= now {
            self.remove(id);
            return Review::Leave;
        }
        // Others may come to rest meanwhile: look again.
        let again = after(now, idle_time).max(unused);
        Review::Stay(until.min(again))
    }

    /// It takes no more guests. Those who were sent to it and not welcomed are in its mailbox.
    pub(super) fn remove(&mut self, id: RoomId) {
        self.rooms.retain(|room| room.id != id);
    }

    /// All that are idle are not what they were dialled for any more: the pod has gone.
    pub(super) fn distrust(&mut self) -> Vec<Waker> {
        let idle = |room: &Room<S>| room.guests == 0 && room.standing != Standing::Dialling;
        self.retire(idle)
    }

    /// Those that lead where the target does not lead any more take nobody else.
    pub(super) fn keep_current(&mut self, is_current: impl Fn(&Endpoint) -> bool) -> Vec<Waker> {
        self.retire(|room| room.endpoint.as_ref().is_some_and(|endpoint| !is_current(endpoint)))
    }

    fn retire(&mut self, whom: impl Fn(&Room<S>) -> bool) -> Vec<Waker> {
        let wakers = self.rooms.iter().filter(|room| whom(room));
        let wakers = wakers.filter_map(|room| room.mailbox.retire()).collect();
        self.rooms.retain(|room| !whom(room));
        wakers
    }

    /// A spare is missing, and the caller has to see to it.
    pub(super) fn claim_spare(&mut self, now: Instant) -> bool {
        let claim = self.spare == Spare::Unattended && self.wants_spare(now);
        if claim {
            self.spare = Spare::Attended;
        }
        claim
    }

    pub(super) fn wants_spare(&self, now: Instant) -> bool {
        let recent = now < after(self.used, self.keeping.spare_time);
        self.keeping.spare && !self.fixed && recent && self.idle() == 0
    }

    pub(super) fn give_up_spare(&mut self) {
        self.spare = Spare::Unattended;
    }

    /// Sessions that wait for a guest.
    pub(super) fn idle(&self) -> usize {
        let idle = |room: &&Room<S>| room.guests == 0 && room.standing == Standing::Open;
        self.rooms.iter().filter(idle).count()
    }

    fn lead(&mut self, id: RoomId, endpoint: &Endpoint) {
        if let Some(room) = self.get(id) {
            room.endpoint = Some(endpoint.clone());
        }
    }

    fn get(&mut self, id: RoomId) -> Option<&mut Room<S>> {
        self.rooms.iter_mut().find(|room| room.id == id)
    }
}
