//! The recorded bytes of kubectl and of Kubernetes' own server, in the tunnel and over plain SPDY: frames
//! and headers.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a panic fails the test")]

use bytes::Bytes;
use portway_proto::spdy::{Frame, HeaderDecoder, Headers, Limits, status};
use portway_testkit::spdy_oracle::{Reading, blocks, judge, read, recorded};
use portway_testkit::transcript::Transcript;

/// One direction of each recording: its name, whether the client sent it, its bytes.
fn directions() -> Vec<(String, bool, Vec<u8>)> {
    let all = [Transcript::load_all("tunnel-"), Transcript::load_all("spdy-")].concat();
    assert_eq!(all.len(), 31);
    let both = all.iter().flat_map(|transcript| [(transcript, true), (transcript, false)]);
    both.map(|(transcript, client)| (transcript.name.clone(), client, recorded(transcript, client)))
        .collect()
}

/// Those in which kubectl opens one pair after the other.
fn pair_by_pair() -> impl Iterator<Item = (String, bool, Vec<u8>)> {
    let all = directions().into_iter();
    all.filter(|(name, ..)| name.contains("kubectl") && !name.ends_with("-parallel"))
}

fn headers(reading: &Reading) -> Vec<Headers> {
    let mut decoder = HeaderDecoder::new(Limits::new());
    blocks(&reading.frames).map(|block| decoder.decode(block).unwrap()).collect()
}

#[test]
fn every_cut_gives_the_same_frames() {
    for (name, client, wire) in directions() {
        let whole = judge(Limits::new(), &wire, 1);
        assert_eq!((&whole.violation, whole.idle), (&None, true), "{name}, client: {client}");
        let wire = Bytes::from(wire);
        for at in 1..wire.len() {
            let mut first = true;
            let cut = |rest: &[u8]| if std::mem::take(&mut first) { at } else { rest.len() };
            assert_eq!(read(Limits::new(), &wire, cut), whole, "{name}, cut at {at}");
        }
    }
}

/// A pair of streams for each connection: the error stream first, which the client ends at once.
#[test]
fn kubectl_opens_pairs_of_streams() {
    for (name, _, wire) in pair_by_pair().filter(|(_, client, _)| *client) {
        let reading = judge(Limits::new(), &wire, 1);
        let opened: Vec<_> = reading
            .frames
            .iter()
            .filter_map(|frame| match frame {
                Frame::SynStream { stream, associated, fin, .. } => {
                    Some((*stream, *associated, *fin))
                }
                _ => None,
            })
            .collect();
        let expected: Vec<_> = (0..opened.len() as u32).map(|at| (at * 2 + 1, 0, false)).collect();
        assert_eq!(opened, expected, "{name}");
        let headers = headers(&reading);
        assert_eq!((headers.len(), headers.len() % 2), (opened.len(), 0), "{name}");
        for (at, headers) in headers.iter().enumerate() {
            assert_eq!(headers.len(), 3, "{name}");
            let kind: &[u8] = if at % 2 == 0 { b"error" } else { b"data" };
            assert_eq!(headers.get("streamtype"), Some(kind), "{name}");
            let request = (at / 2).to_string();
            assert_eq!(headers.get("requestid"), Some(request.as_bytes()), "{name}");
            let port = std::str::from_utf8(headers.get("port").unwrap()).unwrap();
            assert!(port.parse::<u16>().unwrap() > 0, "{name}");
            let fin =
                Frame::Data { stream: opened[at].0, bytes: Bytes::new(), fin: true, end: true };
            assert!(at % 2 == 1 || reading.frames.contains(&fin), "{name}: no FIN");
        }
    }
}

/// Without headers, and in the order of the streams.
#[test]
fn the_server_replies_to_each() {
    for (name, client, wire) in pair_by_pair() {
        let reading = judge(Limits::new(), &wire, 1);
        let replied = reading.frames.iter().filter_map(|frame| match frame {
            Frame::SynReply { stream, fin, .. } => Some((*stream, *fin)),
            _ => None,
        });
        let replied: Vec<_> = replied.collect();
        if client {
            assert_eq!(replied, [], "{name}");
            continue;
        }
        let mut expected = replied.clone();
        expected.sort_unstable();
        assert_eq!(replied, expected, "{name}");
        assert!(!replied.is_empty() && replied.iter().all(|(_, fin)| !fin), "{name}");
        assert!(headers(&reading).iter().all(Headers::is_empty), "{name}");
    }
}

/// protocol.md C.6: what a refused connection looks like from the client.
#[test]
fn a_refusal_is_text_on_the_error_stream() {
    let transcript = Transcript::load("tunnel-kubectl-refused");
    let reading = judge(Limits::new(), &recorded(&transcript, false), 1);
    let text = reading.frames.iter().find_map(|frame| match frame {
        Frame::Data { stream, bytes, .. } if !bytes.is_empty() => Some((*stream, bytes.clone())),
        _ => None,
    });
    let (stream, text) = text.unwrap();
    assert_eq!(stream, 1);
    let text = String::from_utf8(text.to_vec()).unwrap();
    assert!(text.contains("connection refused"), "{text}");
    let reset = Frame::RstStream { stream: 1, status: status::CANCEL };
    assert!(reading.frames.contains(&reset), "{:?}", reading.frames);
}
