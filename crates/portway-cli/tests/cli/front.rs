use std::io::{Read, Write};
use std::net::TcpStream;

/// As much of an API server as is asked before a forward: the pod `web`, which runs, and a watch on it
/// that brings nothing. Says whether that was asked for; otherwise nothing was answered.
pub(crate) fn answer(head: &str, stream: &mut TcpStream) -> std::io::Result<bool> {
    let path = head.split(' ').nth(1).unwrap_or_default();
    if path.contains("/portforward") {
        return Ok(false);
    }
    let name = path
        .split_once("/pods/")
        .map_or("web", |(_, rest)| rest.split('?').next().unwrap_or_default());
    let pod = format!(
        r#"{{"kind":"Pod","apiVersion":"v1","metadata":{{"name":"{name}","namespace":"default","uid":"1f","resourceVersion":"7"}},"spec":{{"nodeName":"node","containers":[{{"name":"web"}}]}},"status":{{"phase":"Running","conditions":[{{"type":"Ready","status":"True"}}]}}}}"#
    );
    if path.contains("watch=") {
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")?;
        // Until the client goes away.
        std::io::copy(stream, &mut std::io::sink())?;
        return Ok(true);
    }
    let body = if path.contains("/pods/") {
        pod
    } else {
        format!(
            r#"{{"kind":"PodList","apiVersion":"v1","metadata":{{"resourceVersion":"7"}},"items":[{pod}]}}"#
        )
    };
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    Ok(true)
}

/// Reads the head of a request, and nothing behind it.
pub(crate) fn head(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// The same, and leaves it there to be read.
pub(crate) fn peek(stream: &TcpStream) -> std::io::Result<String> {
    let mut head = [0; 16 * 1024];
    loop {
        let seen = stream.peek(&mut head)?;
        let text = String::from_utf8_lossy(&head[..seen]);
        // Somebody who says nothing more says nothing.
        if seen == 0 || text.contains("\r\n\r\n") {
            return Ok(text.into_owned());
        }
        std::thread::yield_now();
    }
}
