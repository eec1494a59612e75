//! A server in TLS that wants a token, reached by `portway-rustls`: how a program without kube gets to a
//! cluster.

use std::time::Duration;

use portway_interop::{End, Peer, PeerOptions, load};
use portway_runtimes::TestRuntime;
use portway_rustls::{ApiServer, ClientTls, Target, Token};
use portway_tokio::proto::HalfClose;
use portway_tokio::{Config, Options, Protocol};

use super::half_close;
use crate::common::Opened;

const TOKEN: &str = "jane's";

/// Bytes and the words of a refusal are those of plain HTTP. The server offers HTTP/2 too: whoever took it
/// could not upgrade.
pub(crate) fn carries_the_same<T: TestRuntime>(form: Protocol) {
    let peer = secured(PeerOptions::new());
    let options = Options::new().with_protocol(form);
    let ports = [8080, 8084, 8085, 8087, 8088];
    let mut opened = open::<T>(&peer, &peer.ca_pem(), TOKEN, "demo", &ports, options);
    assert_eq!(opened.exchange(8085), (Vec::new(), true));
    let words = Peer::start().error_text("demo", 8085);
    assert_eq!(opened.next_end(), Err(words.trim_end().to_owned()));
    let target = opened.target().promptness(Duration::from_secs(10));
    load::scenario_line_answer(&target).unwrap();
    load::scenario_both_ways(&target, 4).unwrap();
}

/// The end of one direction is not the end of the other.
pub(crate) fn half_closes<T: TestRuntime>(form: Protocol) {
    let peer = secured(PeerOptions::new().fin_passed_on());
    let session = Config::client().with_half_close(HalfClose::Immediate);
    let options = Options::new().with_protocol(form).with_session(session);
    let opened = open::<T>(&peer, &peer.ca_pem(), TOKEN, "demo", &half_close::PORTS, options);
    half_close::go_both_ways(&opened.target());
}

/// A session that is cut is no clean end: neither by a reset, nor by an end of TLS where the protocol has
/// not ended, nor by one of TCP below TLS.
pub(crate) fn is_cut<T: TestRuntime>(form: Protocol) {
    let peer = secured(PeerOptions::new());
    for pod in ["pod-cut-3000000", "pod-eof-3000000", "pod-hangup-3000000"] {
        let options = Options::new().with_protocol(form);
        let mut opened = open::<T>(&peer, &peer.ca_pem(), TOKEN, pod, &[8081], options);
        let mut conn = opened.target().open(8081).unwrap();
        conn.expect_pattern(0, 100_000).unwrap();
        let (more, end) = conn.end().unwrap();
        assert!(more < 4_000_000, "{pod}: {more} bytes more");
        assert_eq!(end, End::Reset, "{pod}");
        let words = opened.next_end().unwrap_err();
        assert!(words.contains("lost"), "{pod}: {words}");
    }
}

/// A server that another authority of the same name vouches for, and a token that it does not know: what
/// a user reads.
pub(crate) fn says_why_not<T: TestRuntime>(form: Protocol) {
    let peer = secured(PeerOptions::new());
    let other = secured(PeerOptions::new());
    for (ca, token, words) in [
        (
            other.ca_pem(),
            TOKEN,
            "cannot use SERVER: its certificate was issued by nobody who is trusted here; is it the right CA?",
        ),
        (
            peer.ca_pem(),
            "joe's",
            "cannot get pod 'demo' in namespace default: Unauthorized (401 Unauthorized); get fresh credentials",
        ),
    ] {
        let options = Options::new().with_protocol(form);
        let mut opened = open::<T>(&peer, &ca, token, "demo", &[8084], options);
        for _ in 0..2 {
            assert_eq!(opened.exchange(8084), (Vec::new(), true));
            assert_eq!(opened.next_end(), Err(words.replace("SERVER", &peer.addr().to_string())));
        }
    }
}

fn secured(options: PeerOptions) -> Peer {
    Peer::start_with(options.tls().token(TOKEN))
}

/// Local ports into a pod, by a program that trusts this CA and has this token.
fn open<T: TestRuntime>(
    peer: &Peer,
    ca: &str,
    token: &str,
    pod: &str,
    ports: &[u16],
    options: Options,
) -> Opened<T> {
    let runtime = T::start();
    let tls = ClientTls::new().with_authorities(ca.as_bytes()).unwrap();
    let server = ApiServer::new(runtime.handle(), &peer.server(), tls).unwrap();
    let server = server.with_token(Token::new(token).unwrap());
    let target: Target = format!("pod/{pod}").parse().unwrap();
    Opened::through(runtime, server.target("default", target), ports, options)
}
