use crate::stream::Stream;

/// Names one stream of one session. A stale id is an error, never another stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId {
    index: u32,
    generation: u32,
}

impl StreamId {
    pub(crate) const fn index(self) -> usize {
        self.index as usize
    }
}

/// The streams of a session, by slot. A slot is used again after release, under a new generation
/// (the ABA guard).
#[derive(Debug, Default)]
pub(crate) struct Store {
    slots: Vec<Slot>,
    free: Vec<u32>,
    live: usize,
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    stream: Option<Box<Stream>>,
}

impl Store {
    pub(crate) fn insert(&mut self, stream: Stream) -> StreamId {
        self.live += 1;
        let stream = Some(Box::new(stream));
        if let Some(index) = self.free.pop()
            && let Some(slot) = self.slots.get_mut(index as usize)
        {
            slot.stream = stream;
            return StreamId { index, generation: slot.generation };
        }
        #[allow(clippy::cast_possible_truncation, reason = "memory ends before 2^32 streams")]
        let index = self.slots.len() as u32;
        self.slots.push(Slot { generation: 0, stream });
        StreamId { index, generation: 0 }
    }

    pub(crate) fn get(&self, id: StreamId) -> Option<&Stream> {
        let slot = self.slots.get(id.index()).filter(|slot| slot.generation == id.generation)?;
        slot.stream.as_deref()
    }

    pub(crate) fn get_mut(&mut self, id: StreamId) -> Option<&mut Stream> {
        let slot =
            self.slots.get_mut(id.index()).filter(|slot| slot.generation == id.generation)?;
        slot.stream.as_deref_mut()
    }

    pub(crate) fn remove(&mut self, id: StreamId) -> Option<Box<Stream>> {
        let slot =
            self.slots.get_mut(id.index()).filter(|slot| slot.generation == id.generation)?;
        let stream = slot.stream.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(id.index);
        self.live -= 1;
        Some(stream)
    }

    /// The live streams in slot order, which is the same in every run.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (StreamId, &Stream)> + '_ {
        self.slots.iter().zip(0_u32..).filter_map(|(slot, index)| {
            let id = StreamId { index, generation: slot.generation };
            slot.stream.as_deref().map(|stream| (id, stream))
        })
    }

    /// Slots ever made: an upper bound for walking them by [`Self::id_at`] while they change.
    pub(crate) fn slots(&self) -> usize {
        self.slots.len()
    }

    /// The live stream in a slot.
    pub(crate) fn id_at(&self, slot: usize) -> Option<StreamId> {
        let found = self.slots.get(slot)?;
        let index = u32::try_from(slot).ok()?;
        found.stream.as_ref().map(|_| StreamId { index, generation: found.generation })
    }

    pub(crate) fn len(&self) -> usize {
        self.live
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, Port};

    fn stream(port: u16) -> Stream {
        Stream::new(Port::new(port).unwrap(), &Config::client(), 1)
    }

    #[test]
    fn a_slot_that_is_used_again_does_not_answer_to_its_old_name() {
        let mut store = Store::default();
        let old = store.insert(stream(1));
        let other = store.insert(stream(2));
        assert!(store.remove(old).is_some());
        let new = store.insert(stream(3));
        assert_eq!(old.index(), new.index(), "the slot is used again");
        assert_ne!(old, new);
        assert!(store.get(old).is_none() && store.get_mut(old).is_none());
        assert!(store.remove(old).is_none(), "a stale name removes nothing");
        assert_eq!(store.get(new).map(|stream| stream.port), Port::new(3));
        assert_eq!(store.get(other).map(|stream| stream.port), Port::new(2));
        assert_eq!((store.len(), store.slots()), (2, 2));
        assert_eq!(
            (store.id_at(0), store.id_at(1), store.id_at(2)),
            (Some(new), Some(other), None)
        );
    }
}
