//! What people write down: properties text, single keys and values, lists of `host:port`. The first
//! byte says which.
//!
//! Nothing panics, and an error names the key it is about.

use std::fmt::Write as _;

use super::input::Input;
use super::target::{self, Target};
use crate::client::parse_bootstrap;
use crate::error::{Error, ErrorKind};
use crate::producer::ProducerConfig;
use crate::producer::fuzzed::key_names;

pub(super) const CONFIGURATION: Target = target::new(
    ("configuration", MAX_LEN),
    run,
    // The text as bytes, as characters and as values, and what errors quote of it; and once what the
    // reader of properties compiles.
    |length| 64 * length + 512 * 1024,
    // An unknown key is compared with every known one.
    |length| 256 * length + 16 * 1024,
);

const MAX_LEN: usize = 4 * 1024;

fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    match input.byte() % 3 {
        0 => properties_text(input.rest()),
        1 => keys_and_values(&mut input),
        _ => {
            if let Ok(servers) = std::str::from_utf8(input.rest()) {
                bootstrap(servers);
            }
        }
    }
}

#[cfg(feature = "properties")]
fn properties_text(text: &[u8]) {
    match ProducerConfig::from_properties_reader(text) {
        Ok(config) => assert!(config.check().is_ok(), "it was checked"),
        Err(error) => {
            let told = error.to_string();
            let is_no_text = told.contains("not a properties file");
            assert!(is_no_text || names_a_key(&told), "{told}");
            assert_eq!(error.kind(), ErrorKind::Config);
        }
    }
}

#[cfg(not(feature = "properties"))]
fn properties_text(_: &[u8]) {}

/// Known keys with any value, now and then an unknown one.
fn keys_and_values(input: &mut Input<'_>) {
    let names: Vec<&str> = key_names().collect();
    let mut pairs: Vec<(String, String)> = Vec::new();
    while !input.is_empty() && pairs.len() < 16 {
        let which = usize::from(input.byte());
        let key = match names.get(which % (names.len() + 2)) {
            Some(known) => (*known).to_owned(),
            None => text(input),
        };
        pairs.push((key, text(input)));
    }
    let mut config = ProducerConfig::new("localhost:9092").strict(pairs.len() % 2 == 0);
    for (key, value) in &pairs {
        config = config.set(key, value.as_str());
        assert_eq!(config.get(key.trim()), Some(value.as_str()));
    }
    if let Err(error) = config.check() {
        let told = error.to_string();
        let named = |(key, _): &(String, String)| told.contains(&format!("{:?}", key.trim()));
        assert!(names_a_key(&told) || pairs.iter().any(named), "{told}");
        assert_eq!(error.kind(), ErrorKind::Config);
    }
    let mut shown = String::new();
    let _ = write!(shown, "{config:?}");
}

/// A short text; a length in front, then UTF-8 as far as it is.
fn text(input: &mut Input<'_>) -> String {
    let length = input.below(64);
    String::from_utf8_lossy(input.take(length)).into_owned()
}

fn names_a_key(told: &str) -> bool {
    key_names().any(|key| told.contains(key))
        || told.contains("unknown key")
        || told.contains("is not built yet")
}

/// What a list means, written down again, means the same.
fn bootstrap(servers: &str) {
    match parse_bootstrap(servers) {
        Ok(nodes) => {
            assert!(!nodes.is_empty(), "nobody to ask");
            let mut again = String::new();
            for (node, id) in nodes.iter().zip((i32::MIN..0).rev()) {
                assert_eq!(node.id.0, id);
                assert!(node.port > 0 && !node.host.is_empty());
                let brackets = node.host.contains(':');
                let _ = match brackets {
                    true => write!(again, "[{}]:{},", node.host, node.port),
                    false => write!(again, "{}:{},", node.host, node.port),
                };
            }
            let same = parse_bootstrap(&again).is_ok_and(|same| same == nodes);
            assert!(same, "{servers:?} is not {again:?}");
        }
        Err(error) => check_bootstrap_error(&error),
    }
}

fn check_bootstrap_error(error: &Error) {
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("bootstrap.servers"), "{error}");
}
