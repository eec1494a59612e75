use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;

use super::null_is_default;

/// What every object has.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Metadata {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub namespace: String,
    /// Which object of that name: another one after it was deleted and made anew.
    pub uid: String,
    /// What selectors look at.
    #[serde(deserialize_with = "null_is_default")]
    pub labels: BTreeMap<String, String>,
    /// When it was made.
    pub creation_timestamp: Option<Timestamp>,
    /// It is being deleted, since then or soon.
    pub deletion_timestamp: Option<Timestamp>,
}
