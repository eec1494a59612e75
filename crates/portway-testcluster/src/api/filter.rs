use portway_resolve::Selector;
use serde_json::Value;

use super::status::Refusal;
use crate::resource::Resource;
use crate::state::{labels, text};

/// Which objects of a kind a client wants.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    labels: Option<Selector>,
    fields: Vec<Field>,
}

/// What a field has to be, or not to be.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Field {
    pointer: String,
    value: String,
    equal: bool,
}

impl Filter {
    /// By the parameters `labelSelector` and `fieldSelector`.
    pub(crate) fn parse(
        resource: Resource,
        label_selector: Option<&str>,
        field_selector: Option<&str>,
    ) -> Result<Self, Refusal> {
        let labels = label_selector
            .filter(|text| !text.trim().is_empty())
            .map(|text| {
                text.parse()
                    .map_err(|e| Refusal::bad_request(format!("unable to parse requirement: {e}")))
            })
            .transpose()?;
        let fields = field_selector.unwrap_or_default().split(',').map(str::trim);
        let fields = fields.filter(|field| !field.is_empty());
        let fields = fields.map(|field| Field::parse(resource, field)).collect::<Result<_, _>>()?;
        Ok(Self { labels, fields })
    }

    pub(crate) fn matches(&self, object: &Value) -> bool {
        let labelled =
            self.labels.as_ref().is_none_or(|it| it.matches(&labels(object, "/metadata/labels")));
        labelled && self.fields.iter().all(|field| field.matches(object))
    }
}

impl Field {
    fn parse(resource: Resource, text: &str) -> Result<Self, Refusal> {
        let split = |operator| text.split_once(operator);
        let (name, value, equal) = match (split("!="), split("=="), split("=")) {
            (Some((name, value)), _, _) => (name, value, false),
            (_, Some((name, value)), _) | (_, _, Some((name, value))) => (name, value, true),
            _ => {
                let message = format!("invalid selector: '{text}'; can't understand '{text}'");
                return Err(Refusal::bad_request(message));
            }
        };
        let everywhere = ["metadata.name", "metadata.namespace"];
        let of_pods = ["spec.nodeName", "status.phase", "status.podIP", "spec.restartPolicy"];
        let of_pods = resource == Resource::Pods && of_pods.contains(&name);
        if !of_pods && !everywhere.contains(&name) {
            return Err(Refusal::bad_request(format!("field label not supported: {name}")));
        }
        let pointer = format!("/{}", name.replace('.', "/"));
        Ok(Self { pointer, value: value.to_owned(), equal })
    }

    fn matches(&self, object: &Value) -> bool {
        (text(object, &self.pointer) == self.value) == self.equal
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn labels_and_fields_are_looked_at() {
        let pod = json!({
            "metadata": { "name": "web-0", "namespace": "n", "labels": { "app": "web" } },
            "status": { "phase": "Running" },
        });
        for (labels, fields, meant) in [
            (None, None, true),
            (Some(""), Some(""), true),
            (Some("app=web"), None, true),
            (Some("app!=web"), None, false),
            (None, Some("metadata.name=web-0"), true),
            (None, Some("metadata.name==web-1"), false),
            (None, Some("metadata.name!=web-1,status.phase=Running"), true),
            (Some("app"), Some("metadata.namespace=other"), false),
            (None, Some("spec.nodeName="), true),
        ] {
            let filter = Filter::parse(Resource::Pods, labels, fields).unwrap();
            assert_eq!(filter.matches(&pod), meant, "{labels:?} {fields:?}");
        }
    }

    #[test]
    fn what_cannot_be_asked_for_is_refused() {
        let refused = |resource, labels, fields| {
            Filter::parse(resource, labels, fields).unwrap_err().to_string()
        };
        assert!(refused(Resource::Pods, Some("app in web"), None).starts_with("unable to parse"));
        let fields = Some("status.phase=Running");
        assert_eq!(
            refused(Resource::Services, None, fields),
            "field label not supported: status.phase"
        );
        assert!(refused(Resource::Pods, None, Some("metadata.name")).starts_with("invalid"));
    }
}
