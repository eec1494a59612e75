use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Metadata, null_is_default};

/// What makes pods: a deployment, replica set, stateful set, daemon set, job or replication controller.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Workload {
    /// Its name and the like.
    pub metadata: Metadata,
    /// What was asked for.
    #[serde(deserialize_with = "null_is_default")]
    pub spec: WorkloadSpec,
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct WorkloadSpec {
    /// Which pods are its own.
    pub selector: Option<LabelSelector>,
}

/// Which pods are meant.
///
/// A replication controller has labels where all others have `matchLabels`; both are read.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(from = "AsWritten")]
#[non_exhaustive]
pub struct LabelSelector {
    /// They have all of these labels.
    pub match_labels: BTreeMap<String, String>,
    /// And this is true of them.
    pub match_expressions: Vec<Requirement>,
}

/// Something to be true of an object's labels.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Requirement {
    /// Of this label.
    pub key: String,
    /// What is asked of its value.
    pub operator: Operator,
    /// Compared with these.
    #[serde(default, deserialize_with = "null_is_default")]
    pub values: Vec<String>,
}

/// What is asked of a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub enum Operator {
    /// It has one of the values.
    In,
    /// It has none of them, or is not there.
    NotIn,
    /// It is there.
    Exists,
    /// It is not there.
    DoesNotExist,
}

/// What is neither of both is an error, and never a selector that wants less.
#[derive(Deserialize)]
#[serde(untagged)]
enum AsWritten {
    Full(Full),
    Labels(BTreeMap<String, String>),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Full {
    #[serde(default, deserialize_with = "null_is_default")]
    match_labels: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "null_is_default")]
    match_expressions: Vec<Requirement>,
}

impl From<AsWritten> for LabelSelector {
    fn from(written: AsWritten) -> Self {
        match written {
            AsWritten::Full(Full { match_labels, match_expressions }) => {
                Self { match_labels, match_expressions }
            }
            AsWritten::Labels(match_labels) => Self { match_labels, match_expressions: Vec::new() },
        }
    }
}
