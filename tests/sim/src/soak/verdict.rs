use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use portway_driver::proto::{HalfClose, StreamError};
use portway_driver::{Protocol, RelayFailure, Sessions, WireForm};

use super::fates::Outage;
use super::ledger::{Entries, PodEnd, PodSide, ProgramEnd, ProgramSide};
use super::memory::{Held, Way};
use super::pod::Manner;
use super::scenario::ListenerEnd;
use super::setup::Setup;
use super::tally::Tally;
use crate::{Fault, FaultRecord};

/// All that is known of a run.
pub(super) struct Evidence<'a> {
    pub(super) setup: &'a Setup,
    pub(super) entries: &'a Entries,
    pub(super) faults: &'a [FaultRecord],
    pub(super) outage: Option<&'a Outage>,
    pub(super) server: SocketAddr,
    pub(super) doors: &'a [SocketAddr],
    pub(super) ends: &'a BTreeMap<SocketAddr, ListenerEnd>,
    /// When whoever was there was cut off.
    pub(super) cut_off: Option<Duration>,
}

/// Compares what programs and pods saw.
///
/// # Panics
/// It is not what was promised.
pub(super) fn judge(evidence: &Evidence<'_>, tally: &mut Tally) {
    evidence.count_faults(tally);
    for program in evidence.entries.programs.values() {
        evidence.judge_program(program, tally);
    }
    for pod in evidence.entries.pods.values() {
        evidence.judge_pod(pod, tally);
    }
    for held in &evidence.entries.held {
        evidence.judge_memory(*held, tally);
    }
}

