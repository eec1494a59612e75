use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use portway_driver::proto::handshake::{MAX_BODY, Refusal};
use portway_driver::{Runtime, after, until};
use portway_resolve::object::Pod;
use portway_resolve::{Kind, Selector, Target};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::plan::{Plan, Select};
use crate::{Api, Destination, LookupError};

/// Reads objects of one namespace, as kubectl does (protocol.md E.2, E.3).
#[derive(Debug)]
pub(crate) struct Reader<'a, A, R> {
    pub(crate) api: &'a A,
    pub(crate) runtime: &'a R,
    pub(crate) namespace: &'a str,
    /// How long an answer may take.
    pub(crate) timeout: Duration,
}

/// Pods, and where a watch can go on from.
#[derive(Debug)]
pub(crate) struct Pods {
    pub(crate) items: Vec<Pod>,
    pub(crate) version: String,
}

/// What is done, for messages.
struct Asking {
    verb: &'static str,
    what: String,
}

impl<A: Api, R: Runtime> Reader<'_, A, R> {
    /// What is read of a page of pods at most, and of an object.
    const LARGEST: usize = 64 * 1024 * 1024;

    /// Pods on one page: some of them are large.
    const PAGE: usize = 250;

    /// Reads what the target is.
    pub(crate) async fn plan(&self, destination: &Destination) -> Result<Plan, LookupError> {
        let target = match destination {
            Destination::Pods(selector) => {
                return Ok(Plan::of(Select::Labels(selector.clone())));
            }
            Destination::Object(target) => target,
        };
        let (kind, name) = (target.kind, target.name.as_str());
        if kind == Kind::Pod {
            return Ok(Plan::of(Select::Pod(name.to_owned())));
        }
        let path = kind.path(&encoded(self.namespace), name);
        let asking = Asking { verb: "get", what: format!("{kind} '{name}'") };
        let bytes = self.bytes(&path, &asking).await?;
        Ok(if kind == Kind::Service {
            Plan::of_service(self.parse(&bytes, &asking)?)?
        } else {
            Plan::of_workload(&self.parse(&bytes, &asking)?)?
        })
    }

    /// The pod of this name.
    pub(crate) async fn pod(&self, name: &str) -> Result<(Pod, String), LookupError> {
        let path = format!("{}/{}", self.pods_path(), encoded(name));
        let asking = Asking { verb: "get", what: format!("pod '{name}'") };
        let bytes = self.bytes(&path, &asking).await?;
        let pod = self.parse(&bytes, &asking)?;
        let versioned: Versioned = self.parse(&bytes, &asking)?;
        Ok((pod, versioned.metadata.resource_version))
    }

    /// All pods with these labels.
    pub(crate) async fn pods(&self, selector: &Selector) -> Result<Pods, LookupError> {
        let asking = Asking { verb: "list", what: "pods".to_owned() };
        let labels = encoded(&selector.to_string());
        let first = format!("{}?labelSelector={labels}&limit={}", self.pods_path(), Self::PAGE);
        let mut path = first.clone();
        let mut items = Vec::new();
        loop {
            let page: PodList = self.get(&path, &asking).await?;
            items.extend(page.items);
            if page.metadata.r#continue.is_empty() {
                return Ok(Pods { items, version: page.metadata.resource_version });
            }
            path = format!("{first}&continue={}", encoded(&page.metadata.r#continue));
        }
    }

    /// Changes of pods since `version`, line by line, for `lasting` at most.
    pub(crate) async fn watch(
        &self,
        select: &Select,
        version: &str,
        lasting: Duration,
    ) -> Result<A::Body, LookupError> {
        let which = match select {
            Select::Pod(name) => {
                format!("fieldSelector={}", encoded(&format!("metadata.name={name}")))
            }
            Select::Labels(selector) => format!("labelSelector={}", encoded(&selector.to_string())),
        };
        self.changes(Kind::Pod, &which, version, lasting).await
    }

    /// The same of the target itself, which is no pod, from now on.
    pub(crate) async fn watch_target(
        &self,
        target: &Target,
        lasting: Duration,
    ) -> Result<A::Body, LookupError> {
        let which = format!("fieldSelector={}", encoded(&format!("metadata.name={}", target.name)));
        self.changes(target.kind, &which, "", lasting).await
    }

    async fn changes(
        &self,
        kind: Kind,
        which: &str,
        version: &str,
        lasting: Duration,
    ) -> Result<A::Body, LookupError> {
        let mut path = format!(
            "{}?watch=true&allowWatchBookmarks=true&{which}&timeoutSeconds={}",
            kind.collection(&encoded(self.namespace)),
            lasting.as_secs(),
        );
        if !version.is_empty() {
            path = format!("{path}&resourceVersion={}", encoded(version));
        }
        let asking = Asking { verb: "watch", what: kind.plural().to_owned() };
        let deadline = after(self.runtime.now(), self.timeout);
        let response = self.send(&path, &asking, deadline).await?;
        Ok(response.into_body())
    }

    async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        asking: &Asking,
    ) -> Result<T, LookupError> {
        self.parse(&self.bytes(path, asking).await?, asking)
    }

    fn parse<T: DeserializeOwned>(&self, bytes: &[u8], asking: &Asking) -> Result<T, LookupError> {
        serde_json::from_slice(bytes).map_err(|error| LookupError::Unreadable {
            action: self.action(asking),
            problem: error.to_string().into(),
        })
    }

    async fn bytes(&self, path: &str, asking: &Asking) -> Result<Bytes, LookupError> {
        let deadline = after(self.runtime.now(), self.timeout);
        let response = self.send(path, asking, deadline).await?;
        self.collect(response.into_body(), Self::LARGEST, asking, deadline).await
    }

    /// A request that was granted.
    async fn send(
        &self,
        path: &str,
        asking: &Asking,
        deadline: Instant,
    ) -> Result<Response<A::Body>, LookupError> {
        let unreadable = |problem: &str| LookupError::Unreadable {
            action: self.action(asking),
            problem: problem.into(),
        };
        let mut request = Request::new(Bytes::new());
        *request.uri_mut() = path.parse().map_err(|_| unreadable("its address is too long"))?;
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
        let sent = until(self.runtime, deadline, self.api.request(request)).await;
        let response = sent.map_err(|_| self.silent(asking))??;
        if response.status() == StatusCode::OK {
            return Ok(response);
        }
        let (head, body) = response.into_parts();
        // The status says the most.
        let text = self.collect(body, MAX_BODY, asking, deadline).await.unwrap_or_default();
        let refusal = Arc::new(Refusal::new(head.status, &head.headers, &text));
        Err(LookupError::Refused { action: self.action(asking), refusal })
    }

    async fn collect(
        &self,
        mut body: A::Body,
        limit: usize,
        asking: &Asking,
        deadline: Instant,
    ) -> Result<Bytes, LookupError> {
        let mut bytes = BytesMut::new();
        let collecting = async {
            while let Some(frame) = body.frame().await {
                let Ok(data) = frame.map_err(|error| error.to_string())?.into_data() else {
                    continue;
                };
                if bytes.len() + data.len() > limit {
                    return Err(format!("it is longer than {limit} bytes"));
                }
                bytes.extend_from_slice(&data);
            }
            Ok(())
        };
        match until(self.runtime, deadline, collecting).await {
            Ok(Ok(())) => Ok(bytes.freeze()),
            Ok(Err(problem)) => {
                Err(LookupError::Cut { action: self.action(asking), problem: problem.into() })
            }
            Err(_) => Err(self.silent(asking)),
        }
    }

    fn silent(&self, asking: &Asking) -> LookupError {
        LookupError::Silent { action: self.action(asking), after: self.timeout }
    }

    fn action(&self, asking: &Asking) -> Arc<str> {
        let Asking { verb, what } = asking;
        format!("{verb} {what} in namespace {}", self.namespace).into()
    }

    fn pods_path(&self) -> String {
        Kind::Pod.collection(&encoded(self.namespace))
    }
}

/// For a segment of a path, or a value of a query.
fn encoded(text: &str) -> String {
    const REST: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    utf8_percent_encode(text, REST).to_string()
}

#[derive(Deserialize)]
struct PodList {
    #[serde(default)]
    metadata: ListMetadata,
    items: Vec<Pod>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ListMetadata {
    resource_version: String,
    r#continue: String,
}

/// What every object has besides.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Versioned {
    metadata: ListMetadata,
}
