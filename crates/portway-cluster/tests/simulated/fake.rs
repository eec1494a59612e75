//! A cluster in the simulator: objects to be read and watched, and pods that answer.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame};
use portway_cluster::{Api, ApiError};
use portway_driver::proto::handshake::Offer;
use portway_driver::{
    Connector, DialError, Endpoint, Listener, Net, Port, PortForward, RelayRules, Remembered,
    Socket, Upgraded,
};
use portway_resolve::Selector;
use portway_server::{LocalPod, LocalPods, Server, Serving};
use portway_sim::{Sim, SimSocket};
use serde_json::{Value, json};

/// Where the API server is.
pub(crate) const SERVER: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8_001);

/// What the pods listen on.
pub(crate) const HTTP: u16 = 8_080;

/// An API server and its pods.
#[derive(Clone)]
pub(crate) struct Cluster {
    sim: Sim,
    inner: Arc<Mutex<Inner>>,
    pods: LocalPods<Sim>,
    remembered: Remembered,
}

struct Inner {
    objects: BTreeMap<String, Value>,
    history: Vec<Change>,
    /// What is older is forgotten.
    oldest: u64,
    version: u64,
    /// Watches of an older one are cut.
    epoch: u64,
    watchers: Vec<Waker>,
    requests: Vec<String>,
    refused: Vec<(&'static str, StatusCode, String)>,
    down: bool,
    next_uid: u64,
    machines: BTreeMap<String, Machine>,
}

/// Something that has happened to an object.
struct Change {
    version: u64,
    kind: &'static str,
    path: String,
    before: Option<Value>,
    object: Value,
}

impl Change {
    /// How a watch tells it, if it does.
    fn told(&self, wanted: &Wanted) -> Option<&'static str> {
        if self.kind == BOOKMARK {
            return Some(BOOKMARK);
        }
        let was = self.before.as_ref().is_some_and(|before| wanted.includes(before));
        match (was, wanted.includes(&self.object)) {
            (true, false) => Some("DELETED"),
            (false, true) if self.kind == "MODIFIED" => Some("ADDED"),
            (_, true) => Some(self.kind),
            (false, false) => None,
        }
    }
}

/// Nothing has happened, and everybody is told so.
const BOOKMARK: &str = "BOOKMARK";

/// What runs in a pod.
struct Machine {
    addr: SocketAddr,
    killed: Arc<std::sync::atomic::AtomicBool>,
    waker: Arc<Mutex<Option<Waker>>>,
}

