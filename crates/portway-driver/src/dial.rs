use std::sync::Arc;
use std::time::{Duration, Instant};

use portway_proto::handshake::{Action, Offer};
use portway_proto::{Port, Session, Side, WireForm};

use crate::negotiation::Attempt;
use crate::{
    ConnectError, Connector, DialError, Endpoint, NegotiationError, Options, Remembered, Runtime,
    Socket, Upgraded, WireTransport,
};

/// A session that stands, and what is below it.
pub(crate) struct Dialled<S> {
    pub(crate) session: Session,
    pub(crate) transport: WireTransport<S>,
    pub(crate) endpoint: Endpoint,
    pub(crate) form: WireForm,
    pub(crate) took: Duration,
}

/// Finds the pod, dials it, and puts a session on the connection. A pod that is gone by then is looked
/// for again, for as long as the connector likes.
pub(crate) async fn dial<R: Runtime, C: Connector>(
    runtime: &R,
    connector: &C,
    ports: &[Port],
    options: &Options,
    remembered: &Remembered,
) -> Result<Dialled<C::Io>, ConnectError> {
    let started = runtime.now();
    loop {
        let endpoint = connector.resolve(ports).await?;
        let error = match negotiate(connector, &endpoint, options, remembered).await {
            Ok(upgraded) if connector.is_current(&endpoint) => {
                return establish(runtime, started, endpoint, upgraded, options);
            }
            Ok(_) => {
                tracing::debug!(pod = endpoint.pod, "the target moved while it was dialled");
                continue;
            }
            Err(error) => error,
        };
        if !connector.try_again(&endpoint, &error, started).await {
            return Err(error);
        }
        tracing::debug!(%error, pod = endpoint.pod, "the target is resolved again");
    }
}

/// Asks for an upgrade. What the server turns down is asked for in another form, if the options allow
/// one and the refusal does not speak against it.
async fn negotiate<C: Connector>(
    connector: &C,
    endpoint: &Endpoint,
    options: &Options,
    remembered: &Remembered,
) -> Result<Upgraded<C::Io>, ConnectError> {
    let mut attempts = Vec::new();
    for &asked in remembered.requests(options.protocol) {
        let error = match ask(connector, endpoint, asked, options, remembered).await {
            Ok(upgraded) => return Ok(upgraded),
            Err(error) => error,
        };
        tracing::debug!(%error, ?asked, "no session");
        let falls_back = error.falls_back();
        attempts.push(Attempt::new(asked, error));
        if !falls_back {
            break;
        }
    }
    if attempts.len() == 1
        && let Some(last_word) = attempts.pop_if(|only| !only.error.falls_back())
    {
        return Err(last_word.error.into());
    }
    Err(Box::new(NegotiationError::new(options.protocol, endpoint, attempts)).into())
}

/// The same for a session that nobody needs yet: only in a form that opens nothing in the pod before
/// its first stream. `None` where the server has none; that is remembered.
pub(crate) async fn dial_ahead<R: Runtime, C: Connector>(
    runtime: &R,
    connector: &C,
    ports: &[Port],
    options: &Options,
    remembered: &Remembered,
) -> Result<Option<Dialled<C::Io>>, ConnectError> {
    let started = runtime.now();
    let Some(asked) = remembered.request_ahead(options.protocol) else { return Ok(None) };
    let endpoint = connector.resolve(ports).await?;
    match ask(connector, &endpoint, asked, options, remembered).await {
        Ok(upgraded) => establish(runtime, started, endpoint, upgraded, options).map(Some),
        Err(error) if error.falls_back() => {
            tracing::debug!(%error, ?asked, "nothing can be dialled ahead");
            Ok(None)
        }
        Err(error) => {
            if matches!(&error, DialError::Refused { refusal, .. } if refusal.action() == Action::Reresolve)
            {
                connector.doubt(&endpoint);
            }
            Err(error.into())
        }
    }
}

/// One request.
async fn ask<C: Connector>(
    connector: &C,
    endpoint: &Endpoint,
    asked: &[WireForm],
    options: &Options,
    remembered: &Remembered,
) -> Result<Upgraded<C::Io>, DialError> {
    let offer = Offer::new(asked, &endpoint.distinct_ports())?;
    let result = connector.dial(endpoint, &offer).await;
    match &result {
        Ok(upgraded) => remembered.granted(options.protocol, asked, upgraded.form),
        Err(error) if error.falls_back() => remembered.not_granted(asked),
        Err(_) => {}
    }
    result
}

