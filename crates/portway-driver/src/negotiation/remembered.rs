use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use portway_proto::WireForm;

use super::Protocol;

/// What was learnt about one server, so that it is not asked again for what it does not have.
///
/// Clones share it. A [`Connector`](crate::Connector) that keeps one hands it to every listener and
/// every forward over it.
#[derive(Debug, Clone, Default)]
pub struct Remembered {
    learnt: Arc<Learnt>,
}

#[derive(Debug, Default)]
struct Learnt {
    /// Plain SPDY worked when the WebSocket did not get through.
    spdy_first: AtomicBool,
    /// The tunnel was asked for and not granted.
    no_tunnel: AtomicBool,
}

impl Remembered {
    /// What to ask for, until one request is granted: first what worked before.
    pub(crate) fn requests(&self, protocol: Protocol) -> &'static [&'static [WireForm]] {
        protocol.requests(self.learnt.spdy_first.load(Ordering::Relaxed))
    }

    /// What to ask for before anybody needs it: only what opens nothing in the pod by its upgrade.
    pub(crate) fn request_ahead(&self, protocol: Protocol) -> Option<&'static [WireForm]> {
        const TUNNEL: &[WireForm] = &[WireForm::Tunnel];
        let first = self.requests(protocol).first()?;
        if first.iter().all(|form| form.capabilities().dynamic_open) {
            // A tunnel or plain SPDY alone; only the tunnel is known to be missing.
            return (*first != TUNNEL || self.may_have_tunnel()).then_some(first);
        }
        (first.contains(&WireForm::Tunnel) && self.may_have_tunnel()).then_some(TUNNEL)
    }

    fn may_have_tunnel(&self) -> bool {
        !self.learnt.no_tunnel.load(Ordering::Relaxed)
    }

    /// A request for `asked` was granted.
    pub(crate) fn granted(&self, protocol: Protocol, asked: &[WireForm], form: WireForm) {
        if asked.contains(&WireForm::Tunnel) {
            self.learnt.no_tunnel.store(form != WireForm::Tunnel, Ordering::Relaxed);
        }
        // Plain SPDY that somebody insisted on says nothing about the WebSocket.
        if protocol == Protocol::Auto {
            self.learnt.spdy_first.store(form == WireForm::Spdy, Ordering::Relaxed);
        }
    }

    /// A request for `asked` did not get through, where another might.
    pub(crate) fn not_granted(&self, asked: &[WireForm]) {
        match asked {
            [WireForm::Tunnel] => self.learnt.no_tunnel.store(true, Ordering::Relaxed),
            [WireForm::Spdy] => self.learnt.spdy_first.store(false, Ordering::Relaxed),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use portway_proto::WireForm::{Spdy, Tunnel, V4};

    use super::*;

    const WEBSOCKET: &[WireForm] = &[Tunnel, V4];

    #[test]
    fn spdy_comes_first_while_it_works_and_the_websocket_did_not() {
        let server = Remembered::default();
        let order = || server.clone().requests(Protocol::Auto);
        assert_eq!(order(), [WEBSOCKET, &[Spdy]]);
        server.not_granted(WEBSOCKET);
        assert_eq!(order(), [WEBSOCKET, &[Spdy]]);
        server.granted(Protocol::Auto, &[Spdy], Spdy);
        assert_eq!(order(), [&[Spdy], WEBSOCKET]);
        server.not_granted(&[Spdy]);
        assert_eq!(order(), [WEBSOCKET, &[Spdy]]);
        server.granted(Protocol::Spdy, &[Spdy], Spdy);
        assert_eq!(order(), [WEBSOCKET, &[Spdy]]);
    }

    #[test]
    fn nothing_is_asked_for_ahead_that_dials_the_pod_or_is_known_to_be_missing() {
        let server = Remembered::default();
        let ahead = |protocol| server.request_ahead(protocol);
        assert_eq!(ahead(Protocol::V4), None);
        assert_eq!(ahead(Protocol::V4Base64), None);
        assert_eq!(ahead(Protocol::Spdy), Some(&[Spdy][..]));
        assert_eq!(ahead(Protocol::Tunnel), Some(&[Tunnel][..]));
        assert_eq!(ahead(Protocol::Auto), Some(&[Tunnel][..]));
        server.granted(Protocol::Auto, WEBSOCKET, V4);
        assert_eq!((ahead(Protocol::Auto), ahead(Protocol::Tunnel)), (None, None));
        assert_eq!(ahead(Protocol::Spdy), Some(&[Spdy][..]));
        server.granted(Protocol::Auto, WEBSOCKET, Tunnel);
        assert_eq!(ahead(Protocol::Auto), Some(&[Tunnel][..]));
        server.not_granted(&[Tunnel]);
        assert_eq!(ahead(Protocol::Auto), None);
        server.granted(Protocol::Auto, &[Spdy], Spdy);
        assert_eq!(ahead(Protocol::Auto), Some(&[Spdy][..]));
    }
}
