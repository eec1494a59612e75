//! stub
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
/// x
pub enum WsViolation {
    /// x
    #[error("x")]
    X,
}
impl WsViolation {
    /// x
    pub const fn close_code(&self) -> u16 {
        1002
    }
}
