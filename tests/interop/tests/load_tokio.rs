//! The load through portway on tokio. (It looks at its own process for leaks: one test a program.)

mod common;

#[test]
fn every_scenario_of_the_load_on_tokio() {
    common::every_scenario_of_the_load::<common::OnTokio>();
}
