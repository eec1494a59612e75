use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::document::{Document, Entry};

/// Where editors find it.
const ID: &str =
    "https://raw.githubusercontent.com/portway-rs/portway/main/docs/forwards.schema.json";

/// What only a forward can say.
pub(super) const OF_A_FORWARD: [&str; 4] = ["name", "target", "selector", "ports"];

/// The JSON schema of a file of forwards, as `portway schema` prints it.
///
/// Of draft 7, which every editor knows. It lets through what needs more than a pattern to be found wrong
/// (a port above 65535 behind a colon, two forwards of one name): reading the file finds that.
pub(crate) fn schema() -> String {
    let mut schema = SchemaSettings::draft07().into_generator().into_root_schema_for::<Document>();
    schema.insert("$id".to_owned(), ID.into());
    schema.insert("title".to_owned(), "Forwards for portway -f".into());
    unwrap_lines(&mut schema);
    format!("{:#}\n", schema.to_value())
}

/// A forward leads somewhere, and says so in one way.
pub(super) fn forward(schema: &mut Schema) {
    let either = json!([{ "required": ["target"] }, { "required": ["selector"] }]);
    schema.insert("required".to_owned(), json!(["ports"]));
    schema.insert("oneOf".to_owned(), either);
    schema.insert("description".to_owned(), "A forward: local ports that lead to a target".into());
}

/// A forward's keys, but for those that only a forward can have.
pub(super) fn defaults(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = Entry::json_schema(generator);
    for word in ["required", "oneOf", "description"] {
        schema.remove(word);
    }
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.retain(|key, _| !OF_A_FORWARD.contains(&key.as_str()));
    }
    schema
}

pub(super) fn forwards(generator: &mut SchemaGenerator) -> Schema {
    let forward = generator.subschema_for::<Entry>();
    json_schema!({ "type": "array", "minItems": 1, "items": forward })
}

pub(super) fn text(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "minLength": 1 })
}

pub(super) fn ports(_: &mut SchemaGenerator) -> Schema {
    list(json!({
        "anyOf": [
            { "type": "integer", "minimum": 1, "maximum": 65535 },
            { "type": "string", "pattern": "^([0-9]*:|unix:.+:)?([0-9]+|[a-z0-9]([-a-z0-9]*[a-z0-9])?)(/tcp)?$|^[0-9]*:$" },
        ],
    }))
}

pub(super) fn addresses(_: &mut SchemaGenerator) -> Schema {
    list(json!({
        "anyOf": [
            { "const": "localhost" },
            { "type": "string", "format": "ipv4" },
            { "type": "string", "format": "ipv6" },
        ],
    }))
}

pub(super) fn reconnect(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "enum": ["sticky", "per-connection", "round-robin", "off"] })
}

pub(super) fn half_close(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "anyOf": [{ "enum": ["immediate", "never"] }, { "type": "number", "minimum": 0 }],
    })
}

pub(super) fn sessions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "pattern": "^(exclusive|shared:[1-9][0-9]{0,3})$" })
}

pub(super) fn buffer(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "anyOf": [
            { "type": "integer", "minimum": 4096, "maximum": 1_073_741_824 },
            { "type": "string", "pattern": "^[0-9]+([KMG]i)?$" },
        ],
    })
}

pub(super) fn protocol(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "enum": ["auto", "tunnel", "v4", "spdy"] })
}

fn list(item: Value) -> Schema {
    json_schema!({ "type": "array", "minItems": 1, "items": item })
}

