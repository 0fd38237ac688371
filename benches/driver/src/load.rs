//! Payloads and keys, made before the clock starts, and who sends how many of them.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use crate::args::Args;
use crate::measure::now_ns;

/// A ring of payloads that sits in the outer caches, not in the innermost.
pub(crate) struct Ring {
    payloads: Vec<Vec<u8>>,
    keys: Vec<Vec<u8>>,
}

impl Ring {
    pub(crate) fn new(args: &Args) -> Self {
        let mut random = XorShift(0x9E37_79B9_7F4A_7C15);
        let mut count = 4096;
        while count > 64 && count * args.size > 8 << 20 {
            count /= 2;
        }
        let payload = |index, random: &mut XorShift| match args.payload.as_str() {
            "json" => json(random, index, args.size),
            _ => letters(random, args.size),
        };
        Self {
            payloads: (0..count)
                .map(|index| payload(index, &mut random))
                .collect(),
            keys: (0..args.keys.next_power_of_two())
                .map(|_| format!("key-{:012x}", random.next() & 0xffff_ffff_ffff).into_bytes())
                .collect(),
        }
    }

    #[inline]
    pub(crate) fn payload(&self, index: u64) -> &[u8] {
        &self.payloads[index as usize & (self.payloads.len() - 1)]
    }

    /// Successive keys hit different partitions.
    #[inline]
    pub(crate) fn key(&self, index: u64) -> &[u8] {
        let scattered = index.wrapping_mul(0x9E37_79B1) >> 4;
        &self.keys[scattered as usize & (self.keys.len() - 1)]
    }
}

/// One thread's share: how many, when to stop, which to time.
pub(crate) struct Plan {
    records: u64,
    sample: u64,
    deadline: Instant,
}

impl Plan {
    pub(crate) fn new(args: &Args, thread: u64) -> Self {
        let share = args.records / args.threads;
        let records = if thread == 0 {
            args.records - share * (args.threads - 1)
        } else {
            share
        };
        let deadline = Instant::now() + Duration::from_secs_f64(args.max_s);
        Self {
            records,
            sample: args.lat_sample,
            deadline,
        }
    }

    /// Looks at the clock only every 256 records.
    #[inline]
    pub(crate) fn stop(&self, index: u64) -> bool {
        index >= self.records || (index & 255 == 0 && self.late())
    }

    pub(crate) fn late(&self) -> bool {
        Instant::now() >= self.deadline
    }

    /// When it was sent, for records that are timed; else 0.
    #[inline]
    pub(crate) fn tag(&self, index: u64) -> u64 {
        if self.sample != 0 && index.is_multiple_of(self.sample) {
            now_ns()
        } else {
            0
        }
    }
}

/// Waits until a record is due.
pub(crate) struct Pacer {
    start: Instant,
    step_s: f64,
}

impl Pacer {
    pub(crate) fn new(rate: f64) -> Self {
        Self {
            start: Instant::now(),
            step_s: 1.0 / rate,
        }
    }

    pub(crate) fn wait(&self, index: u64) {
        let due = self.start + Duration::from_secs_f64(self.step_s * index as f64);
        let left = due.saturating_duration_since(Instant::now());
        if !left.is_zero() {
            std::thread::sleep(left);
        }
    }
}

struct XorShift(u64);

impl XorShift {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }
}

fn letters(random: &mut XorShift, size: usize) -> Vec<u8> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = Vec::with_capacity(size + 10);
    while text.len() < size {
        let bits = random.next();
        text.extend((0..10).map(|place| ALPHABET[(bits >> (6 * place)) as usize & 63]));
    }
    text.truncate(size);
    text
}

/// Log lines of the kind people send: repeated names, random numbers.
fn json(random: &mut XorShift, index: usize, size: usize) -> Vec<u8> {
    const EVENTS: [&str; 6] = [
        "page_view",
        "click",
        "purchase",
        "login",
        "logout",
        "search",
    ];
    const AGENTS: [&str; 4] = [
        "Mozilla/5.0 (X11; Linux x86_64)",
        "okhttp/4.12.0",
        "curl/8.5.0",
        "Mozilla/5.0 (iPhone)",
    ];
    let mut text = String::with_capacity(size + 200);
    while text.len() < size {
        let bits = random.next();
        let _ = write!(
            text,
            "{{\"ts\":{},\"user_id\":{},\"event\":\"{}\",\"session\":\"{:016x}\",\"agent\":\"{}\",\"price\":{}.{:02},\"ok\":{},\"seq\":{index}}}",
            1_760_000_000_000_u64 + (bits & 0xff_ffff),
            bits % 100_003,
            EVENTS[(bits >> 20) as usize % EVENTS.len()],
            random.next(),
            AGENTS[(bits >> 30) as usize % AGENTS.len()],
            bits % 997,
            bits % 100,
            bits & 1 == 0,
        );
    }
    let mut bytes = text.into_bytes();
    bytes.truncate(size);
    bytes
}
