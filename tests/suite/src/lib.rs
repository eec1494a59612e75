//! The promises of portway, each a scenario that is written once.
//!
//! A scenario is a generic function in `scenarios/`, registered once, in the list below. It runs on
//! every [`Stage`], in every wire form that can do what it needs, with our half as the client
//! and as the server. The other half is written by hand ([`raw`]), so that what is proven is what
//! goes over the wire. See the README for how to test another runtime.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::missing_panics_doc)]
#![allow(clippy::wildcard_enum_match_arm, reason = "what a test does not name it does not judge")]

pub mod env;
pub mod line;
pub mod matrix;
pub mod pipe;
pub mod raw;
mod run;
pub mod scenarios;
mod stage;
pub mod watched;

pub use env::Env;
pub use portway_runtimes::{AsyncStdGlobal, SmolGlobal, TokioCurrent, TokioThreads};
pub use run::{SCENARIOS, run, run_case};
pub use stage::{Simulator, Stage};

/// The list of all scenarios: who keeps the promise, and what the wire has to be able to do for it.
#[doc(hidden)]
#[macro_export]
macro_rules! scenarios {
    ($($then:tt)+) => {
        $($then)+! {
            close {
                comes_behind_the_last_byte: client, server;
                is_answered: client(WebSocket), server(WebSocket);
                with_another_code_is_a_reset: client(WebSocket);
            }
            echo {
                one_byte: client, server;
                more_than_fits_on_the_way: client, server;
                a_pod_that_speaks_first: client, server;
                bytes_that_come_with_the_opening: client, server;
            }
            error_text {
                is_told_after_the_data: client, server;
                may_come_in_pieces: client;
                may_be_no_text: client;
                has_an_end: client;
                of_a_refused_port: server;
            }
            fairness {
                lets_small_ones_by: client, server;
            }
            forward {
                carries_bytes_and_ends: client;
                tells_the_error_where_it_is_met: client;
                ends_with_its_last_handle: client;
                is_shut_down_behind_what_was_written: client;
                drops_one_stream_and_no_other: client(Reset);
            }
            framing {
                of_spdy_does_not_matter: client(DynamicOpen), server(DynamicOpen);
                of_messages_does_not_matter: client(WebSocket), server(WebSocket);
                may_be_of_nothing: client, server;
                in_text_is_none: client(WebSocket, Bytes), server(WebSocket, DynamicOpen);
                in_text_is_taken_of_a_client: server(FixedPorts, Bytes);
            }
            half_close {
                fin_reaches_the_program_while_it_sends: client(RemoteEof);
                fin_reaches_the_pod_while_it_sends: client(HalfClose), server(HalfClose);
                request_fin_then_response: client, server(HalfClose);
                response_fin_then_upload: server;
            }
            leaks {
                of_connections_that_ended: client;
            }
            lingering {
                ends_for_the_longest_silent: client;
                leaves_a_place: client;
            }
            listen {
                goes_on_after_a_refusal: client;
                goes_on_without_a_server: client;
                keeps_neighbours_apart: client;
                serves_all_who_come_at_once: client;
                keeps_a_slow_program_from_its_neighbour: client;
                waits_errors_of_the_system_out: client;
            }
            liveness {
                of_a_silent_peer_is_denied: client, server;
                of_an_idle_peer_is_not_denied: client, server;
                of_a_paused_session_is_not_denied: client;
                is_told_who_asks: client, server;
                of_the_websocket_is_told: client(WebSocket), server(WebSocket);
                of_an_idle_client_has_an_end: server;
                of_an_idle_session_has_an_end: client;
            }
            negotiation {
                takes_what_is_granted: client(Unasked);
                remembers_what_worked: client(Unasked);
                falls_back_to_plain_spdy: client(NoWebSocket);
                is_over_after_any_other_answer: client(NoWebSocket);
                trusts_no_switch_that_was_changed: client(NoWebSocket);
                tells_both_errors: client(NoWebSocket);
                asks_for_what_was_chosen_alone: client;
                forgets_what_works_no_more: client(NoWebSocket);
                is_shared_by_clones_of_a_connector: client(NoWebSocket);
                is_remembered_by_a_listener: client(NoWebSocket);
                names_ports_as_a_kubelet_wants_them: client(NoWebSocket);
            }
            overflow {
                of_a_slow_program_loses_nothing: client, server;
                of_a_slow_pod_loses_nothing: client, server;
                of_a_program_is_bounded: client, server;
                of_a_pod_is_bounded: client, server;
                with_reset_is_no_clean_end: client, server;
                of_one_is_the_end_of_one: client, server;
            }
            pool {
                a_session_is_left_to_the_next: client(DynamicOpen);
                a_stuck_session_is_not_used_again: client(DynamicOpen);
                nobody_waits_for_a_check: client(DynamicOpen);
                a_dead_session_costs_no_byte: client(DynamicOpen);
                a_lost_session_is_not_waited_for: client(DynamicOpen);
                a_goodbye_sends_the_next_elsewhere: client(DynamicOpen);
                a_goodbye_lets_who_is_there_finish: client(DynamicOpen);
                a_text_ends_what_waits: client(DynamicOpen);
                what_a_pod_may_have_got_is_not_sent_again: client(DynamicOpen);
                a_fixed_session_is_for_one: client(FixedPorts);
                a_spare_is_there_for_the_first: client(DynamicOpen);
                a_stream_that_is_not_opened_is_given_up: client;
            }
            ports {
                announced_wrongly_end_the_session: client(FixedPorts);
                announced_by_one_byte_end_the_session: client(FixedPorts);
                announced_with_data_are_no_loss: client(FixedPorts);
                nobody_asked_for_are_ignored: client(FixedPorts), server(FixedPorts);
                carry_each_its_own_bytes: client, server;
                fail_alone: client, server;
                as_many_as_can_be_are_served: client;
                that_cannot_be_are_refused_before_dialling: client;
                are_announced_in_order: server(FixedPorts);
                that_no_channel_can_carry_are_refused: server(FixedPorts);
                that_are_none_are_refused_one_by_one: server(DynamicOpen);
                that_are_not_granted_are_not_reached: server;
            }
            refused {
                is_a_web_page: server;
                is_who_has_no_right: server;
                is_a_pod_that_is_not_there: server;
            }
            reset {
                of_the_program_reaches_the_pod: client(Reset), server(Reset);
                of_the_pod_is_no_clean_end: client(Reset), server;
                of_the_transport_is_no_clean_end: client, server;
            }
            shared {
                is_one_upgrade_for_many: client(DynamicOpen);
                is_one_each_where_ports_are_fixed: client(FixedPorts);
                goes_on_without_who_does_not_read: client(DynamicOpen);
                is_lost_for_those_on_it: client(DynamicOpen);
            }
            shutdown {
                lets_connections_finish: client, server;
                resets_what_takes_longer: client, server;
                by_a_drop_is_at_once: client, server;
                does_not_wait_for_the_dead: client, server;
            }
        }
    };
}