impl Cluster {
    pub(crate) async fn start(sim: &Sim) -> (Self, Serving) {
        let pods = LocalPods::new(sim.clone());
        let server = Server::new(sim.clone(), pods.clone()).with_rules(RelayRules::FAITHFUL);
        let serving = server.listen(SERVER).await.unwrap();
        let inner = Inner {
            objects: BTreeMap::new(),
            history: Vec::new(),
            oldest: 0,
            version: 1,
            epoch: 0,
            watchers: Vec::new(),
            requests: Vec::new(),
            refused: Vec::new(),
            down: false,
            next_uid: 0,
            machines: BTreeMap::new(),
        };
        let inner = Arc::new(Mutex::new(inner));
        (Self { sim: sim.clone(), inner, pods, remembered: Remembered::default() }, serving)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    // -- what there is

    /// An object that is no pod.
    pub(crate) fn put(&self, path: &str, object: Value) {
        let mut inner = self.lock();
        let known = inner.objects.contains_key(path);
        inner.publish(if known { "MODIFIED" } else { "ADDED" }, path, object);
    }

    pub(crate) fn delete(&self, path: &str) {
        let mut inner = self.lock();
        let object = inner.objects.remove(path).unwrap();
        inner.publish("DELETED", path, object);
    }

    pub(crate) fn put_service(&self, name: &str, spec: Value) {
        let object = json!({"metadata": {"name": name}, "spec": spec});
        self.put(&format!("/api/v1/namespaces/default/services/{name}"), object);
    }

    /// A deployment of the pods of the app of its name.
    pub(crate) fn put_deployment(&self, name: &str) {
        self.put_deployment_of(name, name);
    }

    pub(crate) fn put_deployment_of(&self, name: &str, app: &str) {
        let object = json!({
            "metadata": {"name": name},
            "spec": {"selector": {"matchLabels": {"app": app}}},
        });
        self.put(&format!("/apis/apps/v1/namespaces/default/deployments/{name}"), object);
    }

    /// A pod of the app `app` that runs and is ready, with a program that says its name.
    pub(crate) async fn start_pod(&self, name: &str, app: &str) {
        self.create_pod(name, app);
        self.run_pod(name).await;
        self.set_ready(name, true);
    }

    /// A pod that waits for a node.
    pub(crate) fn create_pod(&self, name: &str, app: &str) {
        let mut inner = self.lock();
        inner.next_uid += 1;
        let pod = json!({
            "metadata": {
                "name": name,
                "uid": format!("uid-{}", inner.next_uid),
                "labels": {"app": app},
                "creationTimestamp": "2026-01-01T00:00:00Z",
            },
            "spec": {"nodeName": "", "containers": [
                {"ports": [{"name": "http", "containerPort": HTTP}]},
            ]},
            "status": {"phase": "Pending", "conditions": []},
        });
        inner.publish("ADDED", &pod_path(name), pod);
    }

    /// Its program runs.
    pub(crate) async fn run_pod(&self, name: &str) {
        self.run_pod_on(name, HTTP).await;
    }

    /// Its program runs, on this port.
    pub(crate) async fn run_pod_on(&self, name: &str, port: u16) {
        let number = {
            let inner = self.lock();
            inner.object(name)["metadata"]["uid"].as_str().unwrap()[4..].parse::<u16>().unwrap()
        };
        let addr = SocketAddr::from((Ipv4Addr::new(10, 0, 0, 1), 10_000 + number));
        let machine = Machine { addr, killed: Arc::default(), waker: Arc::default() };
        let listener = self.sim.bind(addr).await.unwrap();
        let program = program(
            self.sim.clone(),
            listener,
            name.to_owned(),
            Arc::clone(&machine.killed),
            Arc::clone(&machine.waker),
        );
        self.sim.start(format!("pod {name}"), program);
        self.lock().machines.insert(name.to_owned(), machine);
        let local = LocalPod::closed().with_port(Port::new(port).unwrap(), addr);
        self.pods.insert("default", name, local);
        self.change_pod(name, |pod| {
            pod["spec"]["nodeName"] = json!("node");
            pod["status"]["phase"] = json!("Running");
        });
    }

    pub(crate) fn set_ready(&self, name: &str, ready: bool) {
        let ready = if ready { "True" } else { "False" };
        self.change_pod(name, |pod| {
            pod["status"]["conditions"] = json!([{"type": "Ready", "status": ready}]);
        });
    }

    pub(crate) fn change_pod(&self, name: &str, change: impl FnOnce(&mut Value)) {
        let mut inner = self.lock();
        let mut pod = inner.object(name).clone();
        change(&mut pod);
        inner.publish("MODIFIED", &pod_path(name), pod);
    }

    /// It is told to go, and is not gone yet.
    pub(crate) fn delete_pod(&self, name: &str) {
        self.change_pod(name, |pod| {
            pod["metadata"]["deletionTimestamp"] = json!("2026-01-02T00:00:00Z");
        });
    }

    /// Its program ends at once, and its connections with it; the server is told.
    pub(crate) fn kill_pod(&self, name: &str) {
        self.stop_machine(name);
        self.delete(&pod_path(name));
    }

    /// Its object is deleted, and its program goes on.
    pub(crate) fn orphan_pod(&self, name: &str) {
        self.delete(&pod_path(name));
    }

    /// It is gone as by [`kill_pod`](Self::kill_pod), but no watch says so.
    pub(crate) fn lose_pod(&self, name: &str) {
        self.stop_machine(name);
        self.lock().objects.remove(&pod_path(name));
    }

    /// It looks as before, but its node does not know it.
    pub(crate) fn unplug_pod(&self, name: &str) {
        self.stop_machine(name);
    }

    /// It is gone as by [`kill_pod`](Self::kill_pod), but no watch says so, nor does its node yet.
    pub(crate) fn strand_pod(&self, name: &str) {
        self.break_pod(name);
        self.lock().objects.remove(&pod_path(name));
    }

    /// Its program ends, and its object stays what it was.
    pub(crate) fn break_pod(&self, name: &str) {
        let local = LocalPod::closed();
        self.stop_machine(name);
        self.pods.insert("default", name, local);
    }

    fn stop_machine(&self, name: &str) {
        self.pods.remove("default", name);
        if let Some(machine) = self.lock().machines.remove(name) {
            machine.killed.store(true, std::sync::atomic::Ordering::SeqCst);
            // Nobody is at home: what still comes is refused, what is there is reset.
            for connection in self.sim.connections(machine.addr) {
                self.sim.fault(connection, portway_sim::Fault::Cut);
            }
            let waker = machine.waker.lock().unwrap().take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    // -- what goes wrong

    /// Requests whose `verb resource` begins like this are refused.
    pub(crate) fn refuse(&self, what: &'static str, status: u16, message: &str) {
        let status = StatusCode::from_u16(status).unwrap();
        self.lock().refused.push((what, status, message.to_owned()));
    }

    pub(crate) fn allow_all(&self) {
        self.lock().refused.clear();
    }

    pub(crate) fn set_down(&self, down: bool) {
        self.lock().down = down;
    }

    /// Ends all watches, as a server does now and then.
    pub(crate) fn cut_watches(&self) {
        let mut inner = self.lock();
        inner.epoch += 1;
        inner.wake();
    }

    /// Tells all watches up to where they have heard everything.
    pub(crate) fn bookmark(&self) {
        let mut inner = self.lock();
        inner.version += 1;
        let (version, object) =
            (inner.version, json!({"metadata": {"resourceVersion": inner.version.to_string()}}));
        inner.history.push(Change {
            version,
            kind: BOOKMARK,
            path: String::new(),
            before: None,
            object,
        });
        inner.wake();
    }

    /// Forgets what has happened so far.
    pub(crate) fn forget_history(&self) {
        let mut inner = self.lock();
        inner.oldest = inner.version;
        inner.history.clear();
    }

    /// What was asked since the last time: `get pods/web-0`, `list pods`, `watch pods`.
    pub(crate) fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().requests)
    }
}

impl Inner {
    fn object(&self, pod: &str) -> &Value {
        &self.objects[&pod_path(pod)]
    }