/// Descriptions as editors show them: where the source begins a new line they do not.
fn unwrap_lines(schema: &mut Schema) {
    if let Some(Value::String(text)) = schema.get_mut("description") {
        *text = text.replace('\n', " ");
    }
    schemars::transform::transform_subschemas(&mut unwrap_lines, schema);
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn committed() -> String {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/forwards.schema.json");
        fs::read_to_string(path).unwrap_or_default()
    }

    /// What an editor would say.
    fn fits(text: &str) -> bool {
        let schema: Value = serde_json::from_str(&schema()).unwrap();
        // As editors do, which go by YAML 1.2: there `off` is a text.
        let options = serde_saphyr::options! { strict_booleans: true };
        let file: Value = serde_saphyr::from_str_with_options(text, options).unwrap();
        jsonschema::draft7::options()
            .should_validate_formats(true)
            .build(&schema)
            .unwrap()
            .is_valid(&file)
    }

    fn reads(text: &str) -> bool {
        super::super::tests::read_all(&[text], &[]).is_ok()
    }

    #[test]
    fn the_schema_that_editors_get_is_that_of_the_code() {
        let same = committed() == schema();
        assert!(same, "write it anew: portway schema > docs/forwards.schema.json");
    }

    #[test]
    fn it_is_a_schema() {
        let schema: Value = serde_json::from_str(&schema()).unwrap();
        assert!(jsonschema::meta::is_valid(&schema));
    }

    #[test]
    fn what_the_schema_says_of_a_key_the_reader_says_too() {
        for (key, good, bad) in [
            (
                "ports",
                &[
                    "[80]",
                    "[8080:80]",
                    "[':80']",
                    "['0:80']",
                    "['80:']",
                    "[http]",
                    "[8080:http]",
                    "['unix:/run/db.sock:5432']",
                    "[80/tcp]",
                    "['080']",
                    "[1, 65535]",
                ][..],
                &[
                    "[]",
                    "[0]",
                    "[65536]",
                    "[-1]",
                    "[Web]",
                    "[a_b]",
                    "[a:b:c]",
                    "[80/udp]",
                    "[a-]",
                    "[http:80]",
                    "80",
                    "{a: 80}",
                    "['']",
                    "[[80]]",
                ][..],
            ),
            ("name", &["web", "'my web'"], &["''", "[a]"]),
            ("namespace", &["shop"], &["''", "{a: b}"]),
            ("context", &["prod"], &["''", "[a]"]),
            (
                "addresses",
                &["[localhost]", "[127.0.0.1, '::1']", "[0.0.0.0]"],
                &["[]", "[web]", "localhost", "['[::1]']", "[127.1]"],
            ),
            (
                "reconnect",
                &["sticky", "per-connection", "round-robin", "'off'", "off"],
                &["never", "''", "[sticky]"],
            ),
            ("halfClose", &["immediate", "never", "5", "0.5", "0"], &["soon", "-1", "5s", "[5]"]),
            ("sessions", &["exclusive", "shared:8"], &["shared", "shared:0", "8", "Shared:8"]),
            ("buffer", &["65536", "64Ki", "1Mi"], &["1", "64k", "1.5Mi", "-65536", "''"]),
            ("protocol", &["auto", "tunnel", "v4", "spdy"], &["udp", "V4", "4"]),
            ("image", &[], &["nginx"]),
        ] {
            for (values, expected) in [(good, true), (bad, false)] {
                for value in values {
                    let ports = if key == "ports" { "" } else { ", ports: [80]" };
                    let text = format!("forwards: [{{target: web, {key}: {value}{ports}}}]");
                    assert_eq!((fits(&text), reads(&text)), (expected, expected), "{text}");
                    if !OF_A_FORWARD.contains(&key) {
                        let text = format!(
                            "{{defaults: {{{key}: {value}}}, forwards: [{{target: web, ports: [80]}}]}}"
                        );
                        assert_eq!((fits(&text), reads(&text)), (expected, expected), "{text}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_the_schema_says_of_the_whole_the_reader_says_too() {
        for (text, expected) in [
            ("forwards: [{target: web, ports: [80]}]", true),
            ("forwards: [{selector: app=web, ports: [80]}]", true),
            ("forwards: [{target: web, selector: app=web, ports: [80]}]", false),
            ("forwards: [{ports: [80]}]", false),
            ("forwards: [{target: web}]", false),
            ("forwards: []", false),
            ("{}", false),
            ("[]", false),
            ("{defaults: {}, forwards: [{target: web, ports: [80]}]}", true),
            ("{defaults: {target: web}, forwards: [{target: web, ports: [80]}]}", false),
            ("{defaults: {ports: [80]}, forwards: [{target: web, ports: [80]}]}", false),
            ("{version: 1, forwards: [{target: web, ports: [80]}]}", false),
        ] {
            assert_eq!((fits(text), reads(text)), (expected, expected), "{text}");
        }
    }

    #[test]
    fn what_the_documentation_shows_is_read_and_no_key_is_left_out() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/forwards-file.md");
        let page = fs::read_to_string(path).unwrap();
        let examples: Vec<_> = page.split("```yaml\n").skip(1).collect();
        assert!(examples.len() >= 4, "{}", examples.len());
        for example in examples {
            let (text, _) = example.split_once("```").unwrap();
            assert_eq!((fits(text), reads(text)), (true, true), "{text}");
        }
        let schema: Value = serde_json::from_str(&schema()).unwrap();
        let keys = schema["definitions"]["Forward"]["properties"].as_object().unwrap();
        assert_eq!(keys.len(), 12);
        for key in keys.keys() {
            assert!(page.contains(&format!("\n| `{key}` |")), "{key} has no row");
        }
    }

    #[test]
    fn a_port_above_65535_behind_a_colon_is_left_to_the_reader() {
        let text = "forwards: [{target: web, ports: ['80:65536']}]";
        assert_eq!((fits(text), reads(text)), (true, false));
    }
}
