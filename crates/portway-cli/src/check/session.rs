use std::time::Duration;

use portway_tokio::proto::HalfClose;
use portway_tokio::{
    Config, ConnectError, DialError, Forward, Options, Port, PortForward, Protocol, Tokio,
};
use tokio::time::timeout;

use super::port::Mapped;
use super::{Finding, Millis, Said, Subject, Target};

/// The wire forms in the order in which forwards want them.
const FORMS: [Protocol; 3] = [Protocol::Tunnel, Protocol::V4, Protocol::Spdy];

/// Tries every wire form, and how far away the other end is in the one that forwards would take, which
/// is the session that is left.
pub(crate) async fn open(
    target: &Target,
    ports: &[Mapped],
    protocol: Protocol,
    said: &mut Said,
) -> Option<Forward> {
    let ports = asked(ports);
    let mut picked: Option<Forward> = None;
    let mut findings = Vec::new();
    let mut tried = Vec::new();
    for form in FORMS.into_iter().chain(unusual(protocol)) {
        let of = |picked, took_ms| Subject::Form { form: form.to_string(), picked, took_ms };
        if matches!(form, Protocol::V4 | Protocol::V4Base64) && ports.is_empty() {
            let why = "connects to a port by its upgrade; give one to try it";
            findings.push(Finding::skip(of(false, None), why));
            continue;
        }
        let wanted = protocol == Protocol::Auto || protocol == form;
        match Tokio::current().forward(target.clone(), &ports, options(form)).await {
            Ok(forward) => {
                let picks = wanted && picked.is_none();
                findings.push(Finding::ok(of(picks, Some(forward.took().into()))));
                if picks {
                    picked = Some(forward);
                } else {
                    forward.shutdown().await;
                }
            }
            Err(error) => {
                tried.push((findings.len(), wanted));
                findings.push(Finding::note(of(false, None), why(&error)));
            }
        }
    }
    if picked.is_none() {
        // What would have done.
        for (at, _) in tried.into_iter().filter(|(_, wanted)| *wanted) {
            findings[at].result = super::Verdict::Fail;
        }
    }
    findings.iter().for_each(|finding| said.tell(finding));
    let picked = picked?;
    said.tell(&round_trip(&picked).await);
    Some(picked)
}

/// Each once.
pub(crate) fn asked(ports: &[Mapped]) -> Vec<Port> {
    let mut asked: Vec<Port> = Vec::new();
    for mapping in ports.iter().filter_map(|mapped| mapped.mapping.as_ref().ok()) {
        if !asked.contains(&mapping.remote()) {
            asked.push(mapping.remote());
        }
    }
    asked
}

/// What is only tried by who asks for it.
fn unusual(protocol: Protocol) -> Option<Protocol> {
    (protocol != Protocol::Auto && !FORMS.contains(&protocol)).then_some(protocol)
}

/// One form alone, in which our end is said as soon as it is there.
pub(crate) fn options(form: Protocol) -> Options {
    let config = Config::client().with_half_close(HalfClose::Immediate);
    Options::new().with_session(config).with_protocol(form)
}

/// What stood in the way, without what is known by then: server, pod, and that nothing else was tried.
pub(crate) fn why(error: &ConnectError) -> String {
    let of_dial = |error: &DialError| {
        if let DialError::Refused { refusal, .. } = error {
            return refusal.to_string();
        }
        if let DialError::Upgrade { source, .. } = error {
            return source.to_string();
        }
        error.to_string()
    };
    if let ConnectError::Dial(error) = error {
        return of_dial(error);
    }
    if let ConnectError::Negotiation(error) = error {
        let all = error.attempts().iter().map(|attempt| of_dial(&attempt.error));
        return all.collect::<Vec<_>>().join("; ");
    }
    error.to_string()
}

/// The median of several: the first may have to wake somebody up.
async fn round_trip(forward: &Forward) -> Finding {
    const PINGS: usize = 5;
    const EACH: Duration = Duration::from_secs(3);
    let mut took = Vec::with_capacity(PINGS);
    let none = || Subject::RoundTrip { median_ms: None, least_ms: None, most_ms: None, pings: 0 };
    for _ in 0..PINGS {
        match timeout(EACH, forward.round_trip()).await {
            Ok(Ok(one)) => took.push(one),
            Ok(Err(ended)) => return Finding::note(none(), ended),
            Err(_) => {
                let problem = format!("a ping had no answer within {} s", EACH.as_secs());
                return Finding::note(none(), problem);
            }
        }
    }
    took.sort_unstable();
    let [least, median, most] = [0, PINGS / 2, PINGS - 1].map(|at| Some(Millis::from(took[at])));
    Finding::ok(Subject::RoundTrip {
        median_ms: median,
        least_ms: least,
        most_ms: most,
        pings: PINGS,
    })
}
