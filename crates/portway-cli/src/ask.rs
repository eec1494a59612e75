//! Questions to the API server that no forward needs to ask: what version it is, who we are and what we
//! may do, what else there is.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use http::{Method, Request};
use http_body_util::BodyExt;
use portway_cluster::{Api, LookupError};
use portway_tokio::proto::handshake::{MAX_BODY, Refusal};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::timeout;

/// What is read of an answer at most.
const LARGEST: usize = 16 * 1024 * 1024;

/// Somebody who asks, and how long an answer may take.
#[derive(Debug, Clone)]
pub(crate) struct Asker<A> {
    api: A,
    patience: Duration,
}

impl<A: Api> Asker<A> {
    pub(crate) const fn new(api: A, patience: Duration) -> Self {
        Self { api, patience }
    }

    /// Reads what is there. `action` is what is tried, for messages: `get the server's version`.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        action: &str,
    ) -> Result<T, LookupError> {
        self.ask(Method::GET, path, "application/json", Bytes::new(), action).await
    }

    /// The names of all objects of a kind, as far as they fit on a page.
    pub(crate) async fn names(&self, path: &str, action: &str) -> Result<Vec<Named>, LookupError> {
        const PAGE: usize = 500;
        // Their metadata is all that is wanted; who cannot leave the rest out may send it.
        let accept =
            "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";
        let path = format!("{path}?limit={PAGE}");
        let list: List = self.ask(Method::GET, &path, accept, Bytes::new(), action).await?;
        Ok(list.items.into_iter().map(|item| item.metadata).collect())
    }

    /// Asks by way of an object that is not kept: a review.
    pub(crate) async fn review(
        &self,
        path: &str,
        review: &Value,
        action: &str,
    ) -> Result<Value, LookupError> {
        let body = review.to_string().into();
        self.ask(Method::POST, path, "application/json", body, action).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        accept: &'static str,
        body: Bytes,
        action: &str,
    ) -> Result<T, LookupError> {
        let asked = self.answer(method, path, accept, body, action);
        let silent = || LookupError::Silent { action: action.into(), after: self.patience };
        let bytes = timeout(self.patience, asked).await.unwrap_or_else(|_| Err(silent()))?;
        serde_json::from_slice(&bytes).map_err(|error| unreadable(action, &error.to_string()))
    }

    async fn answer(
        &self,
        method: Method,
        path: &str,
        accept: &'static str,
        body: Bytes,
        action: &str,
    ) -> Result<Bytes, LookupError> {
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() =
            path.parse().map_err(|_| unreadable(action, "its address is too long"))?;
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static(accept));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let (head, mut body) = self.api.request(request).await?.into_parts();
        let limit = if head.status.is_success() { LARGEST } else { MAX_BODY };
        let mut bytes = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let cut = |error: <A::Body as http_body::Body>::Error| LookupError::Cut {
                action: action.into(),
                problem: error.to_string().into(),
            };
            let Ok(data) = frame.map_err(cut)?.into_data() else { continue };
            if bytes.len() + data.len() > limit {
                return Err(unreadable(action, &format!("it is longer than {limit} bytes")));
            }
            bytes.extend_from_slice(&data);
        }
        if head.status.is_success() {
            return Ok(bytes.freeze());
        }
        let refusal = Refusal::new(head.status, &head.headers, &bytes).into();
        Err(LookupError::Refused { action: action.into(), refusal })
    }
}

fn unreadable(action: &str, problem: &str) -> LookupError {
    LookupError::Unreadable { action: action.into(), problem: problem.into() }
}

#[derive(serde::Deserialize)]
struct List {
    items: Vec<Item>,
}

#[derive(serde::Deserialize)]
struct Item {
    metadata: Named,
}

/// What an object is called.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
pub(crate) struct Named {
    pub(crate) name: String,
    /// Empty for what is in none.
    #[serde(default)]
    pub(crate) namespace: String,
}
