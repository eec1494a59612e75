//! What is asked for, and what comes of it. Every row in which portway is not like kubectl says why.

use crate::row::{Outcome, Row, fails, fails_saying, nonsense, opens};

const ONE_REFUSED: &str = "one refused connection does not end the others (protocol.md E.5)";
const TIMED_OUT: &[&str] = &["timed out waiting for the condition"];
const GUESSED: &str = "kubectl guesses what was meant (protocol.md E.1)";

/// E.1. `localhost` is two addresses, so each port is two lines.
pub(crate) const PORTS: &[Row] = &[
    opens("web-a A", &["web-a:A", "web-a:A"]),
    opens("pod/web-a C:A", &["web-a:A", "web-a:A"]),
    opens("web-a :A", &["web-a:A", "web-a:A"]),
    opens("web-a 0:A", &["web-a:A", "web-a:A"]),
    opens("web-a http", &["web-a:A", "web-a:A"]),
    opens("web-a C:http", &["web-a:A", "web-a:A"]),
    opens("web-a :http", &["web-a:A", "web-a:A"]),
    opens("web-a A B", &["web-a:A", "web-a:A", "web-a:B", "web-a:B"]),
    opens("web-a A:B B:A", &["web-a:B", "web-a:B", "web-a:A", "web-a:A"]),
    opens("web-a :admin C:http", &["web-a:B", "web-a:B", "web-a:A", "web-a:A"]),
    // Nobody declares it, and nobody listens there.
    Row {
        args: "web-a --address 127.0.0.1 D",
        kubectl: Outcome { leads_to: &[""], code: 1, says: &["lost connection to pod"] },
        differs: Some((Outcome { leads_to: &[""], code: 0, says: &["refused"] }, ONE_REFUSED)),
    },
    fails_saying("web-a C:", &["does not have a named port "], &["remote port cannot be empty"]),
    nonsense("web-a C:0", &["remote port must be > 0"]),
    nonsense("web-a 0", &["remote port must be > 0"]),
    fails("web-a C:https", &["'https'"]),
    fails("udp-a :dns", &["UDP protocol is not supported for"]),
    fails("udp-a 53", &["UDP protocol is not supported for 53"]),
    nonsense("web-a 65536", &["65536"]),
    nonsense("web-a C:65536", &["65536"]),
    nonsense("web-a 65536:A", &["65536"]),
    nonsense("web-a -1:A", &["-1"]),
    nonsense("web-a http:A", &["http"]),
    opens("web-a :A :A", &["web-a:A", "web-a:A", "web-a:A", "web-a:A"]),
    Row {
        args: "web-a C:A C:B",
        kubectl: Outcome {
            leads_to: &["web-a:A", "web-a:A"],
            code: 0,
            says: &["Unable to listen on port C"],
        },
        differs: Some((
            Outcome { leads_to: &[], code: 2, says: &["local port C is asked for twice"] },
            "what can never work is a mistake in the command line",
        )),
    },
    nonsense("web-a", &["port"]),
    nonsense("", &[""]),
    Row {
        args: "web-a C:A:B --address 127.0.0.1",
        kubectl: Outcome { leads_to: &[""], code: 1, says: &["lost connection to pod"] },
        differs: Some((
            Outcome { leads_to: &[], code: 2, says: &["there is more than one colon"] },
            GUESSED,
        )),
    },
];

/// E.2.
pub(crate) const SERVICES: &[Row] = &[
    opens("svc/number :80", &["web-b:A", "web-b:A"]),
    opens("service/number C:80", &["web-b:A", "web-b:A"]),
    opens("services/number C:main", &["web-b:A", "web-b:A"]),
    opens("svc/named :80", &["web-b:A", "web-b:A"]),
    opens("svc/named C:web", &["web-b:A", "web-b:A"]),
    opens("svc/named C:adm :80", &["web-b:B", "web-b:B", "web-b:A", "web-b:A"]),
    opens("svc/same A", &["web-b:B", "web-b:B"]),
    opens("svc/same web", &["web-b:B", "web-b:B"]),
    opens("svc/unnamed C:", &["web-b:A", "web-b:A"]),
    opens("svc/headless :B", &["web-b:B", "web-b:B"]),
    opens("svc/headless C:web", &["web-b:B", "web-b:B"]),
    fails("svc/headless :A", &["does not have a service port A"]),
    fails("svc/headless :https", &["does not have a named port 'https'"]),
    fails("svc/number :81", &["does not have a service port 81"]),
    fails("svc/number :http", &["does not have a named port 'http'"]),
    fails("svc/nowhere :80", &["does not have a named port 'nothing'"]),
    fails_saying("svc/selectorless :80", &["without a selector"], &["has no selector"]),
    fails("svc/udp :53", &["UDP protocol is not supported for 53"]),
    fails("svc/missing :80", &["services \"missing\" not found"]),
    fails_saying(
        "svc/empty :80 --pod-running-timeout 1s",
        TIMED_OUT,
        &["there is no pod of service/empty"],
    ),
];