    fn publish(&mut self, kind: &'static str, path: &str, mut object: Value) {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let before = if kind == "DELETED" {
            None
        } else {
            self.objects.insert(path.to_owned(), object.clone())
        };
        let path = path.to_owned();
        self.history.push(Change { version: self.version, kind, path, before, object });
        self.wake();
    }

    fn wake(&mut self) {
        self.watchers.drain(..).for_each(Waker::wake);
    }

    fn answer(&mut self, uri: &http::Uri, cluster: &Cluster) -> Response<Answer> {
        let query: BTreeMap<String, String> = uri
            .query()
            .unwrap_or_default()
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(key, value)| (key.to_owned(), decoded(value)))
            .collect();
        let watch = query.contains_key("watch");
        let is_list = watch || uri.path() == PODS;
        let short = uri.path().rsplit("/namespaces/default/").next().unwrap();
        let verb = if watch {
            "watch"
        } else if is_list {
            "list"
        } else {
            "get"
        };
        let asked = format!("{verb} {short}");
        self.requests.push(asked.clone());
        if let Some((_, status, message)) =
            self.refused.iter().find(|(what, _, _)| asked.starts_with(what))
        {
            return refusal(*status, message);
        }
        if !is_list {
            return match self.objects.get(uri.path()) {
                Some(object) => json_answer(StatusCode::OK, object),
                None => refusal(StatusCode::NOT_FOUND, &format!("{short} not found")),
            };
        }
        let wanted = Wanted::of(&query);
        if watch {
            let from = query.get("resourceVersion").map_or(self.version, |it| it.parse().unwrap());
            let (epoch, cluster, path) = (self.epoch, cluster.clone(), format!("{}/", uri.path()));
            return Response::new(Answer::Watch { cluster, path, wanted, from, epoch });
        }
        let pods = self.objects.iter().filter(|(path, _)| path.starts_with(PODS));
        let items: Vec<_> = pods.map(|(_, pod)| pod).filter(|pod| wanted.includes(pod)).collect();
        let version = self.version.to_string();
        json_answer(
            StatusCode::OK,
            &json!({"metadata": {"resourceVersion": version}, "items": items}),
        )
    }
}

/// Which pods a list or a watch is about.
pub(crate) enum Wanted {
    Name(String),
    Labels(Selector),
}

impl Wanted {
    fn of(query: &BTreeMap<String, String>) -> Self {
        match query.get("fieldSelector") {
            Some(field) => Self::Name(field.strip_prefix("metadata.name=").unwrap().to_owned()),
            None => Self::Labels(query["labelSelector"].parse().unwrap()),
        }
    }

    fn includes(&self, pod: &Value) -> bool {
        match self {
            Self::Name(name) => pod["metadata"]["name"] == json!(name),
            Self::Labels(selector) => {
                let labels = serde_json::from_value(pod["metadata"]["labels"].clone()).unwrap();
                selector.matches(&labels)
            }
        }
    }
}

