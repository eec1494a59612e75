//! One stream: a data pair of halves that know nothing of each other, and an error text.
//!
//! ```text
//!  send half                                            receive half
//!
//!   Open ──finish──▶ Finishing ──flushed──▶ Lingering     Opening ──opened──▶ Open
//!    │                   │                      │            │                 │
//!    │                   │                  fin due         end               end
//!    │                   │                      ▼            ▼                 ▼
//!    └──────kill─────────┴──────kill──▶ Dead  Finished    Draining ◀───────────┘
//!                                                            │
//!                                                         drained
//!                                                            ▼
//!   any receive state but Ended ──stop──▶ Stopped          Ended
//! ```
//!
//! The tables below are the machine; `docs/STATE.md` is made from them by a test.

use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::chunks::Chunks;
use crate::recv_buf::RecvBuf;
use crate::{Config, HalfClose, OverflowPolicy, Port, RemoteText, StreamError, StreamEvent};

/// Where the sending half stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SendState {
    /// Takes bytes.
    Open,
    /// No more bytes are taken; some wait to be sent.
    Finishing,
    /// All bytes are sent; the half-close policy holds the FIN back.
    Lingering,
    /// The end of our direction was said, as far as the wire can say it.
    Finished,
    /// Abandoned; nothing more is sent.
    Dead,
}

/// What moves the sending half.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SendInput {
    /// The application has no more.
    Finish,
    /// The last byte was handed to the transport.
    Flushed,
    /// The half-close policy lets the FIN go.
    FinDue,
    /// Reset, failure, or the end of the session.
    Kill,
}

pub(crate) const SEND_TABLE: &[(SendState, SendInput, SendState)] = &[
    (SendState::Open, SendInput::Finish, SendState::Finishing),
    (SendState::Finishing, SendInput::Flushed, SendState::Lingering),
    (SendState::Lingering, SendInput::FinDue, SendState::Finished),
    (SendState::Open, SendInput::Kill, SendState::Dead),
    (SendState::Finishing, SendInput::Kill, SendState::Dead),
    (SendState::Lingering, SendInput::Kill, SendState::Dead),
];

impl SendState {
    /// The state after `input`, or `None` where it means nothing.
    pub(crate) fn after(self, input: SendInput) -> Option<Self> {
        let row = SEND_TABLE.iter().find(|(from, by, _)| *from == self && *by == input)?;
        Some(row.2)
    }

    pub(crate) const fn is_over(self) -> bool {
        matches!(self, Self::Finished | Self::Dead)
    }
}

/// Where the receiving half stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RecvState {
    /// Not announced by the other side yet.
    Opening,
    /// Data may come.
    Open,
    /// No more will come; some waits to be read.
    Draining,
    /// Everything was read: the end, or the failure.
    Ended,
    /// The application does not want any more.
    Stopped,
}

/// What moves the receiving half.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RecvInput {
    /// The other side announced the stream.
    Opened,
    /// FIN, the end of the session, or a failure.
    End,
    /// The application read the last of it.
    Drained,
    /// The application stops.
    Stop,
}

pub(crate) const RECV_TABLE: &[(RecvState, RecvInput, RecvState)] = &[
    (RecvState::Opening, RecvInput::Opened, RecvState::Open),
    (RecvState::Opening, RecvInput::End, RecvState::Draining),
    (RecvState::Open, RecvInput::End, RecvState::Draining),
    (RecvState::Draining, RecvInput::Drained, RecvState::Ended),
    (RecvState::Opening, RecvInput::Stop, RecvState::Stopped),
    (RecvState::Open, RecvInput::Stop, RecvState::Stopped),
    (RecvState::Draining, RecvInput::Stop, RecvState::Stopped),
];

impl RecvState {
    /// The state after `input`, or `None` where it means nothing.
    pub(crate) fn after(self, input: RecvInput) -> Option<Self> {
        let row = RECV_TABLE.iter().find(|(from, by, _)| *from == self && *by == input)?;
        Some(row.2)
    }

    pub(crate) const fn is_over(self) -> bool {
        matches!(self, Self::Ended | Self::Stopped)
    }

    /// More may come from the other side.
    pub(crate) const fn is_live(self) -> bool {
        matches!(self, Self::Opening | Self::Open)
    }
}

