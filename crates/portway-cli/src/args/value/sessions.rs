use portway_tokio::Sessions;

/// Reads `exclusive`, or `shared:N` for N connections on one session.
pub(crate) fn sessions(text: &str) -> Result<Sessions, String> {
    if text == "exclusive" {
        return Ok(Sessions::Exclusive);
    }
    let streams = text.strip_prefix("shared:").and_then(|streams| streams.parse().ok());
    match streams {
        Some(max_streams @ 1..=1_024) => Ok(Sessions::Shared { max_streams }),
        Some(_) => Err("a session is shared by 1 to 1024 connections".to_owned()),
        None => Err("it is neither exclusive nor shared:N".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_exclusive_or_shared_by_some() {
        assert_eq!(sessions("exclusive"), Ok(Sessions::Exclusive));
        assert_eq!(sessions("shared:8"), Ok(Sessions::Shared { max_streams: 8 }));
        for text in ["", "shared", "shared:", "shared:0", "shared:1025", "shared:-1", "Exclusive"] {
            assert!(sessions(text).is_err(), "{text}");
        }
    }
}
