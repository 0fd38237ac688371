//! How the producer of a run is configured, and what the seed may vary besides its schedule.

use std::time::Duration;

use fastrand::Rng;
use kafka_producer::ProducerConfig;

use crate::args::Args;
use crate::schedule::Mode;

/// Timeouts that bring out what takes minutes by default: a request is given up after three
/// seconds, metadata is five seconds old at most. `addresses` are those of the proxy.
pub(crate) fn config(addresses: &str, args: &Args) -> ProducerConfig {
    let mut config = ProducerConfig::new(addresses)
        .set("client.id", "chaos")
        .set("linger.ms", "10")
        .set("request.timeout.ms", "3000")
        .set("metadata.max.age.ms", "5000")
        .set("retry.backoff.ms", "50")
        .set("retry.backoff.max.ms", "500")
        .set("reconnect.backoff.ms", "50")
        .set("reconnect.backoff.max.ms", "500")
        .set("max.block.ms", "4000")
        .delivery_timeout(args.delivery_timeout);
    if args.vary {
        for (key, value) in drawn(args.seed, args.delivery_timeout) {
            println!("chaos: {key}={value}");
            config = config.set(key, value);
        }
    }
    let (idempotence, acks) = match args.mode {
        Mode::Proof => ("true", "all"),
        Mode::IdempotenceOff => ("false", "all"),
        Mode::Unclean => ("false", "1"),
    };
    config
        .set("enable.idempotence", idempotence)
        .set("acks", acks)
}

/// The `max.message.bytes` of the second topic, if the seed says so: then batches have to be split.
pub(crate) fn largest_batch(args: &Args) -> Option<u32> {
    let mut random = Rng::with_seed(args.seed.rotate_left(32));
    let limit = [None, Some(1_000), Some(4_000)][random.usize(0..3)];
    limit.filter(|_| args.vary)
}

/// Values that change how batches come about and how many are on their way.
fn drawn(seed: u64, delivery_timeout: Duration) -> Vec<(&'static str, String)> {
    let mut random = Rng::with_seed(!seed);
    let mut pick = |values: &[u128]| values[random.usize(0..values.len())];
    let linger = pick(&[0, 1, 10, 50]);
    // Both have to fit into what a record may take.
    let longest = delivery_timeout.as_millis().saturating_sub(linger);
    let request_timeout = pick(&[1_500, 3_000, 6_000]).min(longest);
    vec![
        ("linger.ms", linger.to_string()),
        ("request.timeout.ms", request_timeout.to_string()),
        (
            "batch.size",
            pick(&[500, 4_000, 16_384, 100_000]).to_string(),
        ),
        (
            "max.in.flight.requests.per.connection",
            pick(&[1, 2, 5]).to_string(),
        ),
        (
            "buffer.memory",
            pick(&[1_000_000, 4_000_000, 33_554_432]).to_string(),
        ),
        (
            "metadata.max.age.ms",
            pick(&[1_000, 5_000, 300_000]).to_string(),
        ),
        (
            "buffer.memory.share.per.topic",
            pick(&[50, 100]).to_string(),
        ),
        ("callback.thread.enable", (pick(&[0, 1]) == 1).to_string()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawn_values_make_a_configuration_that_is_accepted() {
        for seed in 0..300 {
            let args = Args {
                seed,
                vary: true,
                delivery_timeout: Duration::from_secs(4),
                ..Args::default()
            };
            let checked = config("127.0.0.1:1", &args).check();
            checked.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        }
    }
}
