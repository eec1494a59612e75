use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::object::{LabelSelector, Operator, Requirement, Service, Workload};

/// Which pods are meant, by their labels.
///
/// Shown as the API server's `labelSelector` parameter wants it, and read from what people write there:
/// `app=web`, `app==web`, `app!=web`, `app in (web, api)`, `app notin (web)`, `app`, `!app`, with commas
/// between several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    requirements: Vec<Requirement>,
}

impl Selector {
    /// The pods that get what is sent to a service.
    ///
    /// # Errors
    /// It has none of its own: somebody else says where it leads.
    pub fn of_service(service: &Service) -> Result<Self, NoSelector> {
        if service.spec.selector.is_empty() {
            return Err(NoSelector::Service { name: service.metadata.name.clone() });
        }
        Ok(Self::labels(&service.spec.selector))
    }

    /// The pods of a workload.
    ///
    /// # Errors
    /// It does not say which they are.
    pub fn of_workload(workload: &Workload) -> Result<Self, NoSelector> {
        let selector = workload.spec.selector.as_ref();
        selector
            .map(Self::from)
            .ok_or_else(|| NoSelector::Workload { name: workload.metadata.name.clone() })
    }

    /// Whether something with these labels is meant.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.requirements.iter().all(|requirement| {
            let value = labels.get(&requirement.key);
            let listed = value.is_some_and(|value| requirement.values.contains(value));
            match requirement.operator {
                Operator::In => listed,
                Operator::NotIn => !listed,
                Operator::Exists => value.is_some(),
                Operator::DoesNotExist => value.is_none(),
            }
        })
    }

    fn labels(labels: &BTreeMap<String, String>) -> Self {
        let requirement = |(key, value): (&String, &String)| Requirement {
            key: key.clone(),
            operator: Operator::In,
            values: vec![value.clone()],
        };
        Self { requirements: labels.iter().map(requirement).collect() }
    }
}

impl From<&LabelSelector> for Selector {
    fn from(selector: &LabelSelector) -> Self {
        let mut all = Self::labels(&selector.match_labels);
        all.requirements.extend(selector.match_expressions.iter().cloned());
        all
    }
}

impl FromStr for Selector {
    type Err = InvalidSelector;

    fn from_str(text: &str) -> Result<Self, InvalidSelector> {
        if text.trim().is_empty() {
            return Err(InvalidSelector { part: String::new() });
        }
        let requirements = parts(text).map(|part| {
            parse_requirement(part.trim())
                .ok_or_else(|| InvalidSelector { part: part.trim().to_owned() })
        });
        Ok(Self { requirements: requirements.collect::<Result<_, _>>()? })
    }
}

/// At commas, but not at those between parentheses.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    text.split(move |c| {
        match c {
            '(' => inside = true,
            ')' => inside = false,
            _ => {}
        }
        c == ',' && !inside
    })
}

fn parse_requirement(text: &str) -> Option<Requirement> {
    let requirement = |key: &str, operator, values: Vec<String>| {
        is_key(key.trim()).then(|| Requirement { key: key.trim().to_owned(), operator, values })
    };
    let one = |value: &str| is_value(value.trim()).then(|| vec![value.trim().to_owned()]);
    if let Some(key) = text.strip_prefix('!') {
        return requirement(key, Operator::DoesNotExist, Vec::new());
    }
    if let Some((head, list)) = text.strip_suffix(')').and_then(|text| text.split_once('(')) {
        let (key, word) = head.trim_end().rsplit_once(char::is_whitespace)?;
        let operator = match word {
            "in" => Operator::In,
            "notin" => Operator::NotIn,
            _ => return None,
        };
        let values = list.split(',').map(str::trim);
        let values = values.map(|value| is_value(value).then(|| value.to_owned()));
        return requirement(key, operator, values.collect::<Option<_>>()?);
    }
    if let Some((key, value)) = text.split_once("!=") {
        return requirement(key, Operator::NotIn, one(value)?);
    }
    if let Some((key, value)) = text.split_once('=') {
        return requirement(key, Operator::In, one(value.strip_prefix('=').unwrap_or(value))?);
    }
    requirement(text, Operator::Exists, Vec::new())
}

/// `app`, `app.kubernetes.io/name`: the API server looks closer.
fn is_key(text: &str) -> bool {
    let byte = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'/');
    !text.is_empty() && text.bytes().all(byte)
}

/// It may be empty.
fn is_value(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Requirement { key, operator, values }) in self.requirements.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            match (operator, values.as_slice()) {
                (Operator::In, [value]) => write!(f, "{key}={value}")?,
                (Operator::In, values) => write!(f, "{key} in ({})", values.join(","))?,
                (Operator::NotIn, values) => write!(f, "{key} notin ({})", values.join(","))?,
                (Operator::Exists, _) => f.write_str(key)?,
                (Operator::DoesNotExist, _) => write!(f, "!{key}")?,
            }
        }
        Ok(())
    }
}

