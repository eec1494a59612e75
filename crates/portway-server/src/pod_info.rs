use portway_driver::Port;

/// What a pod's object says beside its name: for who reads it over [the API](crate::Server::with_api).
///
/// Ports are information: any port can be asked for, declared or not. A name makes it possible to ask
/// for it by that (`kubectl port-forward pod/web-0 8080:http`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PodInfo {
    uid: Option<String>,
    ports: Vec<(Port, Option<String>)>,
}

impl PodInfo {
    /// A pod that declares nothing.
    pub const fn new() -> Self {
        Self { uid: None, ports: Vec::new() }
    }

    /// Its UID.
    #[must_use]
    pub fn with_uid(mut self, uid: impl Into<String>) -> Self {
        self.uid = Some(uid.into());
        self
    }

    /// It declares this port, and no name for it.
    #[must_use]
    pub fn with_port(mut self, port: Port) -> Self {
        self.ports.push((port, None));
        self
    }

    /// It declares this port by this name.
    #[must_use]
    pub fn with_named_port(mut self, name: impl Into<String>, port: Port) -> Self {
        self.ports.push((port, Some(name.into())));
        self
    }

    pub(crate) fn uid(&self) -> Option<&str> {
        self.uid.as_deref()
    }

    pub(crate) fn ports(&self) -> impl Iterator<Item = (Port, Option<&str>)> {
        self.ports.iter().map(|(port, name)| (*port, name.as_deref()))
    }
}