/// Makes a test of every scenario, in both roles and all wire forms, on a [`Stage`]. To be called
/// in the root of a test file, once.
#[macro_export]
macro_rules! conformance {
    ($runtime:ty) => {
        /// What is tested here.
        type Tested = $runtime;

        $crate::scenarios!($crate::scenario_tests);
    };
}

/// Makes modules and tests of the list.
#[doc(hidden)]
#[macro_export]
#[allow(clippy::crate_in_macro_def, reason = "the type is named where the tests are")]
macro_rules! scenario_tests {
    ($($noun:ident {
        $($promise:ident: $($role:ident $(($($need:ident),+))?),+;)+
    })+) => {
        $(mod $noun {
            $(mod $promise {
                $(mod $role {
                    const NAME: &str = concat!(stringify!($noun), "::", stringify!($promise));

                    #[test]
                    fn v4() {
                        $crate::run::<crate::Tested>(NAME, stringify!($role), 0);
                    }

                    #[test]
                    fn v4_base64() {
                        $crate::run::<crate::Tested>(NAME, stringify!($role), 1);
                    }

                    #[test]
                    fn tunnel() {
                        $crate::run::<crate::Tested>(NAME, stringify!($role), 2);
                    }

                    #[test]
                    fn spdy() {
                        $crate::run::<crate::Tested>(NAME, stringify!($role), 3);
                    }
                })+
            })+
        })+
    };
}
