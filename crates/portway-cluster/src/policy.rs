/// Which of a target's pods a connection gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Policy {
    /// The same pod until it is gone, not ready or replaced; then the best of the others, by kubectl's
    /// order. Sessions are kept and dialled ahead.
    #[default]
    Sticky,
    /// The best pod at the moment, by kubectl's order. Every connection has a session dialled for it.
    PerConnection,
    /// The ready pods in turn. Every connection has a session dialled for it.
    RoundRobin,
}
