//! Many ports on one session.

use std::time::Duration;

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use portway_interop::Peer;
use portway_tokio::{Options, Port, PortForward, Protocol, Runtime, until};

use portway_runtimes::TestRuntime;

/// The numbered ports of the pod.
const NUMBERED: std::ops::RangeInclusive<u16> = 9000..=9253;

/// How many ports can be named in the request.
const NAMED: usize = 127;

/// How many connections one session carries: what v4 has channels for (protocol.md B.4), and on SPDY as
/// many as our own limit.
fn most(form: Protocol) -> usize {
    let by_channel = [(Protocol::V4, 127), (Protocol::V4Base64, 40)];
    by_channel.into_iter().find(|(v4, _)| *v4 == form).map_or(1_024, |(_, most)| most)
}

/// As many as the form allows, all open at once, each with a line of its own, on one session. One more is
/// refused before anything is sent.
pub(crate) fn as_many_as_go<T: TestRuntime>(form: Protocol) {
    let peer = Peer::start();
    let runtime = T::start();
    let rt = runtime.handle();
    let connector = rt.http(&peer.server(), "default", "demo").unwrap();
    let most = most(form);
    let ports: Vec<_> = NUMBERED.map(|port| Port::new(port).unwrap()).collect();
    let options = Options::new().with_protocol(form);
    let patience = rt.now() + Duration::from_secs(60);
    let session = async {
        // What is not asked for beforehand can be opened all the same, where streams name their ports.
        let asked = &ports[..most.min(NAMED)];
        let mut forward = rt.forward(connector.clone(), asked, options.clone()).await.unwrap();
        let mut streams = Vec::new();
        for port in ports.iter().cycle().take(most) {
            streams.push(forward.open(*port).unwrap());
        }
        for stream in &mut streams {
            let line = format!("for {}\n", stream.port());
            stream.write_all(line.as_bytes()).await.unwrap();
        }
        for stream in &mut streams {
            let expected = format!("{0}\nfor {0}\n", stream.port());
            let mut got = vec![0; expected.len()];
            stream.read_exact(&mut got).await.unwrap();
            assert_eq!(String::from_utf8_lossy(&got), expected);
        }
        let stats = peer.stats();
        assert_eq!((stats.upgrades, stats.pod_dials), (1, most as u64));
        assert_eq!(stats.live_pod_relays, most as u64, "all at once");
        let one_more = forward.open(ports[most % ports.len()]).unwrap_err().to_string();
        let named = most.min(NAMED);
        let one_more_named = rt.forward(connector, &ports[..=named], options).await;
        let one_more_named = one_more_named.unwrap_err().to_string();
        if most > NAMED {
            assert!(one_more.contains("carries 1024 streams already"), "{one_more}");
        } else {
            assert!(one_more.contains("was not in the upgrade request"), "{one_more}");
        }
        assert!(one_more_named.contains(&format!("at most {named} fit")), "{one_more_named}");
        drop(streams);
        forward.shutdown().await;
    };
    runtime.block_on(until(&rt, patience, session)).expect("done within a minute");
    assert_eq!(peer.stats().upgrades, 1, "nothing was sent for one more");
}
