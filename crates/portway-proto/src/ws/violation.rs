use crate::CloseFrame;

/// How the peer broke RFC 6455, or our limit. The connection cannot go on after it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WsViolation {
    /// A reserved bit is set though no extension was negotiated (section 5.2).
    #[error("WebSocket frame with a reserved bit set")]
    ReservedBits,
    /// An opcode that no standard gives a meaning: 3 to 7 or 11 to 15 (section 5.2).
    #[error("WebSocket frame with reserved opcode {0}")]
    ReservedOpcode(u8),
    /// A client's frame without a mask (section 5.1).
    #[error("WebSocket frame from a client is not masked")]
    Unmasked,
    /// A server's frame with a mask (section 5.1).
    #[error("WebSocket frame from a server is masked")]
    Masked,
    /// A control frame without FIN (section 5.5).
    #[error("WebSocket control frame is fragmented")]
    FragmentedControl,
    /// A control frame with more than 125 bytes of payload (section 5.5).
    #[error("WebSocket control frame with more than 125 bytes")]
    LongControl,
    /// A continuation frame where there is nothing to continue (section 5.4).
    #[error("WebSocket continuation frame outside of a message")]
    UnexpectedContinuation,
    /// A text or binary frame before the last fragment of the message before it (section 5.4).
    #[error("WebSocket message starts inside of another")]
    InterruptedMessage,
    /// A data message with more payload than we take. Known from the header, so no byte of the frame
    /// that goes over the limit was passed on.
    #[error("WebSocket message with more than {limit} bytes")]
    MessageTooBig {
        /// The most payload of one data message, in bytes.
        limit: usize,
    },
    /// A 64-bit length whose top bit is set (section 5.2).
    #[error("WebSocket frame length over 63 bits")]
    BadLength,
    /// A Close whose payload is one byte: half a status code (section 5.5.1).
    #[error("WebSocket close frame with half a status code")]
    BadClose,
    /// A Close whose reason is not UTF-8 (section 5.5.1).
    #[error("WebSocket close reason is not UTF-8")]
    BadCloseReason,
}

impl WsViolation {
    /// The status code of the Close to answer with (section 7.4.1): 1009 for a message too big, 1007
    /// for a reason that is not UTF-8, 1002 for everything else.
    pub const fn close_code(&self) -> u16 {
        match self {
            Self::MessageTooBig { .. } => CloseFrame::MESSAGE_TOO_BIG,
            Self::BadCloseReason => 1007,
            Self::ReservedBits
            | Self::ReservedOpcode(_)
            | Self::Unmasked
            | Self::Masked
            | Self::FragmentedControl
            | Self::LongControl
            | Self::UnexpectedContinuation
            | Self::InterruptedMessage
            | Self::BadLength
            | Self::BadClose => CloseFrame::PROTOCOL_ERROR,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_violation_has_its_close_code() {
        assert_eq!(WsViolation::MessageTooBig { limit: 1 }.close_code(), 1009);
        assert_eq!(WsViolation::BadCloseReason.close_code(), 1007);
        assert_eq!(WsViolation::Unmasked.close_code(), 1002);
    }
}