/// E.3.
pub(crate) const TARGETS: &[Row] = &[
    opens("po/web-a :A", &["web-a:A", "web-a:A"]),
    opens("pods/web-a :A", &["web-a:A", "web-a:A"]),
    opens("deployment/web :A", &["web-b:A", "web-b:A"]),
    opens("deploy/web C:http", &["web-b:A", "web-b:A"]),
    opens("deployments.v1.apps/web :http", &["web-b:A", "web-b:A"]),
    opens("deployment.apps/web :http", &["web-b:A", "web-b:A"]),
    opens("web-z :A -n shop", &["web-z:A", "web-z:A"]),
    opens("--namespace=shop pod/web-z :A", &["web-z:A", "web-z:A"]),
    opens("rs/web :A", &["web-b:A", "web-b:A"]),
    opens("sts/web :A", &["web-b:A", "web-b:A"]),
    opens("ds/web :admin", &["web-b:B", "web-b:B"]),
    opens("rc/web :A", &["web-b:A", "web-b:A"]),
    opens("job/web :A", &["web-b:A", "web-b:A"]),
    fails("pending-a :A --pod-running-timeout 1s", &["pending"]),
    fails("deploy/pending :A --pod-running-timeout 1s", &["pending"]),
    fails("done-a :A --pod-running-timeout 1s", &["succeeded"]),
    fails_saying(
        "deploy/nobody :A --pod-running-timeout 1s",
        TIMED_OUT,
        &["there is no pod of deployment/nobody"],
    ),
    fails("deploy/missing :A", &["deployments.apps \"missing\" not found"]),
    fails("missing :A", &["pods \"missing\" not found"]),
    fails("web-a :A -n other", &["not found"]),
    nonsense("pod/web-a/web-b :A", &["slash"]),
    nonsense("pod/ :A", &["name"]),
    nonsense("/web-a :A", &[""]),
    nonsense("node/web :A", &["node"]),
    nonsense("widget/web :A", &["widget"]),
];

/// E.4.
pub(crate) const ADDRESSES: &[Row] = &[
    opens("web-a :A --address 127.0.0.1", &["web-a:A"]),
    opens("web-a :A --address ::1", &["web-a:A"]),
    opens("web-a C:A --address ::1,127.0.0.1", &["web-a:A", "web-a:A"]),
    opens("web-a C:A --address localhost,127.0.0.1", &["web-a:A", "web-a:A"]),
    opens("web-a C:A --address localhost,127.0.0.2", &["web-a:A", "web-a:A", "web-a:A"]),
    opens("--address=127.0.0.1 web-a C:A D:B", &["web-a:A", "web-a:B"]),
    nonsense("web-a :A --address example.org", &["example.org is not a valid IP"]),
    nonsense("web-a :A --address 127.0.0.1,", &["is not a valid IP"]),
    // One of the two of localhost is enough.
    opens("web-a V:A", &["web-a:A"]),
    fails("web-a W:A", &["unable to listen on any of the requested ports"]),
    fails(
        "web-a V:A --address 127.0.0.1",
        &["Unable to listen on port V", "address already in use"],
    ),
    // The command goes on with the others.
    Row {
        args: "web-a W:A :B",
        kubectl: Outcome {
            leads_to: &["web-a:B", "web-a:B"],
            code: 0,
            says: &["Unable to listen on port W: Listeners failed to create"],
        },
        differs: None,
    },
];

/// E.5.
pub(crate) const ENDS: &[Row] = &[
    fails("web-a :A --server http://127.0.0.1:1", &["refused"]),
    fails("web-a :A -n locked", &["forbidden"]),
    fails("deploy/web :80 -n listless", &["forbidden", "list"]),
    fails("web-a :A -n blind", &["forbidden", "get"]),
    fails("web-a :A --context nowhere", &["context", "nowhere"]),
    fails("web-a :A --cluster nowhere", &["cluster", "nowhere"]),
    fails("web-a :A --user nowhere", &["nowhere"]),
    fails("web-a :A --kubeconfig /dev/null/none --server=", &["/dev/null/none"]),
    nonsense("web-a :A --nonsense", &["--nonsense"]),
    nonsense("web-a :A --pod-running-timeout soon", &["soon"]),
    nonsense("web-a :A --pod-running-timeout 0s", &["pod-running-timeout"]),
];
