use http::HeaderMap;
use http::header::ACCEPT;

/// The shape in which a client wants what it asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// The object, or a list of them.
    Plain,
    /// Columns to print.
    Table,
    /// Metadata only.
    Metadata,
    /// All of discovery in one document.
    Aggregated,
}

impl Shape {
    /// The first one that a client names and that there is for what it asks for (`offered`); `None` if
    /// it wants something else only, such as protobuf.
    pub(crate) fn wanted(headers: &HeaderMap, offered: &[Self]) -> Option<Self> {
        let lines = headers.get_all(ACCEPT).iter().filter_map(|line| line.to_str().ok());
        let mut named = false;
        for entry in lines.flat_map(|line| line.split(',')) {
            named |= !entry.trim().is_empty();
            if let Some(shape) = Self::of_entry(entry).filter(|shape| offered.contains(shape)) {
                return Some(shape);
            }
        }
        (!named).then_some(Self::Plain)
    }

    fn of_entry(entry: &str) -> Option<Self> {
        let mut parts = entry.split(';').map(str::trim);
        let kind = parts.next()?.to_ascii_lowercase();
        if !matches!(kind.as_str(), "application/json" | "application/*" | "*/*") {
            return None;
        }
        let (mut group, mut version, mut shape) = ("", "", "");
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            match name.trim() {
                "g" => group = value.trim(),
                "v" => version = value.trim(),
                "as" => shape = value.trim(),
                "q" if value.trim().bytes().all(|byte| matches!(byte, b'0' | b'.')) => return None,
                _ => {}
            }
        }
        match (group, version, shape) {
            (_, _, "") => Some(Self::Plain),
            ("meta.k8s.io", "v1", "Table") => Some(Self::Table),
            ("meta.k8s.io", "v1", "PartialObjectMetadata" | "PartialObjectMetadataList") => {
                Some(Self::Metadata)
            }
            ("apidiscovery.k8s.io", "v2", "APIGroupDiscoveryList") => Some(Self::Aggregated),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const ALL: &[Shape] = &[Shape::Plain, Shape::Table, Shape::Metadata, Shape::Aggregated];

    fn wanted(line: &'static str, offered: &[Shape]) -> Option<Shape> {
        let headers = [(ACCEPT, HeaderValue::from_static(line))].into_iter().collect();
        Shape::wanted(&headers, offered)
    }

    #[test]
    fn the_first_shape_that_there_is_is_taken() {
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        assert_eq!(wanted(table, ALL), Some(Shape::Table));
        assert_eq!(wanted(table, &[Shape::Plain]), Some(Shape::Plain));
        let aggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";
        assert_eq!(wanted(aggregated, ALL), Some(Shape::Aggregated));
        let metadata = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
        assert_eq!(wanted(metadata, ALL), Some(Shape::Metadata));
        assert_eq!(wanted(metadata, &[Shape::Plain]), None);
        assert_eq!(Shape::wanted(&HeaderMap::new(), ALL), Some(Shape::Plain));
        for plain in [
            "",
            "*/*",
            "application/json, */*",
            "application/vnd.kubernetes.protobuf, application/JSON;charset=utf-8",
        ] {
            assert_eq!(wanted(plain, ALL), Some(Shape::Plain), "{plain}");
        }
        assert_eq!(wanted("application/vnd.kubernetes.protobuf", ALL), None);
        assert_eq!(wanted("application/json;q=0.0, text/html", ALL), None);
    }
}
