//! Runs every model, or one; tells of each how many schedules it went through. Progress goes to
//! stderr, one line for `cargo xtask interleave` to read per model to stdout.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

use crate::interleaving::Model;

/// What the command line says.
struct Options {
    /// Shuttle: schedules for each model of 100 percent.
    schedules: usize,
    seed: u64,
    /// Loom: instead of each model's own bound.
    preemptions: Option<usize>,
    /// Only this model.
    model: Option<String>,
    /// Shuttle: a file with the one schedule to run.
    replay: Option<String>,
}

pub(crate) fn main() -> ExitCode {
    let options = match options(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(wrong) => {
            eprintln!("interleave: {wrong}");
            return ExitCode::from(2);
        }
    };
    let models = models();
    let wanted = |model: &&&Model| {
        let named = options.model.as_ref();
        named.is_none_or(|name| name == model.name) && is_possible(model)
    };
    let chosen: Vec<&Model> = models.iter().filter(wanted).copied().collect();
    let mut failures = 0;
    for (place, model) in chosen.iter().enumerate() {
        let (number, all) = (place + 1, chosen.len());
        eprintln!(
            "{CHECKER} {number}/{all} {}: {}",
            model.name, model.property
        );
        let started = Instant::now();
        let count = std::sync::atomic::AtomicU64::new(0);
        let count: &'static std::sync::atomic::AtomicU64 = Box::leak(Box::new(count));
        let ended = catch_unwind(AssertUnwindSafe(|| explore(model, &options, count)));
        let schedules = count.load(std::sync::atomic::Ordering::Relaxed);
        let seconds = started.elapsed().as_secs_f64();
        let failed = u32::from(ended.is_err());
        failures += failed;
        let verdict = if failed == 0 { "holds" } else { "FAILED" };
        eprintln!(
            "{CHECKER} {number}/{all} {}: {verdict}, {schedules} schedules{}, {seconds:.1} s",
            model.name,
            how(&options)
        );
        println!(
            "model={} checker={CHECKER} schedules={schedules} failures={failed}",
            model.name
        );
    }
    if failures == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// In the order of the floors they are about.
fn models() -> Vec<&'static Model> {
    let rooms = [
        crate::network::interleaving_tests::MODELS,
        crate::client::interleaving_tests::MODELS,
        crate::producer::interleaving_tests::accumulator::POOL,
        crate::producer::interleaving_tests::accumulator::FLUSH,
        crate::producer::interleaving_tests::accumulator::MODELS,
        crate::producer::interleaving_tests::MODELS,
    ];
    rooms.into_iter().flatten().collect()
}

fn options(mut words: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options {
        schedules: 40_000,
        seed: 1,
        preemptions: None,
        model: None,
        replay: None,
    };
    while let Some(word) = words.next() {
        let value = words
            .next()
            .ok_or_else(|| format!("{word} needs a value"))?;
        let number = || value.parse().map_err(|e| format!("{word} {value}: {e}"));
        match word.as_str() {
            "--schedules" => options.schedules = number()?,
            "--seed" => options.seed = value.parse().map_err(|e| format!("{word}: {e}"))?,
            "--preemptions" => options.preemptions = Some(number()?),
            "--model" if models().iter().any(|model| model.name == value) => {
                options.model = Some(value);
            }
            "--model" => {
                let names: Vec<&str> = models().iter().map(|model| model.name).collect();
                return Err(format!("no model {value:?}: {}", names.join(", ")));
            }
            "--replay" => options.replay = Some(value),
            other => return Err(format!("no option {other:?}")),
        }
    }
    if options.replay.is_some() && options.model.is_none() {
        return Err("--replay needs --model".to_owned());
    }
    Ok(options)
}

#[cfg(interleave = "loom")]
const CHECKER: &str = "loom";

#[cfg(interleave = "loom")]
fn how(_: &Options) -> &'static str {
    " (all there are within its bound)"
}

#[cfg(interleave = "loom")]
fn is_possible(model: &Model) -> bool {
    model.preemptions.is_some()
}

/// Every interleaving up to the model's bound, in an order that is always the same.
#[cfg(interleave = "loom")]
fn explore(model: &Model, options: &Options, count: &'static std::sync::atomic::AtomicU64) {
    let run = model.run;
    let mut builder = loom::model::Builder::new();
    builder.max_branches = 50_000;
    builder.preemption_bound = options.preemptions.or(model.preemptions);
    builder.check(move || {
        count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        // The checker gives its first thread a small stack.
        crate::interleaving::spawn(run).join();
    });
}

#[cfg(interleave = "shuttle")]
const CHECKER: &str = "shuttle";

#[cfg(interleave = "shuttle")]
fn how(options: &Options) -> String {
    format!(" (seed {})", options.seed)
}

#[cfg(interleave = "shuttle")]
fn is_possible(model: &Model) -> bool {
    model.percent > 0
}

/// Half of them at random, half with priorities that change three and five times (PCT).
#[cfg(interleave = "shuttle")]
fn explore(model: &Model, options: &Options, count: &'static std::sync::atomic::AtomicU64) {
    use shuttle::scheduler::{PctScheduler, RandomScheduler, ReplayScheduler};

    let run = model.run;
    let counted = move || {
        count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        run();
    };
    if let Some(file) = &options.replay {
        let scheduler = ReplayScheduler::new_from_file(file).expect("the schedule can be read");
        shuttle::Runner::new(scheduler, config()).run(counted);
        return;
    }
    let all = (options.schedules * model.percent / 100).max(4);
    let seed = options.seed;
    let random = RandomScheduler::new_from_seed(seed, all / 2);
    shuttle::Runner::new(random, config()).run(counted);
    for depth in [3, 5] {
        let pct = PctScheduler::new_from_seed(seed, depth, all / 4);
        shuttle::Runner::new(pct, config()).run(counted);
    }
}

#[cfg(interleave = "shuttle")]
fn config() -> shuttle::Config {
    let mut config = shuttle::Config::new();
    config.stack_size = 0x4_0000;
    config.silence_warnings = true;
    // A schedule that fails is written into a file of the working folder, for `--replay`.
    config.failure_persistence = shuttle::FailurePersistence::File(None);
    config
}