fn establish<R: Runtime, S: Socket>(
    runtime: &R,
    started: Instant,
    endpoint: Endpoint,
    upgraded: Upgraded<S>,
    options: &Options,
) -> Result<Dialled<S>, ConnectError> {
    let Upgraded { io, leftover, form } = upgraded;
    let now = runtime.now();
    let ports = endpoint.distinct_ports();
    let session = Session::client(Arc::clone(&options.session), form, &ports, now)
        .map_err(DialError::from)?;
    let (max_message, read_size) = (options.max_message, options.read_size);
    let transport =
        WireTransport::for_form(form, Side::Client, io, leftover, max_message, read_size);
    let took = now.duration_since(started);
    tracing::debug!(%form, ?took, pod = endpoint.pod, "session stands");
    Ok(Dialled { session, transport, endpoint, form, took })
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::pin::pin;
    use std::sync::Mutex;
    use std::task::{Context, Poll, Waker};

    use http::{HeaderMap, StatusCode};
    use portway_proto::WireForm::{Spdy, Tunnel, V4};
    use portway_proto::handshake::Refusal;

    use super::*;
    use crate::socket::QuietSocket;
    use crate::{Protocol, ResolveError, Sleep};

    #[derive(Clone)]
    struct NoTime;

    struct Forever;

    impl Future for Forever {
        type Output = ();

        fn poll(self: std::pin::Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            Poll::Pending
        }
    }

    impl Sleep for Forever {
        fn reset(&mut self, _: Instant) {}
    }

    impl Runtime for NoTime {
        type Sleep = Forever;

        fn sleep_until(&self, _: Instant) -> Forever {
            Forever
        }

        fn spawn(&self, _: impl Future<Output = ()> + Send + 'static) {}
    }

    /// Grants or refuses (a status) in turn, and notes what it was asked for.
    #[derive(Clone, Default)]
    struct Scripted {
        answers: Arc<Mutex<VecDeque<Result<WireForm, u16>>>>,
        asked: Arc<Mutex<Vec<Vec<WireForm>>>>,
    }

    impl Connector for Scripted {
        type Io = QuietSocket;

        async fn resolve(&self, ports: &[Port]) -> Result<Endpoint, ResolveError> {
            Ok(Endpoint::new("default", "web", ports))
        }

        async fn dial(
            &self,
            _: &Endpoint,
            offer: &Offer,
        ) -> Result<Upgraded<QuietSocket>, DialError> {
            self.asked.lock().unwrap().push(offer.forms().to_vec());
            match self.answers.lock().unwrap().pop_front().unwrap() {
                Ok(form) => Ok(Upgraded::new(QuietSocket, bytes::Bytes::new(), form)),
                Err(status) => Err(DialError::Refused {
                    at: "server".to_owned(),
                    namespace: "default".to_owned(),
                    pod: "web".to_owned(),
                    refusal: Box::new(Refusal::new(
                        StatusCode::from_u16(status).unwrap(),
                        &HeaderMap::new(),
                        b"",
                    )),
                }),
            }
        }
    }

    /// Nothing here waits.
    fn now<T>(future: impl Future<Output = T>) -> T {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => output,
            Poll::Pending => panic!("it waits"),
        }
    }

    /// One server, and what is remembered of it.
    #[derive(Default)]
    struct Case {
        server: Scripted,
        remembered: Remembered,
    }

    impl Case {
        fn will(&self, answer: Result<WireForm, u16>) {
            self.server.answers.lock().unwrap().push_back(answer);
        }

        fn asked(&self) -> Vec<Vec<WireForm>> {
            std::mem::take(&mut self.server.asked.lock().unwrap())
        }

        fn dial(&self) -> Result<WireForm, ConnectError> {
            let options = Options::new().with_protocol(Protocol::Auto);
            let ports = [Port::new(80).unwrap()];
            let dialled = dial(&NoTime, &self.server, &ports, &options, &self.remembered);
            now(dialled).map(|dialled| dialled.form)
        }

        fn ahead(&self) -> Result<Option<WireForm>, ConnectError> {
            let options = Options::new().with_protocol(Protocol::Auto);
            let ports = [Port::new(80).unwrap()];
            let dialled = dial_ahead(&NoTime, &self.server, &ports, &options, &self.remembered);
            now(dialled).map(|dialled| dialled.map(|dialled| dialled.form))
        }
    }

    #[test]
    fn ahead_only_the_tunnel_is_asked_for() {
        let case = Case::default();
        case.will(Ok(Tunnel));
        assert_eq!(case.ahead().unwrap(), Some(Tunnel));
        assert_eq!(case.asked(), [[Tunnel]]);
    }

    #[test]
    fn a_server_without_a_tunnel_is_asked_for_it_once_and_for_nothing_else() {
        let case = Case::default();
        case.will(Err(403));
        for _ in 0..3 {
            assert_eq!(case.ahead().unwrap(), None);
        }
        assert_eq!(case.asked(), [[Tunnel]]);
        // One that has got it since says so when it is asked for both.
        case.will(Ok(Tunnel));
        case.will(Ok(Tunnel));
        assert_eq!(case.dial().unwrap(), Tunnel);
        assert_eq!(case.ahead().unwrap(), Some(Tunnel));
        assert_eq!(case.asked(), [vec![Tunnel, V4], vec![Tunnel]]);
    }

    #[test]
    fn a_connection_that_got_v4_spares_the_question() {
        let case = Case::default();
        case.will(Ok(V4));
        assert_eq!(case.dial().unwrap(), V4);
        assert_eq!(case.ahead().unwrap(), None);
        assert_eq!(case.asked(), [[Tunnel, V4]]);
    }

    #[test]
    fn where_only_plain_spdy_gets_through_it_is_what_is_dialled_ahead() {
        let case = Case::default();
        case.will(Err(403));
        case.will(Ok(Spdy));
        case.will(Ok(Spdy));
        assert_eq!(case.dial().unwrap(), Spdy);
        assert_eq!(case.ahead().unwrap(), Some(Spdy));
        assert_eq!(case.asked(), [vec![Tunnel, V4], vec![Spdy], vec![Spdy]]);
    }

    #[test]
    fn trouble_ahead_is_an_error_and_not_remembered() {
        let case = Case::default();
        case.will(Err(503));
        assert!(matches!(case.ahead(), Err(ConnectError::Dial(DialError::Refused { .. }))));
        case.will(Ok(Tunnel));
        assert_eq!(case.ahead().unwrap(), Some(Tunnel));
    }
}
