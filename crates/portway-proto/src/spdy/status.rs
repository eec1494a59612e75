//! Why a stream or a connection ends: status codes of RST_STREAM and GOAWAY (protocol.md C.3).

/// RST_STREAM: the peer broke the protocol on this stream.
pub const PROTOCOL_ERROR: u32 = 1;
/// RST_STREAM: a frame came for a stream that is not there.
pub const INVALID_STREAM: u32 = 2;
/// RST_STREAM: the stream was refused before anything was done for it.
pub const REFUSED_STREAM: u32 = 3;
/// RST_STREAM: a version that is not spoken.
pub const UNSUPPORTED_VERSION: u32 = 4;
/// RST_STREAM: no longer wanted. What Kubernetes sends, in every case (protocol.md trap 33).
pub const CANCEL: u32 = 5;
/// RST_STREAM: not the peer's fault.
pub const INTERNAL_ERROR: u32 = 6;
/// RST_STREAM: more data than the window allowed. Port-forward has no windows.
pub const FLOW_CONTROL_ERROR: u32 = 7;
/// RST_STREAM: a second SYN_REPLY.
pub const STREAM_IN_USE: u32 = 8;
/// RST_STREAM: data after the peer's own FIN.
pub const STREAM_ALREADY_CLOSED: u32 = 9;
/// RST_STREAM: a frame that is too big for us.
pub const FRAME_TOO_LARGE: u32 = 11;

/// GOAWAY: a goodbye without reproach.
pub const GOAWAY_OK: u32 = 0;
/// GOAWAY: the peer broke the protocol.
pub const GOAWAY_PROTOCOL_ERROR: u32 = 1;
/// GOAWAY: not the peer's fault.
pub const GOAWAY_INTERNAL_ERROR: u32 = 2;
