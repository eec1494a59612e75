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
mod volume;
mod way;

use std::sync::Arc;

use portway_tokio::Protocol;

use crate::common::Home;
use crate::grid::Need::{HalfClose, Nothing, Reuse};
use crate::grid::Scenario;
use crate::grid::Share::{All, Turns};

/// All of them, in the order in which they run.
pub(crate) fn scenarios<H: Home>() -> Vec<Scenario> {
    let own: [(_, _, _, fn(Protocol)); _] = [
        ("lies", Nothing, Turns, lies::every_lie_is_named::<H>),
        ("next_session", Reuse, All, lies::the_next_session_works::<H>),
        ("words_of_a_refused_port", Nothing, All, refusal::of_a_port::<H>),
        ("words_of_a_reset", Nothing, All, refusal::by_a_reset::<H>),
        ("words_of_an_unknown_pod", Nothing, All, refusal::of_a_pod::<H>),
        ("words_of_a_forgotten_pod", Nothing, All, refusal::by_the_node::<H>),
        ("words_of_no_permission", Nothing, All, refusal::of_a_user::<H>),
        ("half_close", HalfClose, All, half_close::both_ways::<H>),
        ("cut_in_the_middle", Nothing, All, cut::in_the_middle::<H>),
        ("server_restart", Nothing, Turns, server::restarts::<H>),
        ("many_ports", Nothing, All, ports::as_many_as_go::<H>),
        ("sessions_used_again", Nothing, All, pool::is_used_again::<H>),
        ("wedged_worker", Reuse, Turns, pool::survives_a_wedge::<H>),
        ("old_node", Nothing, Turns, node::of_1_28::<H>),
        ("api_server_proxy", Nothing, Turns, way::through_the_api_server::<H>),
        ("recut_into_bytes", Nothing, Turns, way::in_single_bytes::<H>),
        ("recut_into_one", Nothing, Turns, way::merged::<H>),
        ("long_transfers", Nothing, Turns, volume::long_transfers::<H>),
        ("ten_thousand", Nothing, Turns, volume::ten_thousand::<H>),
        ("nothing_is_left", Nothing, All, leaves::nothing_is_left::<H>),
    ];
    let mut all = load::scenarios::<H>();
    all.extend(own.map(|(name, need, share, run)| Scenario {
        name,
        need,
        share,
        run: Arc::new(run),
    }));
    all
}
