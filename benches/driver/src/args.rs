//! The command line that every driver of the rig understands.

use std::str::FromStr;

/// What to send, how, and for how long.
#[derive(Clone, Debug)]
pub(crate) struct Args {
    pub(crate) bootstrap: String,
    pub(crate) topic: String,
    pub(crate) records: u64,
    pub(crate) size: usize,
    pub(crate) threads: u64,
    pub(crate) keyed: bool,
    /// Number of distinct keys.
    pub(crate) keys: usize,
    pub(crate) acks: String,
    pub(crate) linger_ms: f64,
    pub(crate) batch_size: usize,
    pub(crate) compression: String,
    pub(crate) max_in_flight: usize,
    pub(crate) idempotence: bool,
    pub(crate) buffer_memory: usize,
    pub(crate) mode: Mode,
    /// Records per second in `--mode rate`.
    pub(crate) rate: f64,
    pub(crate) payload: String,
    pub(crate) variant: String,
    /// One of this many records is timed; 0 for none.
    pub(crate) lat_sample: u64,
    pub(crate) warmup: u64,
    /// Sending stops after this many seconds.
    pub(crate) max_s: f64,
    pub(crate) perf: bool,
    /// `-X key=value`, passed to the producer as configuration.
    pub(crate) extra: Vec<(String, String)>,
}

/// How records are offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// As fast as the producer takes them.
    Throughput,
    /// At a fixed rate.
    Rate,
    /// Send one, wait for it, repeat.
    Sync,
}

impl Mode {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Throughput => "tput",
            Self::Rate => "rate",
            Self::Sync => "sync",
        }
    }
}

impl Args {
    /// Reads the process's arguments; the error says what is wrong with which.
    pub(crate) fn from_env() -> Result<Self, String> {
        let mut args = Self::defaults();
        let (mut lat_sample, mut warmup) = (None, None);
        let mut words = std::env::args().skip(1);
        while let Some(option) = words.next() {
            let value = words
                .next()
                .ok_or_else(|| format!("{option} needs a value"))?;
            match option.as_str() {
                "--lat-sample" => lat_sample = Some(number(&value)?),
                "--warmup" => warmup = Some(number(&value)?),
                _ => args.set(&option, value)?,
            }
        }
        let tput = args.mode == Mode::Throughput;
        args.lat_sample = lat_sample.unwrap_or(if tput { 64 } else { 1 });
        let most = if tput { 50_000 } else { 500 };
        args.warmup = warmup.unwrap_or_else(|| (args.records / 20).clamp(1, most));
        Ok(args)
    }

    fn defaults() -> Self {
        Self {
            bootstrap: "127.0.0.1:19092".into(),
            topic: "bench-p6".into(),
            records: 1_000_000,
            size: 100,
            threads: 1,
            keyed: false,
            keys: 10_000,
            acks: "all".into(),
            linger_ms: 5.0,
            batch_size: 16384,
            compression: "none".into(),
            max_in_flight: 5,
            idempotence: true,
            buffer_memory: 32 << 20,
            mode: Mode::Throughput,
            rate: 1000.0,
            payload: "random".into(),
            variant: String::new(),
            lat_sample: 0,
            warmup: 0,
            max_s: 30.0,
            perf: false,
            extra: Vec::new(),
        }
    }

    fn set(&mut self, option: &str, value: String) -> Result<(), String> {
        match option {
            "--bootstrap" => self.bootstrap = value,
            "--topic" => self.topic = value,
            "--partitions" => {} // A hint for clients that cannot ask the cluster.
            "--records" => self.records = number(&value)?,
            "--size" => self.size = size(&value)?,
            "--threads" => self.threads = parsed(&value)?,
            "--keyed" => self.keyed = parsed(&value)?,
            "--keys" => self.keys = size(&value)?,
            "--acks" => self.acks = value,
            "--linger-ms" => self.linger_ms = parsed(&value)?,
            "--batch-size" => self.batch_size = size(&value)?,
            "--compression" => self.compression = value,
            "--max-in-flight" => self.max_in_flight = parsed(&value)?,
            "--idempotence" => self.idempotence = parsed(&value)?,
            "--buffer-memory" => self.buffer_memory = size(&value)?,
            "--mode" => {
                self.mode = match value.as_str() {
                    "tput" => Mode::Throughput,
                    "rate" => Mode::Rate,
                    "sync" => Mode::Sync,
                    other => return Err(format!("--mode {other}: tput, rate or sync")),
                };
            }
            "--rate" => self.rate = parsed(&value)?,
            "--payload" => self.payload = value,
            "--variant" => self.variant = value,
            "--max-s" => self.max_s = parsed(&value)?,
            "--perf" => self.perf = parsed(&value)?,
            "-X" => {
                let pair = value
                    .split_once('=')
                    .ok_or_else(|| format!("-X {value}: key=value"))?;
                self.extra.push((pair.0.to_owned(), pair.1.to_owned()));
            }
            other => return Err(format!("unknown option {other}")),
        }
        Ok(())
    }
}

fn parsed<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse()
        .map_err(|_| format!("{text} is not a value of this option"))
}

fn size(text: &str) -> Result<usize, String> {
    usize::try_from(number(text)?).map_err(|e| format!("{text}: {e}"))
}

/// 100, 16K, 5m, 1_000: `k` and `m` are decimal, `K` and `M` binary.
fn number(text: &str) -> Result<u64, String> {
    let plain = text.replace('_', "");
    let (digits, unit) = match plain.as_bytes().last() {
        Some(b'k') => (&plain[..plain.len() - 1], 1_000),
        Some(b'K') => (&plain[..plain.len() - 1], 1 << 10),
        Some(b'm') => (&plain[..plain.len() - 1], 1_000_000),
        Some(b'M') => (&plain[..plain.len() - 1], 1 << 20),
        _ => (plain.as_str(), 1),
    };
    parsed::<u64>(digits).map(|n| n * unit)
}
