use crate::place::Place;
use crate::program::Seen;

/// Arguments, and what comes of them.
///
/// In `args`, A and B are ports of every pod, which are free on this machine; C and D are free too, and
/// in no pod; V is taken on `127.0.0.1` alone and W on both loopback addresses.
pub(crate) struct Row {
    pub(crate) args: &'static str,
    pub(crate) kubectl: Outcome,
    /// What portway does instead, and why.
    pub(crate) differs: Option<(Outcome, &'static str)>,
}

/// What comes of a command.
pub(crate) struct Outcome {
    /// For each line `Forwarding from`, the pod and its port that bytes come to, or nothing where they
    /// come to none.
    pub(crate) leads_to: &'static [&'static str],
    /// How it ends: by itself, or after it was interrupted.
    pub(crate) code: i32,
    /// Words on stderr, of any case. Without any there is nothing on stderr.
    pub(crate) says: &'static [&'static str],
}

/// It opens these, and ends well when it is interrupted.
pub(crate) const fn opens(args: &'static str, leads_to: &'static [&'static str]) -> Row {
    Row { args, kubectl: Outcome { leads_to, code: 0, says: &[] }, differs: None }
}

/// It does not work, and both say so in these words.
pub(crate) const fn fails(args: &'static str, says: &'static [&'static str]) -> Row {
    Row { args, kubectl: Outcome { leads_to: &[], code: 1, says }, differs: None }
}

/// It does not work, and each says so in words of its own.
pub(crate) const fn fails_saying(
    args: &'static str,
    theirs: &'static [&'static str],
    ours: &'static [&'static str],
) -> Row {
    let ours = Outcome { leads_to: &[], code: 1, says: ours };
    fails(args, theirs).but(ours, "it says what is missing, not what it was waiting for")
}

/// It makes no sense, which kubectl's exit code does not tell from what did not work.
pub(crate) const fn nonsense(args: &'static str, says: &'static [&'static str]) -> Row {
    let ours = Outcome { leads_to: &[], code: 2, says };
    fails(args, says).but(ours, "nonsense is told by its exit code from what did not work")
}

impl Row {
    pub(crate) const fn but(self, portway: Outcome, why: &'static str) -> Self {
        Self { args: self.args, kubectl: self.kubectl, differs: Some((portway, why)) }
    }

    pub(crate) fn portway(&self) -> &Outcome {
        self.differs.as_ref().map_or(&self.kubectl, |(portway, _)| portway)
    }
}

impl Outcome {
    pub(crate) fn check(&self, seen: &Seen, place: &Place) -> Result<(), String> {
        let expected: Vec<_> = self.leads_to.iter().map(|to| place.fill(to)).collect();
        let said = seen.stderr.to_lowercase();
        let missing =
            self.says.iter().find(|words| !said.contains(&place.fill(words).to_lowercase()));
        if seen.leads_to != expected {
            Err(format!("leads to {:?} and not to {expected:?}; {seen:?}", seen.leads_to))
        } else if seen.code != Some(self.code) {
            Err(format!("exit code {:?} and not {}; {seen:?}", seen.code, self.code))
        } else if let Some(words) = missing {
            Err(format!("{words:?} is not in {:?}", seen.stderr))
        } else if self.says.is_empty() && !said.is_empty() {
            Err(format!("{:?} on stderr", seen.stderr))
        } else {
            Ok(())
        }
    }
}
