//! See [`outrigger_fuzz::head`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| outrigger_fuzz::head::run(data));
