#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| portway_testkit::harness::spdy::headers(data));
