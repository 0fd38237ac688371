#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| -> libfuzzer_sys::Corpus {
    kafka_producer_fuzz::run("decode_init_producer_id", input)
});