impl Evidence<'_> {
    fn judge_program(&self, program: &ProgramSide, tally: &mut Tally) {
        let ProgramSide { header, manner, end, received, .. } = program;
        let number = header.program;
        let whole = manner.length(*header);
        assert!(*received <= whole, "program {number} got more than was said: {program:#?}");
        let Some(end) = end else { panic!("program {number} never ended: {program:#?}") };
        match end {
            ProgramEnd::Fin => {
                tally.count("program: saw a FIN");
                let complete =
                    *received == whole && *manner != Manner::Reset && *manner != Manner::Refuse;
                if !complete {
                    let excuse = self.cut_short(program);
                    assert!(
                        excuse.is_some(),
                        "a clean end with {received} of {whole} bytes: {}",
                        self.tell(program)
                    );
                    tally.count(format!(
                        "program: FIN before the last byte, {}",
                        excuse.unwrap_or("")
                    ));
                }
            }
            ProgramEnd::Left => tally.count("program: left by itself"),
            ProgramEnd::Broken(kind) => {
                tally.count(format!("program: saw {kind}"));
                let excuse = self.broken(program);
                assert!(
                    excuse.is_some(),
                    "a connection failed for no reason: {}",
                    self.tell(program)
                );
                tally.count(format!("program: broken, {}", excuse.unwrap_or("")));
            }
            ProgramEnd::GaveUp => {
                tally.count("program: gave up");
                let silent = self.touched(program, |fault| fault == Fault::Silence);
                // Another one hangs, and no more are allowed: it was silenced, or its program left and the
                // end of that is never passed on to a pod that waits for more.
                let silences = self.faults.iter().any(|fault| fault.fault == Fault::Silence);
                let kept = self.setup.half_close == HalfClose::Never && self.somebody_left();
                let waits = self.setup.max_sessions < 1_000 && (silences || kept);
                // On v4 the end of one stream shows only in the end of the session, which goes on.
                let unseen = self.is_v4() && program.local.is_none() && *received == whole;
                assert!(silent || waits || unseen, "a connection hangs: {}", self.tell(program));
            }
        }
    }

    /// Why a clean end may come before the last byte: nobody said more, or the program ended its sending
    /// and its pod was silent for as long as the policy waits.
    fn cut_short(&self, program: &ProgramSide) -> Option<&'static str> {
        let stalled =
            self.touched(program, |fault| matches!(fault, Fault::Stall(_) | Fault::Silence));
        if program.sent_fin && stalled && self.setup.half_close != HalfClose::Never {
            return Some("a stall looked like the end after a FIN");
        }
        self.hurried(program).then_some("one lingerer too many")
    }

    /// It may have had to go though its pod owed an answer.
    const fn hurried(&self, program: &ProgramSide) -> bool {
        program.sent_fin && self.setup.max_lingering == 1
    }

    fn somebody_left(&self) -> bool {
        self.entries.programs.values().any(|program| program.end == Some(ProgramEnd::Left))
    }

    /// Why a connection may break.
    fn broken(&self, program: &ProgramSide) -> Option<&'static str> {
        let lost = |fault| matches!(fault, Fault::Cut | Fault::Silence);
        let end = program.local.and_then(|(_, from)| self.ends.get(&from));
        let overflow = matches!(
            end.and_then(|end| end.failure.as_ref()),
            Some(RelayFailure::Stream(StreamError::Overflow))
        );
        // What a stream in this process says of it.
        let aborted = program.end == Some(ProgramEnd::Broken(ErrorKind::ConnectionAborted));
        let overflow = overflow || (program.local.is_none() && aborted);
        let reasons = [
            (!program.manner.ends_cleanly(), "its pod broke it"),
            (self.touched(program, lost), "a fault"),
            (
                self.cut_off.is_some_and(|at| program.ended.is_none_or(|end| at <= end)),
                "a shutdown",
            ),
            (overflow && self.may_overflow(), "an overflow"),
            // On v4 its goodbye may cross the server's and be answered by a reset.
            (self.hurried(program) && self.is_v4(), "one lingerer too many"),
            (self.setup.server_sessions < 1_000, "the server is full"),
            (self.unreached(program), "nobody was reached"),
        ];
        reasons.into_iter().find_map(|(holds, why)| holds.then_some(why))
    }

    fn may_overflow(&self) -> bool {
        self.setup.overflow.is_some() || self.setup.sessions == Sessions::Exclusive
    }

    /// Something of that kind befell a connection that the program may have depended on.
    fn touched(&self, program: &ProgramSide, kind: impl Fn(Fault) -> bool) -> bool {
        // Others may have dialled the session that it shares, before it came.
        const BEFORE: Duration = Duration::from_secs(60);
        let shared =
            matches!(self.setup.sessions, Sessions::Shared { .. }) || program.local.is_none();
        let from = if shared { program.started.saturating_sub(BEFORE) } else { program.started };
        self.faults.iter().filter(|fault| kind(fault.fault)).any(|fault| {
            let lasted = match fault.fault {
                Fault::Stall(time) => fault.at + time,
                Fault::Cut | Fault::Silence => fault.at,
            };
            let in_time = lasted >= from && program.ended.is_none_or(|end| fault.at <= end);
            if fault.to == self.server {
                return in_time;
            }
            if self.doors.contains(&fault.to) {
                return program.local.is_some_and(|(number, _)| number == fault.connection);
            }
            let known = self.entries.pods.get(&fault.connection).and_then(|pod| pod.header);
            match known {
                Some(header) => header.program == program.header.program,
                None => in_time && fault.to == program.manner.addr(),
            }
        })
    }

    fn judge_pod(&self, pod: &PodSide, tally: &mut Tally) {
        let Some(end) = pod.end else { panic!("a pod's connection never ended: {pod:?}") };
        tally.count(format!(
            "pod: {}",
            match end {
                PodEnd::Closed => "closed",
                PodEnd::Reset => "reset",
                PodEnd::Fin => "saw a FIN",
                PodEnd::Broken(_) => "saw a reset",
                PodEnd::GaveUp => "gave up",
            }
        ));
        let Some(program) = pod.header.and_then(|it| self.entries.programs.get(&it.program)) else {
            return;
        };
        assert!(
            pod.received <= program.sent,
            "a pod got more than was sent: {}",
            self.tell(program)
        );
        if end == PodEnd::Fin && pod.received < program.sent {
            // v4 cannot say of a session that ends how it ends.
            assert!(self.is_v4(), "half an upload looks like a whole one: {}", self.tell(program));
            assert!(!matches!(program.end, Some(ProgramEnd::Fin)), "{}", self.tell(program));
            tally.count("pod: saw a FIN behind half an upload, on v4");
        }
    }

    fn judge_memory(&self, held: Held, tally: &mut Tally) {
        let Held { program, way, bytes } = held;
        let most = self.setup.worst_case();
        let deaf = if way == Way::Down { "program" } else { "pod" };
        tally.count(format!("memory: looked at for a deaf {deaf}"));
        if bytes > most / 16 {
            tally.count(format!("memory: much is held for a deaf {deaf}"));
        }
        let setup = self.setup;
        assert!(
            bytes <= most,
            "{bytes} of at most {most} bytes are held {way:?}: {program} {setup:#?}"
        );
    }

    /// Something on the way to its pod could not be reached for a while.
    fn unreached(&self, program: &ProgramSide) -> bool {
        /// What somebody who asks in vain waits for an answer.
        const PATIENCE: Duration = Duration::from_secs(15);
        self.outage.is_some_and(|outage| {
            let on_the_way = outage.to == self.server || outage.to == program.manner.addr();
            let in_time = outage.until + PATIENCE >= program.started
                && program.ended.is_none_or(|end| outage.from <= end);
            on_the_way && in_time
        })
    }

    fn is_v4(&self) -> bool {
        matches!(self.setup.protocol, Protocol::V4 | Protocol::V4Base64)
            || (self.setup.protocol == Protocol::Auto && self.setup.forms == [WireForm::V4])
    }

    fn count_faults(&self, tally: &mut Tally) {
        for fault in self.faults {
            let hop = match fault.to {
                to if to == self.server => "server",
                to if self.doors.contains(&to) => "program",
                _ => "pod",
            };
            let kind = match fault.fault {
                Fault::Cut => "cut",
                Fault::Silence => "silence",
                Fault::Stall(_) => "stall",
            };
            tally.count(format!("fault: {kind} at the {hop} hop"));
            if fault.inside_a_write && fault.fault == Fault::Cut {
                tally.count(format!("fault: cut inside a write at the {hop} hop"));
            }
        }
    }

    /// All that is known of what became of a program.
    fn tell(&self, program: &ProgramSide) -> String {
        let end = program.local.and_then(|(_, from)| self.ends.get(&from));
        let pods = self.entries.pods.values();
        let number = program.header.program;
        let pods: Vec<_> =
            pods.filter(|pod| pod.header.is_some_and(|it| it.program == number)).collect();
        format!(
            "{program:#?}\nlistener: {end:?}\npods: {pods:#?}\nfaults: {:#?}\ncut off: {:?}\n{:#?}",
            self.faults, self.cut_off, self.setup
        )
    }
}
