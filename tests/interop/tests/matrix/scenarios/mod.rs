//! The promises, each a function of a form and generic over the runtime.

mod cut;
mod half_close;
mod leaves;
mod lies;
mod load;
mod node;
mod pool;
mod ports;
mod refusal;
mod server;
mod tls;
mod volume;
mod way;

use std::sync::Arc;

use portway_tokio::Protocol;

use crate::grid::Need::{HalfClose, Nothing, Reuse};
use crate::grid::Scenario;
use crate::grid::Share::{All, Turns};
use portway_runtimes::TestRuntime;

/// All of them, in the order in which they run.
pub(crate) fn scenarios<T: TestRuntime>() -> Vec<Scenario> {
    let own: [(_, _, _, fn(Protocol)); _] = [
        ("lies", Nothing, Turns, lies::every_lie_is_named::<T>),
        ("next_session", Reuse, All, lies::the_next_session_works::<T>),
        ("words_of_a_refused_port", Nothing, All, refusal::of_a_port::<T>),
        ("words_of_a_reset", Nothing, All, refusal::by_a_reset::<T>),
        ("words_of_an_unknown_pod", Nothing, All, refusal::of_a_pod::<T>),
        ("words_of_a_forgotten_pod", Nothing, All, refusal::by_the_node::<T>),
        ("words_of_no_permission", Nothing, All, refusal::of_a_user::<T>),
        ("half_close", HalfClose, All, half_close::both_ways::<T>),
        ("cut_in_the_middle", Nothing, All, cut::in_the_middle::<T>),
        ("tls", Nothing, Turns, tls::carries_the_same::<T>),
        ("tls_half_close", HalfClose, All, tls::half_closes::<T>),
        ("tls_cut", Nothing, All, tls::is_cut::<T>),
        ("tls_refused", Nothing, All, tls::says_why_not::<T>),
        ("server_restart", Nothing, Turns, server::restarts::<T>),
        ("many_ports", Nothing, All, ports::as_many_as_go::<T>),
        ("sessions_used_again", Nothing, All, pool::is_used_again::<T>),
        ("wedged_worker", Reuse, Turns, pool::survives_a_wedge::<T>),
        ("old_node", Nothing, Turns, node::of_1_28::<T>),
        ("api_server_proxy", Nothing, Turns, way::through_the_api_server::<T>),
        ("recut_into_bytes", Nothing, Turns, way::in_single_bytes::<T>),
        ("recut_into_one", Nothing, Turns, way::merged::<T>),
        ("long_transfers", Nothing, Turns, volume::long_transfers::<T>),
        ("ten_thousand", Nothing, Turns, volume::ten_thousand::<T>),
        ("nothing_is_left", Nothing, All, leaves::nothing_is_left::<T>),
    ];
    let mut all = load::scenarios::<T>();
    all.extend(own.map(|(name, need, share, run)| Scenario {
        name,
        need,
        share,
        run: Arc::new(run),
    }));
    all
}
