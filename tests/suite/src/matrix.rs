//! What is run: scenarios, in every role and wire form that can do what they need.

use std::fmt;

use portway_driver::WireForm;

/// A promise.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::exhaustive_structs)]
pub struct Scenario {
    /// The noun it is about, and the promise: `half_close::request_fin_then_response`.
    pub name: &'static str,
    /// Who can be tested for it, and what the wire has to be able to do then.
    pub roles: &'static [(Role, &'static [Need])],
}

/// Which half of a forward is ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)]
pub enum Role {
    /// Our driver is; what it talks to is written by hand.
    Client,
    /// `portway-server` is; its client is written by hand.
    Server,
}

/// What a scenario needs of the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)]
pub enum Need {
    /// The end of one direction can be said while the other goes on.
    HalfClose,
    /// One stream can be given up while the session goes on.
    Reset,
    /// Streams are opened as it goes.
    DynamicOpen,
    /// The ports are fixed by the upgrade and announced by the server.
    FixedPorts,
    /// The end of one stream is seen while the session goes on.
    RemoteEof,
    /// There are WebSocket messages.
    WebSocket,
    /// There is no WebSocket: this is what is fallen back to.
    NoWebSocket,
    /// What is said is bytes, not text.
    Bytes,
    /// It is asked for where nobody has chosen a form.
    Unasked,
}

/// One square of the matrix.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::exhaustive_structs)]
pub struct Case {
    /// The promise.
    pub scenario: &'static Scenario,
    /// Whose.
    pub role: Role,
    /// In which wire form.
    pub form: WireForm,
}

/// The wire forms, in the order of the tables.
pub const FORMS: [WireForm; 4] =
    [WireForm::V4, WireForm::V4Base64, WireForm::Tunnel, WireForm::Spdy];

impl Scenario {
    /// All squares of this promise, the skipped ones included.
    pub fn cases(&'static self) -> impl Iterator<Item = Case> {
        self.roles
            .iter()
            .flat_map(move |(role, _)| FORMS.map(|form| Case { scenario: self, role: *role, form }))
    }
}

impl Case {
    /// What the wire form cannot do of what is needed.
    pub fn skipped(&self) -> Option<Need> {
        let needs = self.scenario.roles.iter().find(|(role, _)| *role == self.role);
        let (_, needs) = needs.expect("a role of the scenario");
        needs.iter().copied().find(|need| !need.is_met(self.form))
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, {})", self.scenario.name, self.role, self.form)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Client => "client",
            Self::Server => "server",
        })
    }
}

impl Need {
    fn is_met(self, form: WireForm) -> bool {
        let capabilities = form.capabilities();
        match self {
            Self::HalfClose => capabilities.half_close,
            Self::Reset => capabilities.reset,
            Self::DynamicOpen => capabilities.dynamic_open,
            Self::FixedPorts => !capabilities.dynamic_open,
            Self::RemoteEof => capabilities.remote_eof,
            Self::WebSocket => form.subprotocol().is_some(),
            Self::NoWebSocket => form.subprotocol().is_none(),
            Self::Bytes | Self::Unasked => form != WireForm::V4Base64,
        }
    }

    /// Why a wire form lacks it.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::HalfClose => "the wire cannot say the end of one direction (protocol.md B.8 #3)",
            Self::Reset => "the wire cannot give up one stream (protocol.md B.8)",
            Self::DynamicOpen => "the ports are fixed by the upgrade (protocol.md B.1)",
            Self::FixedPorts => "streams name their ports as they open (protocol.md C.5)",
            Self::RemoteEof => "nothing tells the end of one port (protocol.md B.8 #1)",
            Self::WebSocket => "there is no WebSocket (protocol.md C.2)",
            Self::NoWebSocket => "this is not what is fallen back to (protocol.md A.6)",
            Self::Bytes => "its messages are text (protocol.md B.2)",
            Self::Unasked => "it has to be chosen (protocol.md A.3)",
        }
    }
}

/// The squares that are skipped, as `skips.txt` has them.
pub fn skips(scenarios: &'static [Scenario]) -> String {
    let mut text = String::new();
    for case in scenarios.iter().flat_map(Scenario::cases) {
        if let Some(need) = case.skipped() {
            let Case { scenario, role, form } = case;
            text += &format!("{} {role} {form}: {}\n", scenario.name, need.reason());
        }
    }
    text
}
