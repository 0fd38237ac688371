//! What a run cost: a window of wall time, CPU time and, on request, instructions; one JSON line.

use std::fmt::Write as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use perf_event::events::Hardware;
use perf_event::{Builder, Counter};

use crate::args::Args;

/// Nanoseconds since the process began to measure; never 0.
pub(crate) fn now_ns() -> u64 {
    static EPOCH: OnceLock<Instant> = OnceLock::new();
    EPOCH.get_or_init(Instant::now).elapsed().as_nanos() as u64 + 1
}

/// What came back, counted by callbacks.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) acked: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) latency: Histogram,
}

impl Counters {
    #[inline]
    pub(crate) fn done(&self, ok: bool, tag: u64) {
        let counter = if ok { &self.acked } else { &self.failed };
        counter.fetch_add(1, Relaxed);
        if tag != 0 {
            self.latency.add(now_ns().saturating_sub(tag));
        }
    }

    pub(crate) fn seen(&self) -> u64 {
        self.acked.load(Relaxed) + self.failed.load(Relaxed)
    }

    pub(crate) fn reset(&self) {
        self.acked.store(0, Relaxed);
        self.failed.store(0, Relaxed);
        self.latency.reset();
    }
}

/// Nanoseconds in 64 buckets per power of two: under 1.6 % off.
pub(crate) struct Histogram {
    buckets: Vec<AtomicU64>,
    max: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            buckets: (0..64 * 60).map(|_| AtomicU64::new(0)).collect(),
            max: AtomicU64::new(0),
        }
    }
}

impl Histogram {
    fn add(&self, ns: u64) {
        let bucket = if ns < 64 {
            ns as usize
        } else {
            let power = 63 - ns.leading_zeros() as usize;
            (power - 5) * 64 + ((ns >> (power - 6)) & 63) as usize
        };
        self.buckets[bucket.min(self.buckets.len() - 1)].fetch_add(1, Relaxed);
        self.max.fetch_max(ns, Relaxed);
    }

    fn count(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.load(Relaxed)).sum()
    }

    fn quantile_us(&self, quantile: f64) -> f64 {
        let wanted = ((self.count() as f64 * quantile).ceil() as u64).max(1);
        let mut seen = 0;
        for (index, bucket) in self.buckets.iter().enumerate() {
            seen += bucket.load(Relaxed);
            if seen >= wanted {
                let (power, rest) = (index / 64 + 5, (index % 64) as u64);
                let ns = if index < 64 {
                    index as u64
                } else {
                    (64 + rest) << (power - 6)
                };
                return ns as f64 / 1e3;
            }
        }
        self.max_us()
    }

    fn max_us(&self) -> f64 {
        self.max.load(Relaxed) as f64 / 1e3
    }

    fn reset(&self) {
        self.buckets
            .iter()
            .for_each(|bucket| bucket.store(0, Relaxed));
        self.max.store(0, Relaxed);
    }
}

/// CPU time and context switches of the whole process.
#[derive(Clone, Copy)]
struct Usage {
    user_s: f64,
    sys_s: f64,
    voluntary: i64,
    involuntary: i64,
}

impl Usage {
    fn now() -> Self {
        let usage = getrusage(UsageWho::RUSAGE_SELF).expect("a process may ask what it used");
        Self {
            user_s: usage.user_time().num_microseconds() as f64 / 1e6,
            sys_s: usage.system_time().num_microseconds() as f64 / 1e6,
            voluntary: usage.voluntary_context_switches(),
            involuntary: usage.involuntary_context_switches(),
        }
    }
}

/// Instructions and cycles, in user space and in the kernel, of all threads.
pub(crate) struct Perf(Option<Vec<Counter>>);

impl Perf {
    /// To be called before any other thread starts: counters are inherited, not adopted.
    pub(crate) fn open(wanted: bool) -> Self {
        now_ns();
        let counters = wanted.then(|| {
            let kinds = [
                (Hardware::INSTRUCTIONS, false),
                (Hardware::CPU_CYCLES, false),
                (Hardware::INSTRUCTIONS, true),
                (Hardware::CPU_CYCLES, true),
            ];
            kinds.into_iter().map(|(event, kernel)| {
                let mut builder = Builder::new(event);
                builder
                    .inherit(true)
                    .exclude_kernel(!kernel)
                    .exclude_user(kernel)
                    .exclude_hv(true);
                builder
                    .build()
                    .and_then(|mut counter| counter.enable().map(|()| counter))
            })
        });
        Self(counters.and_then(|counters| {
            counters
                .collect::<Result<Vec<_>, _>>()
                .inspect_err(|e| eprintln!("no hardware counters: {e}"))
                .ok()
        }))
    }