/// What the server says.
pub(crate) enum Answer {
    Whole(Option<Bytes>),
    Watch { cluster: Cluster, path: String, wanted: Wanted, from: u64, epoch: u64 },
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Watch { cluster, path, wanted, from, epoch } => {
                let mut inner = cluster.inner.lock().unwrap();
                if inner.epoch != *epoch {
                    return Poll::Ready(None);
                }
                let line = if *from < inner.oldest {
                    *from = u64::MAX;
                    json!({"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old resource version"}})
                } else {
                    let later = inner.history.iter().filter(|it| it.version > *from);
                    let mut later =
                        later.filter(|it| it.path.starts_with(&*path) || it.kind == BOOKMARK);
                    let next = later.find_map(|it| it.told(wanted).map(|kind| (kind, it)));
                    let Some((kind, change)) = next else {
                        inner.watchers.push(cx.waker().clone());
                        return Poll::Pending;
                    };
                    *from = change.version;
                    json!({"type": kind, "object": change.object})
                };
                Poll::Ready(Some(Ok(Frame::data(format!("{line}\n").into()))))
            }
        }
    }
}

impl Api for Cluster {
    type Io = SimSocket;
    type Body = Answer;

    async fn request(&self, request: Request<Bytes>) -> Result<Response<Answer>, ApiError> {
        self.sim.sleep(Duration::from_millis(1)).await;
        let mut inner = self.lock();
        if inner.down {
            inner.requests.push("none".to_owned());
            return Err(ApiError::Unreachable {
                at: "the API server".into(),
                problem: "connection refused".into(),
            });
        }
        Ok(inner.answer(request.uri(), self))
    }

    async fn upgrade(
        &self,
        to: &Endpoint,
        offer: &Offer,
    ) -> Result<Upgraded<SimSocket>, DialError> {
        let server = format!("http://{SERVER}");
        let connector = self.sim.http(&server, &to.namespace, &to.pod).unwrap();
        connector.dial(to, offer).await
    }

    fn remembered(&self) -> Remembered {
        self.remembered.clone()
    }
}

const PODS: &str = "/api/v1/namespaces/default/pods";

fn pod_path(name: &str) -> String {
    format!("{PODS}/{name}")
}

fn json_answer(status: StatusCode, value: &Value) -> Response<Answer> {
    let mut response = Response::new(Answer::Whole(Some(value.to_string().into())));
    *response.status_mut() = status;
    response
}

fn refusal(status: StatusCode, message: &str) -> Response<Answer> {
    json_answer(status, &json!({"kind": "Status", "status": "Failure", "message": message}))
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        if *first == b'%' {
            let hex = std::str::from_utf8(&tail[..2]).unwrap();
            bytes.push(u8::from_str_radix(hex, 16).unwrap());
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).unwrap()
}

/// Answers each line with the pod's name, until it is killed.
async fn program(
    sim: Sim,
    mut listener: portway_sim::SimListener,
    name: String,
    killed: Arc<std::sync::atomic::AtomicBool>,
    waker: Arc<Mutex<Option<Waker>>>,
) {
    loop {
        let accepted = std::future::poll_fn(|cx| {
            if killed.load(std::sync::atomic::Ordering::SeqCst) {
                return Poll::Ready(None);
            }
            *waker.lock().unwrap() = Some(cx.waker().clone());
            listener.poll_accept(cx).map(Some)
        })
        .await;
        let Some(accepted) = accepted else { return };
        let Ok((socket, _)) = accepted else { continue };
        sim.start(format!("program in {name}"), answer(sim.clone(), socket, name.clone()));
    }
}

async fn answer(sim: Sim, mut socket: SimSocket, name: String) {
    while let Ok(asked) = line(&mut socket).await {
        if asked.is_empty() {
            return;
        }
        // Who asks for it has to wait.
        sim.sleep(Duration::from_millis(if asked == "slow" { 5_000 } else { 5 })).await;
        if socket.write_all(format!("{name}\n").as_bytes()).await.is_err() {
            return;
        }
    }
    socket.abort();
}

/// A program that connects, asks, and hears which pod it got.
pub(crate) async fn ask(sim: &Sim, to: SocketAddr) -> io::Result<String> {
    let mut socket = sim.connect(&to.into()).await?;
    socket.write_all(b"who\n").await?;
    let answer = line(&mut socket).await?;
    if answer.is_empty() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(answer) }
}

/// What comes before the next line end, or the end.
pub(crate) async fn line(socket: &mut SimSocket) -> io::Result<String> {
    let mut line = String::new();
    loop {
        let read = socket.read(64).await?;
        line.push_str(std::str::from_utf8(&read).unwrap());
        if read.is_empty() || line.ends_with('\n') {
            return Ok(line.trim_end().to_owned());
        }
    }
}
