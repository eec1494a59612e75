use std::io;
use std::task::{Context, Poll};

use bytes::Bytes;
use portway_proto::{Incoming, Side, Transmit, WireForm};

use super::{RawTransport, Transport, TransportError, WsTransport};
use crate::Socket;

/// The transport that a wire form asks for.
#[derive(Debug)]
#[non_exhaustive]
pub enum WireTransport<S> {
    /// Of every form that is a WebSocket subprotocol.
    Ws(WsTransport<S>),
    /// Of plain SPDY.
    Raw(RawTransport<S>),
}

impl<S: Socket> WireTransport<S> {
    /// The transport of `form` over an upgraded connection. `leftover` was read behind the upgrade;
    /// messages may be of at most `max_message` bytes, where there are messages, and a read takes at
    /// most `read_size`.
    pub fn for_form(
        form: WireForm,
        side: Side,
        socket: S,
        leftover: Bytes,
        max_message: usize,
        read_size: usize,
    ) -> Self {
        match form.subprotocol() {
            Some(_) => Self::Ws(WsTransport::new(side, socket, leftover, max_message, read_size)),
            None => Self::Raw(RawTransport::new(socket, leftover, read_size)),
        }
    }
}

impl<S: Socket> Transport for WireTransport<S> {
    fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Incoming>, TransportError>> {
        match self {
            Self::Ws(transport) => transport.poll_receive(cx),
            Self::Raw(transport) => transport.poll_receive(cx),
        }
    }

    fn has_room(&self) -> bool {
        match self {
            Self::Ws(transport) => transport.has_room(),
            Self::Raw(transport) => transport.has_room(),
        }
    }

    fn send(&mut self, transmit: Transmit) {
        match self {
            Self::Ws(transport) => transport.send(transmit),
            Self::Raw(transport) => transport.send(transmit),
        }
    }

    fn unsent(&self) -> usize {
        match self {
            Self::Ws(transport) => transport.unsent(),
            Self::Raw(transport) => transport.unsent(),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Ws(transport) => transport.poll_flush(cx),
            Self::Raw(transport) => transport.poll_flush(cx),
        }
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Ws(transport) => transport.poll_shutdown(cx),
            Self::Raw(transport) => transport.poll_shutdown(cx),
        }
    }

    fn abort(&mut self) {
        match self {
            Self::Ws(transport) => transport.abort(),
            Self::Raw(transport) => transport.abort(),
        }
    }

    fn take_error(&mut self) -> Option<io::Error> {
        match self {
            Self::Ws(transport) => transport.take_error(),
            Self::Raw(transport) => transport.take_error(),
        }
    }

    fn keeps_memory(&self) -> bool {
        match self {
            Self::Ws(transport) => transport.keeps_memory(),
            Self::Raw(transport) => transport.keeps_memory(),
        }
    }

    fn release_memory(&mut self) {
        match self {
            Self::Ws(transport) => transport.release_memory(),
            Self::Raw(transport) => transport.release_memory(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::socket::QuietSocket;

    #[test]
    fn only_plain_spdy_has_no_websocket() {
        let raw = |form| {
            let transport =
                WireTransport::for_form(form, Side::Client, QuietSocket, Bytes::new(), 1, 1);
            matches!(transport, WireTransport::Raw(_))
        };
        let forms = [WireForm::V4, WireForm::V4Base64, WireForm::Tunnel, WireForm::Spdy];
        assert_eq!(forms.map(raw), [false, false, false, true]);
    }
}