/// One stream of a session.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) port: Port,
    pub(crate) send: SendState,
    pub(crate) send_buf: Chunks,
    pub(crate) recv: RecvState,
    pub(crate) recv_buf: RecvBuf,
    pub(crate) failure: Option<StreamError>,
    pub(crate) error_text: ErrorText,
    /// Server: our own error text, due after the last data.
    pub(crate) farewell: Option<Bytes>,
    pub(crate) half_close: HalfClose,
    pub(crate) overflow: OverflowPolicy,
    /// Waits in the scheduler.
    pub(crate) scheduled: bool,
    /// Keeps the session paused.
    pub(crate) pausing: bool,
    /// Handed out by `open()` or `accept()`.
    pub(crate) claimed: bool,
    events: EventSet,
    /// Waits in the session's event queue.
    pub(crate) announced: bool,
    writable_owed: bool,
    last_data_went_out: bool,
    /// When, in reading time, the pod was last heard, or our last byte went out after the local end.
    silent_since: Option<Instant>,
}

impl Stream {
    pub(crate) fn new(port: Port, config: &Config, streams: usize) -> Self {
        Self {
            port,
            send: SendState::Open,
            send_buf: Chunks::default(),
            recv: RecvState::Opening,
            recv_buf: RecvBuf::default(),
            failure: None,
            error_text: ErrorText::default(),
            farewell: None,
            half_close: config.half_close(),
            overflow: config.overflow(streams),
            scheduled: false,
            pausing: false,
            claimed: false,
            events: EventSet::default(),
            announced: false,
            writable_owed: false,
            last_data_went_out: true,
            silent_since: None,
        }
    }

    /// Bytes that count against the session's bound.
    pub(crate) fn held(&self) -> usize {
        let farewell = self.farewell.as_ref().map_or(0, Bytes::len);
        self.recv_buf.held() + self.send_buf.len() + self.error_text.bytes.len() + farewell
    }

    /// Nothing more happens. A text that may go on is something that happens.
    pub(crate) fn is_done(&self) -> bool {
        self.send.is_over() && self.recv.is_over() && self.error_text.is_empty()
    }

    /// Both directions have come to their end, though some may wait to be read.
    pub(crate) fn has_ended(&self) -> bool {
        self.send.is_over() && !self.recv.is_live() && self.error_text.is_empty()
    }

    /// The remote's words, if there are any: nothing more is added to them.
    pub(crate) fn take_text(&mut self) -> Option<StreamError> {
        (!self.error_text.is_empty()).then(|| StreamError::Remote(self.error_text.take()))
    }

    /// Bytes that `write` takes now.
    pub(crate) fn capacity(&self, limit: usize) -> usize {
        match self.send {
            SendState::Open => limit.saturating_sub(self.send_buf.len()),
            SendState::Finishing | SendState::Lingering | SendState::Finished | SendState::Dead => {
                0
            }
        }
    }

    pub(crate) fn note_data_out(&mut self) {
        self.last_data_went_out = true;
    }

    pub(crate) fn note_blocked_writer(&mut self) {
        self.writable_owed = true;
    }

    /// A `Writable` is due once half of the buffer is free: waking the writer for every message
    /// would make it fill the buffer in crumbs. And once there is nothing to wait for any more.
    pub(crate) fn take_writable(&mut self, limit: usize) -> bool {
        let has_room = self.send_buf.len() <= limit / 2;
        let due = self.writable_owed && (has_room || self.send != SendState::Open);
        if due {
            self.writable_owed = false;
        }
        due
    }

    pub(crate) fn note_data_in(&mut self, now: Instant) {
        if self.send == SendState::Open {
            self.last_data_went_out = false;
        }
        self.silent_since = Some(now);
    }

    pub(crate) fn note_flushed(&mut self, now: Instant) {
        self.silent_since = Some(now);
    }

    /// When the FIN may go if the pod stays silent: `None` for never. `half_close` says whether the
    /// wire has one.
    pub(crate) fn fin_due(&self, half_close: bool) -> Option<Instant> {
        let (unanswered, answered) = match self.half_close {
            HalfClose::Immediate if half_close => (Duration::ZERO, Duration::ZERO),
            HalfClose::Immediate => (Duration::from_secs(1), Duration::ZERO),
            HalfClose::WhenIdle { unanswered, answered } => (unanswered, answered),
            HalfClose::Never => return None,
        };
        self.silent_since?.checked_add(if self.last_data_went_out { unanswered } else { answered })
    }

