//! What is to be forwarded, wherever it was said.

mod clash;
mod file;
mod line;
mod policies;

use std::fmt;

use portway_cluster::Destination;
use portway_resolve::{InvalidPortSpec, InvalidSelector, InvalidTarget, PortSpec, RemotePort};

use self::file::FileError;
pub(crate) use self::file::schema;
pub(crate) use self::line::port;
pub(crate) use self::policies::Policies;
use crate::args::ForwardArgs;
use crate::args::value::Address;

/// A forward that is wanted: where it leads, and where it is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// How events and errors call it: its target as given, or its name in a file.
    pub(crate) name: String,
    pub(crate) destination: Destination,
    /// The context's if not said, and so below.
    pub(crate) namespace: Option<String>,
    pub(crate) context: Option<String>,
    pub(crate) ports: Vec<PortSpec>,
    pub(crate) addresses: Vec<Address>,
    pub(crate) policies: Policies,
}

/// Why a command line wants nothing that there is.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WantedError {
    #[error("cannot forward to '{given}': {source}")]
    Target { given: String, source: InvalidTarget },
    #[error("cannot forward to pods with '{given}': {source}")]
    Selector { given: String, source: InvalidSelector },
    #[error("cannot forward port '{given}': {source}")]
    Port { given: String, source: InvalidPortSpec },
    #[error("UDP protocol is not supported for {given}: port-forward carries TCP only")]
    Udp { given: String },
    #[error("SCTP protocol is not supported for {given}: port-forward carries TCP only")]
    Sctp { given: String },
    #[error("no port of {name} is given; give [LOCAL:]REMOTE behind it")]
    NoPort { name: String },
    #[error(
        "local port {port} is asked for twice, by {one} and by {other}; give one of them another local port, or :{remote} for a free one"
    )]
    Twice { port: u16, one: String, other: String, remote: RemotePort },
    #[error(transparent)]
    File(#[from] FileError),
}

/// What is wanted: at least one forward, with at least one port each, no two on the same local port.
pub(crate) fn of(args: &ForwardArgs) -> Result<Vec<Wanted>, WantedError> {
    let new = |name: &str, destination: Destination| Wanted {
        name: name.to_owned(),
        destination,
        namespace: args.access.namespace.clone(),
        context: args.access.context.clone(),
        ports: Vec::new(),
        addresses: args.address.clone(),
        policies: args.policies(),
    };
    if args.files.is_empty() {
        line::read(args, new)
    } else {
        Ok(file::read(&args.files, &args.only, new)?)
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
