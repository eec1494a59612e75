use schemars::JsonSchema;
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::schema;

/// What stands behind a key, and where.
///
/// It is always the text: `22:80`, `8080` and `5` mean what they mean on a command line, whatever numbers
/// YAML, old or new, makes of them.
type Text = Spanned<String>;

/// Forwards for `portway -f FILE`: what each leads to, and the local ports that lead there.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    /// What holds for every forward that does not say otherwise
    #[serde(default)]
    #[schemars(schema_with = "schema::defaults")]
    pub(super) defaults: Option<Spanned<Entry>>,
    /// The forwards
    #[schemars(schema_with = "schema::forwards")]
    pub(super) forwards: Spanned<Vec<Spanned<Entry>>>,
}

/// A forward: local ports that lead to a target
///
/// `defaults` are made of the same keys, but for those of [`OF_A_FORWARD`](schema::OF_A_FORWARD).
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
#[schemars(rename = "Forward", transform = schema::forward)]
pub(super) struct Entry {
    /// How messages and events call the forward, and how --only picks it. Default: the target or the
    /// selector as written. No two forwards have the same name
    #[schemars(schema_with = "schema::text")]
    pub(super) name: Option<Text>,
    /// Where it leads: a pod by its name, or TYPE/NAME such as svc/web, deployment/web or pod/web-0
    #[schemars(schema_with = "schema::text")]
    pub(super) target: Option<Text>,
    /// Where it leads, in place of a target: to a pod with these labels, such as app=web
    #[schemars(schema_with = "schema::text")]
    pub(super) selector: Option<Text>,
    /// The local ports and where they lead: REMOTE, LOCAL:REMOTE, or :REMOTE for a free local port.
    /// REMOTE is a number, or the name of a port
    #[schemars(schema_with = "schema::ports")]
    pub(super) ports: Option<Spanned<Vec<Text>>>,
    /// The namespace of the target. Default: --namespace, or else that of the context
    #[schemars(schema_with = "schema::text")]
    pub(super) namespace: Option<Text>,
    /// The context of the kubeconfig. Default: --context, or else the current one
    #[schemars(schema_with = "schema::text")]
    pub(super) context: Option<Text>,
    /// Local addresses to listen on: IP addresses, or localhost for 127.0.0.1 and ::1, of which one is
    /// enough. Default: those of --address, or else localhost
    #[schemars(schema_with = "schema::addresses")]
    pub(super) addresses: Option<Spanned<Vec<Text>>>,
    /// What happens when a pod goes: sticky takes another one, per-connection asks for the best one each
    /// time, round-robin takes the ready ones in turn; off ends the command. Default: sticky
    #[schemars(schema_with = "schema::reconnect")]
    pub(super) reconnect: Option<Text>,
    /// What the end of a local program's sending does: end the session at once (immediate), nothing
    /// (never), or end it after so many seconds without an answer from the pod. Default: 5
    #[schemars(schema_with = "schema::half_close")]
    pub(super) half_close: Option<Text>,
    /// How connections are put on sessions: one at a time (exclusive), or up to N on each (shared:N).
    /// Default: exclusive
    #[schemars(schema_with = "schema::sessions")]
    pub(super) sessions: Option<Text>,
    /// Bytes kept for each connection and direction while its other side is behind, from 4Ki to 1Gi.
    /// Default: 512Ki
    #[schemars(schema_with = "schema::buffer")]
    pub(super) buffer: Option<Text>,
    /// What to speak with the server: auto is whatever works. Default: auto
    #[schemars(schema_with = "schema::protocol")]
    pub(super) protocol: Option<Text>,
}