    /// Since when the pod has been silent, once the local end was reached and everything is sent.
    pub(crate) fn lingering(&self) -> Option<Instant> {
        self.silent_since.filter(|_| self.send == SendState::Lingering)
    }

    /// Nothing more goes out, and the last bytes before the local end came from the pod: the exchange
    /// looks done. Since when the pod has been silent.
    pub(crate) fn settled(&self) -> Option<Instant> {
        let sent = matches!(self.send, SendState::Lingering | SendState::Finished);
        self.silent_since.filter(|_| sent && !self.last_data_went_out)
    }

    pub(crate) fn raise(&mut self, event: EventBit) {
        self.events.0 |= event as u8;
    }

    /// Takes one pending event, in the order in which an application wants to hear of them.
    pub(crate) fn take_event(&mut self) -> Option<StreamEvent> {
        let bit = EventBit::ALL.into_iter().find(|bit| self.events.0 & *bit as u8 != 0)?;
        self.events.0 &= !(bit as u8);
        Some(match bit {
            EventBit::Opened => StreamEvent::Opened { port: self.port },
            EventBit::Readable => StreamEvent::Readable,
            EventBit::Writable => StreamEvent::Writable,
            EventBit::Lingering => StreamEvent::Lingering,
            EventBit::Failed => StreamEvent::Failed,
            EventBit::Done => StreamEvent::Done,
        })
    }

    pub(crate) const fn has_events(&self) -> bool {
        self.events.0 != 0
    }
}

/// A pending event; several are one bit each.
#[derive(Debug, Clone, Copy)]
pub(crate) enum EventBit {
    Opened = 1,
    Readable = 2,
    Writable = 4,
    Lingering = 8,
    Failed = 16,
    Done = 32,
}

impl EventBit {
    const ALL: [Self; 6] =
        [Self::Opened, Self::Readable, Self::Writable, Self::Lingering, Self::Failed, Self::Done];
}

#[derive(Debug, Default)]
struct EventSet(u8);

/// The text of a stream's error channel: bounded, and decoded once, at its end, since a character
/// can be cut by the end of a message.
#[derive(Debug, Default)]
pub(crate) struct ErrorText {
    bytes: Vec<u8>,
    truncated: bool,
}

impl ErrorText {
    pub(crate) fn push(&mut self, bytes: &[u8], limit: usize) {
        let room = limit.saturating_sub(self.bytes.len());
        let fits = bytes.get(..room).unwrap_or(bytes);
        self.truncated |= fits.len() < bytes.len();
        self.bytes.extend_from_slice(fits);
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.bytes.is_empty() && !self.truncated
    }

    pub(crate) fn take(&mut self) -> RemoteText {
        let Self { bytes, truncated } = std::mem::take(self);
        RemoteText::new(&bytes, truncated)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fmt::Write;

    use super::*;

    #[test]
    fn state_page_is_what_the_tables_say() {
        let mut page = String::from(
            "# The states of a stream\n\n\
             Made from the tables in `crates/portway-proto/src/stream.rs`; `UPDATE_DOCS=1 cargo test -p \
             portway-proto` writes it again.\n",
        );
        let send: Vec<_> =
            SEND_TABLE.iter().map(|r| format!("{:?}|{:?}|{:?}", r.0, r.1, r.2)).collect();
        let recv: Vec<_> =
            RECV_TABLE.iter().map(|r| format!("{:?}|{:?}|{:?}", r.0, r.1, r.2)).collect();
        for (title, rows) in [("Sending half", send), ("Receiving half", recv)] {
            write!(page, "\n## {title}\n\n| state | input | next |\n|---|---|---|\n").unwrap();
            for row in &rows {
                writeln!(page, "| {} |", row.replace('|', " | ")).unwrap();
            }
            let unique: BTreeSet<_> = rows.iter().map(|r| r.rsplit_once('|').unwrap().0).collect();
            assert_eq!(unique.len(), rows.len(), "{title}: two rows for one state and input");
        }
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/STATE.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, &page).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap_or_default(), page, "{path} is stale");
    }

    #[test]
    fn over_means_over() {
        for (from, _, _) in SEND_TABLE {
            assert!(!from.is_over(), "{from:?} is over and still moves");
        }
        for (from, _, _) in RECV_TABLE {
            assert!(!from.is_over(), "{from:?} is over and still moves");
        }
    }
}
