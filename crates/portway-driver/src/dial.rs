use std::sync::Arc;
use std::time::Duration;

use portway_proto::handshake::Offer;
use portway_proto::{Port, Session, Side, WireForm};

use crate::{
    ConnectError, Connector, DialError, Endpoint, Options, Runtime, Upgraded, WireTransport,
};

/// A session that stands, and what is below it.
pub(crate) struct Dialled<S> {
    pub(crate) session: Session,
    pub(crate) transport: WireTransport<S>,
    pub(crate) endpoint: Endpoint,
    pub(crate) form: WireForm,
    pub(crate) took: Duration,
}

/// Finds the pod, dials it, and puts a session on the connection.
pub(crate) async fn dial<R: Runtime, C: Connector>(
    runtime: &R,
    connector: &C,
    ports: &[Port],
    options: &Options,
) -> Result<Dialled<C::Io>, ConnectError> {
    let started = runtime.now();
    let endpoint = connector.resolve(ports).await?;
    let offer = Offer::new(&options.forms, &endpoint.ports).map_err(DialError::from)?;
    let upgraded = connector.dial(&endpoint, &offer).await?;
    let form = upgraded.form;
    let now = runtime.now();
    let session = Session::client(Arc::clone(&options.session), form, &endpoint.ports, now)
        .map_err(|_| DialError::UnsupportedForm(form))?;
    let (max_message, read_size) = (options.max_message, options.read_size);
    let Upgraded { io, leftover, .. } = upgraded;
    let transport =
        WireTransport::for_form(form, Side::Client, io, leftover, max_message, read_size);
    Ok(Dialled { session, transport, endpoint, form, took: now.duration_since(started) })
}
