//! What a user reads when there is no way into the pod, word for word.

use portway_interop::Peer;
use portway_tokio::Protocol;

use portway_runtimes::TestRuntime;

use crate::common::Opened;

/// A port that nobody listens on: the words of the container runtime, all of them and no others.
pub(crate) fn of_a_port<T: TestRuntime>(form: Protocol) {
    // What comes behind it depends on what the machine's hosts file says of IPv6.
    const FRONT: &str = "error forwarding port 8085 to pod demo, uid : failed to execute portforward in network namespace \"/var/run/netns/cni-demo\": \
        failed to connect to localhost:8085 inside namespace \"0123456789abcdef\", IPv4: dial tcp4 127.0.0.1:8085: connect: connection refused IPv6 ";
    let peer = Peer::start();
    let words = peer.error_text("demo", 8085);
    assert!(words.starts_with(FRONT), "the peer says {words:?}");
    let mut opened = Opened::<T>::new(&peer, "demo", &[8085], form);
    assert_eq!(opened.exchange(8085), (Vec::new(), true));
    assert_eq!(opened.next_end(), Err(words.trim_end().to_owned()));
}

/// A program in the pod that resets: what it said before arrives, and the words say so.
pub(crate) fn by_a_reset<T: TestRuntime>(form: Protocol) {
    let peer = Peer::start();
    let mut opened = Opened::<T>::new(&peer, "demo", &[8083], form);
    assert_eq!(opened.exchange(8083), (b"partial".to_vec(), true));
    let words = opened.next_end().unwrap_err();
    // Which port the container runtime dialled from is its own affair.
    let from = words.split("127.0.0.1:").nth(1).and_then(|rest| rest.split("->").next());
    let way = format!("tcp4 127.0.0.1:{}->127.0.0.1:8083", from.unwrap_or("?"));
    let expected = format!(
        "error forwarding port 8083 to pod demo, uid : failed to execute portforward in network namespace \"/var/run/netns/cni-demo\": \
         writeto {way}: read {way}: read: connection reset by peer"
    );
    assert_eq!(words, expected);
}

/// A pod that the API server does not know.
pub(crate) fn of_a_pod<T: TestRuntime>(form: Protocol) {
    refused::<T>(
        form,
        "pod-unknown",
        "there is no such pod (404 Not Found): pods \"pod-unknown\" not found; look the target up again",
    );
}

/// A pod that the API server knows, and its node does not any more.
pub(crate) fn by_the_node<T: TestRuntime>(form: Protocol) {
    refused::<T>(
        form,
        "pod-404",
        "the node does not know the pod (404 Not Found): pod does not exist; look the target up again",
    );
}

/// Somebody who may not.
pub(crate) fn of_a_user<T: TestRuntime>(form: Protocol) {
    refused::<T>(
        form,
        "pod-403",
        "forwarding to this pod is not allowed (403 Forbidden): pods \"pod-403\" is forbidden: User \"demo\" cannot create resource \"pods/portforward\" \
         in API group \"\" in the namespace \"default\"; create is missing, the role needs both verbs get and create on pods/portforward",
    );
}

/// The program is reset, the error has the words and nothing else is tried; whoever comes next hears
/// the same.
fn refused<T: TestRuntime>(form: Protocol, pod: &str, words: &str) {
    let peer = Peer::start();
    let mut opened = Opened::<T>::new(&peer, pod, &[8080], form);
    let expected =
        format!("{} refused to forward to pod {pod} in namespace default: {words}", peer.addr());
    for _ in 0..2 {
        assert_eq!(opened.exchange(8080), (Vec::new(), true));
        assert_eq!(opened.next_end(), Err(expected.clone()));
    }
    assert_eq!(peer.stats().pod_dials, 0);
}
