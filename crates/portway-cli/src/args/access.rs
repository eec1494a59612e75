use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args};

use super::value::{Header, timeout};

/// How to get to the cluster, in kubectl's flags.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Cluster")]
pub(crate) struct AccessArgs {
    /// The namespace; the context's if not said
    #[arg(short, long, value_name = "NAME")]
    pub(crate) namespace: Option<String>,

    /// The kubeconfig file; $KUBECONFIG (several files maybe) or ~/.kube/config if not said, and in a
    /// pod its service account
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,

    /// The context of the kubeconfig; its current one if not said
    #[arg(long, value_name = "NAME")]
    pub(crate) context: Option<String>,

    /// The cluster of the kubeconfig
    #[arg(long, value_name = "NAME")]
    pub(crate) cluster: Option<String>,

    /// The user of the kubeconfig
    #[arg(long, value_name = "NAME")]
    pub(crate) user: Option<String>,

    /// The API server, such as the http://127.0.0.1:8001 of `kubectl proxy`; needs no kubeconfig
    #[arg(short, long, value_name = "URL")]
    pub(crate) server: Option<String>,

    /// A bearer token, in place of all other credentials
    #[arg(long, value_name = "TOKEN")]
    pub(crate) token: Option<String>,

    /// Act as this user
    #[arg(long = "as", value_name = "USER")]
    pub(crate) as_user: Option<String>,

    /// Act as a member of this group; can be given several times
    #[arg(long, value_name = "GROUP")]
    pub(crate) as_group: Vec<String>,

    /// Act as the user with this UID
    #[arg(long, value_name = "UID")]
    pub(crate) as_uid: Option<String>,

    /// A file with the certificates of the authorities to trust
    #[arg(long, value_name = "FILE")]
    pub(crate) certificate_authority: Option<String>,

    /// A file with the certificate to show
    #[arg(long, value_name = "FILE")]
    pub(crate) client_certificate: Option<String>,

    /// A file with the key of the certificate
    #[arg(long, value_name = "FILE")]
    pub(crate) client_key: Option<String>,

    /// Do not check who the server is: whoever is on the way can read and change everything
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub(crate) insecure_skip_tls_verify: Option<bool>,

    /// The name that the server's certificate must have, if not that of its URL
    #[arg(long, value_name = "NAME")]
    pub(crate) tls_server_name: Option<String>,

    /// A header to send with every request; can be given several times
    #[arg(long, value_name = "NAME: VALUE", hide_possible_values = true)]
    pub(crate) header: Vec<Header>,

    /// How long the server may take to answer, such as 10s or 1m30s; 0 for as long as it likes. If not
    /// said 10 s for an object, 30 s for a session
    #[arg(long, value_name = "DURATION", value_parser = timeout)]
    pub(crate) request_timeout: Option<Duration>,

    /// Say more on stderr; twice for everything (-v=6, as kubectl has it, is everything too)
    #[arg(
        short,
        long = "verbose",
        alias = "v",
        action = ArgAction::Append,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "1",
        value_name = "LEVEL",
    )]
    verbose: Vec<u8>,
}

impl AccessArgs {
    pub(crate) fn verbosity(&self) -> u8 {
        self.verbose.iter().fold(0, |sum, level| sum.saturating_add(*level))
    }
}
