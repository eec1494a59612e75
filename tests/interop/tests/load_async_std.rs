//! The load through portway on async-std. (It looks at its own process for leaks: one test a program.)

mod common;

#[test]
fn every_scenario_of_the_load_on_async_std() {
    common::every_scenario_of_the_load::<common::OnAsyncStd>();
}
