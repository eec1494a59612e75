//! The fuzz bodies of the session on random input: `PROPTEST_CASES` sets how many.

use portway_testkit::harness::session;
use proptest::collection::vec;
use proptest::prelude::*;

fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig {
        cases: cases.unwrap_or(400),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn an_honest_pair_delivers_what_the_model_says(data in vec(any::<u8>(), 20..900)) {
        session::pair_honest(&data);
    }

    #[test]
    fn a_client_keeps_its_promises_to_any_server(data in vec(any::<u8>(), 20..900)) {
        session::session_client(&data);
    }

    #[test]
    fn a_server_keeps_its_promises_to_any_client(data in vec(any::<u8>(), 20..900)) {
        session::session_server(&data);
    }

    #[test]
    fn an_honest_pair_over_spdy_delivers_what_the_model_says(data in vec(any::<u8>(), 20..900)) {
        session::pair_spdy(&data);
    }

    #[test]
    fn a_client_over_spdy_keeps_its_promises_to_any_server(data in vec(any::<u8>(), 20..900)) {
        session::spdy_client(&data);
    }

    #[test]
    fn a_server_over_spdy_keeps_its_promises_to_any_client(data in vec(any::<u8>(), 20..900)) {
        session::spdy_server(&data);
    }

    #[test]
    fn a_spdy_stream_means_the_same_wherever_it_is_cut(data in vec(any::<u8>(), 5..400)) {
        session::pair_chunking(&data);
    }

    #[test]
    fn a_message_means_what_the_specification_says(data in vec(any::<u8>(), 5..300)) {
        session::v4_message_client(&data);
        session::v4_message_server(&data);
    }

    #[test]
    fn what_is_written_is_read(data in vec(any::<u8>(), 5..60)) {
        session::v4_roundtrip(&data);
    }

    #[test]
    fn the_overflow_policy_changes_nothing_for_others(data in vec(any::<u8>(), 5..300)) {
        session::policy_diff(&data);
    }

    #[test]
    fn a_refused_call_changes_nothing(data in vec(any::<u8>(), 27..400)) {
        session::api_misuse(&data);
    }
}