/// An object does not say which pods are its own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoSelector {
    /// An ExternalName service, or one whose endpoints somebody else keeps.
    #[error("service '{name}' has no selector, so it leads to no pod; name a pod instead")]
    Service {
        /// Its name.
        name: String,
    },
    /// The API server lets no such workload through.
    #[error("'{name}' has no selector, so none of its pods can be found; name a pod instead")]
    Workload {
        /// Its name.
        name: String,
    },
}

/// A text that is no [`Selector`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{part}' selects nothing; give labels such as app=web,tier in (front,back)")]
pub struct InvalidSelector {
    part: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn what_people_write_is_understood_and_shown_as_the_api_server_wants_it() {
        for (written, shown) in [
            ("app=web", "app=web"),
            ("app==web", "app=web"),
            (" app = web , tier=front", "app=web,tier=front"),
            ("app!=web", "app notin (web)"),
            ("app in (web,api)", "app in (web,api)"),
            ("app in ( web , api ),x", "app in (web,api),x"),
            ("app in (web)", "app=web"),
            ("app notin (web)", "app notin (web)"),
            ("app", "app"),
            ("!app", "!app"),
            ("app=", "app="),
            ("app.kubernetes.io/name=web_1.2-x", "app.kubernetes.io/name=web_1.2-x"),
        ] {
            let selector: Selector = written.parse().unwrap();
            assert_eq!(selector.to_string(), shown, "{written}");
            assert_eq!(shown.parse(), Ok(selector), "{written}");
        }
    }

    #[test]
    fn what_selects_nothing_is_refused() {
        for text in
            ["", " ", ",", "app=web,", "=web", "app in web", "app near (web)", "a b", "a=b=c"]
        {
            assert!(text.parse::<Selector>().is_err(), "{text:?}");
        }
        let error = "app=web,tier of (x)".parse::<Selector>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "'tier of (x)' selects nothing; give labels such as app=web,tier in (front,back)"
        );
    }

    #[test]
    fn labels_match_as_on_the_server() {
        let web = labels(&[("app", "web"), ("tier", "front")]);
        for (selector, meant) in [
            ("app=web", true),
            ("app=api", false),
            ("app in (api,web)", true),
            ("app!=web", false),
            ("zone!=a", true),
            ("zone notin (a)", true),
            ("tier", true),
            ("zone", false),
            ("!zone", true),
            ("!tier", false),
            ("app=web,tier=back", false),
            ("app=", false),
        ] {
            assert_eq!(selector.parse::<Selector>().unwrap().matches(&web), meant, "{selector}");
        }
    }

    #[test]
    fn a_workload_says_which_pods_are_its_own_in_either_spelling() {
        for (json, shown) in [
            (r#"{"matchLabels": {"b": "2", "a": "1"}}"#, "a=1,b=2"),
            (r#"{"matchLabels": null, "matchExpressions": null}"#, ""),
            (r#"{}"#, ""),
            (r#"{"app": "web"}"#, "app=web"),
            (
                r#"{"matchLabels": {"a": "1"}, "matchExpressions": [
                    {"key": "t", "operator": "In", "values": ["x", "y"]},
                    {"key": "t", "operator": "NotIn", "values": ["z"]},
                    {"key": "e", "operator": "Exists"},
                    {"key": "n", "operator": "DoesNotExist", "values": null}]}"#,
                "a=1,t in (x,y),t notin (z),e,!n",
            ),
        ] {
            let json =
                format!(r#"{{"metadata": {{"name": "w"}}, "spec": {{"selector": {json}}}}}"#);
            let workload: Workload = serde_json::from_str(&json).unwrap();
            assert_eq!(Selector::of_workload(&workload).unwrap().to_string(), shown, "{json}");
        }
        // A selector of a kind that is not known yet is no selector for everything.
        let newer = r#"{"spec": {"selector": {"matchLabels": {"a": "1"}, "matchMoods": []}}}"#;
        assert!(serde_json::from_str::<Workload>(newer).is_err());
    }

    #[test]
    fn without_a_selector_there_are_no_pods() {
        let service: Service =
            serde_json::from_str(r#"{"metadata": {"name": "db"}, "spec": {"selector": {}}}"#)
                .unwrap();
        assert_eq!(
            Selector::of_service(&service).unwrap_err().to_string(),
            "service 'db' has no selector, so it leads to no pod; name a pod instead"
        );
        let workload: Workload = serde_json::from_str(r#"{"metadata": {"name": "w"}}"#).unwrap();
        assert!(Selector::of_workload(&workload).is_err());
    }
}