    fn read(&mut self) -> Vec<u64> {
        let counters = self.0.iter_mut().flatten();
        counters
            .map(|counter| counter.read().unwrap_or(0))
            .collect()
    }

    pub(crate) fn start(&mut self) -> Window {
        Window {
            counted: self.read(),
            usage: Usage::now(),
            started: Instant::now(),
        }
    }
}

/// From the end of the warm-up until everything sent is acknowledged.
pub(crate) struct Window {
    started: Instant,
    usage: Usage,
    counted: Vec<u64>,
}

impl Window {
    /// Prints the line that the rig reads.
    pub(crate) fn finish(self, perf: &mut Perf, args: &Args, sent: u64, counters: &Counters) {
        let wall_s = self.started.elapsed().as_secs_f64();
        let (before, after, counted) = (self.usage, Usage::now(), perf.read());
        let per_record = |seconds: f64| seconds * 1e9 / sent.max(1) as f64;
        let (user_s, sys_s) = (after.user_s - before.user_s, after.sys_s - before.sys_s);
        let (acked, failed) = (counters.acked.load(Relaxed), counters.failed.load(Relaxed));
        let mut line = describe(args, sent);
        let _ = write!(
            line,
            ",\"wall_s\":{wall_s:.4},\"user_s\":{user_s:.4},\"sys_s\":{sys_s:.4},\"max_rss_kb\":{},\"vcsw\":{},\"ivcsw\":{}",
            peak_resident_kb(),
            after.voluntary - before.voluntary,
            after.involuntary - before.involuntary,
        );
        let _ = write!(
            line,
            ",\"rec_per_s\":{:.0},\"cpu_ns_per_rec\":{:.1},\"user_ns_per_rec\":{:.1},\"sys_ns_per_rec\":{:.1},\"acked\":{acked},\"failed\":{failed}",
            acked as f64 / wall_s,
            per_record(user_s + sys_s),
            per_record(user_s),
            per_record(sys_s),
        );
        let latency = &counters.latency;
        let _ = write!(
            line,
            ",\"lat_n\":{},\"p50_us\":{:.1},\"p99_us\":{:.1},\"p999_us\":{:.1},\"max_us\":{:.1}",
            latency.count(),
            latency.quantile_us(0.5),
            latency.quantile_us(0.99),
            latency.quantile_us(0.999),
            latency.max_us(),
        );
        let names = ["instr_u", "cyc_u", "instr_k", "cyc_k"];
        for ((name, before), after) in names.iter().zip(&self.counted).zip(&counted) {
            let _ = write!(
                line,
                ",\"{name}\":{:.1}",
                (after - before) as f64 / sent.max(1) as f64
            );
        }
        println!("{line},\"notes\":\"shared callback reads every offset\"}}");
        if failed > 0 || acked != sent {
            eprintln!("sent {sent}, acknowledged {acked}, failed {failed}");
        }
    }
}

fn describe(args: &Args, sent: u64) -> String {
    format!(
        "{{\"client\":\"kafka-producer\",\"version\":\"{}\",\"variant\":\"{}\",\"mode\":\"{}\",\"records\":{sent},\"size\":{},\"bytes\":{},\"threads\":{},\"acks\":\"{}\",\"linger_ms\":{},\"batch_size\":{},\"compression\":\"{}\",\"max_in_flight\":{},\"idempotence\":{},\"keyed\":{},\"topic\":\"{}\"",
        env!("CARGO_PKG_VERSION"),
        args.variant,
        args.mode.name(),
        args.size,
        sent * args.size as u64,
        args.threads,
        args.acks,
        args.linger_ms,
        args.batch_size,
        args.compression,
        args.max_in_flight,
        args.idempotence,
        args.keyed,
        args.topic,
    )
}

/// The peak of this program; what `getrusage` says may be the peak of whoever started it.
fn peak_resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}
