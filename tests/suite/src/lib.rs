//! The promises of portway, each a scenario that is written once.
//!
//! A scenario is a generic function in `scenarios/`, registered once, in the list below. It runs on
//! every [`TestRuntime`], in every wire form that can do what it needs, with our half as the client
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
mod runtime;
pub mod scenarios;
pub mod watched;

pub use env::Env;
pub use run::{SCENARIOS, run, run_case};
pub use runtime::{AsyncStdGlobal, SmolGlobal, TestRuntime, TokioCurrent, TokioThreads};

/// The list of all scenarios: who keeps the promise, and what the wire has to be able to do for it.
#[doc(hidden)]
#[macro_export]
macro_rules! scenarios {
    ($($then:tt)+) => {
        $($then)+! {
            echo {
                one_byte: client, server;
                four_megabytes: client, server;
                a_pod_that_speaks_first: client, server;
                bytes_that_come_with_the_opening: client, server;
            }
            half_close {
                fin_reaches_the_program_while_it_sends: client(RemoteEof);
                fin_reaches_the_pod_while_it_sends: client(HalfClose), server(HalfClose);
                request_fin_then_response: client, server(HalfClose);
                response_fin_then_upload: server;
            }
            error_text {
                is_told_after_the_data: client, server;
                may_come_in_pieces: client;
                of_a_refused_port: server;
            }
            reset {
                of_the_program_reaches_the_pod: client(Reset), server(Reset);
                of_the_pod_is_no_clean_end: client(Reset), server;
                of_the_transport_is_no_clean_end: client, server;
            }
        }
    };
}

/// Makes a test of every scenario, in both roles and all wire forms, on a [`TestRuntime`]. To be called
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
