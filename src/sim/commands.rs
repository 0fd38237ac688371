//! What `cargo xtask sim`, `replay` and `plants` ask of the test binary, in environment variables;
//! without them one test simulates a few seeds, so that `cargo test` always does.
//!
//! Thread: the test's; campaigns start their own. Locks: none.
//!
//! | variable | meaning |
//! |---|---|
//! | `SIM_COMMAND` | `sim`, `replay`, `plants`, `cover`; the process ends with it |
//! | `SIM_SEEDS`, `SIM_FROM`, `SIM_ALL` | which seeds; whether what waits in PENDING.md is drawn |
//! | `SIM_SEED` | one seed, with its trace; without a command too |
//! | `SIM_FILE` | instead of a seed: a scenario in a file |
//! | `SIM_PLANT` | a bug to plant first |

use std::env;
use std::fmt::Display;
use std::str::FromStr;
use std::thread;
use std::time::Duration;

use super::attempt::{attempt, signature};
use super::campaign::{Order, Tally, campaign, differences, draw};
use super::regressions;
use super::report;
use super::scenario::Scenario;
use super::shrink::{Budget, shrink};
use super::text;
use crate::planted::Plant;
use crate::time::Time;

/// So many seeds `cargo test` simulates in the debug profile.
const FEW: u64 = 60;

#[test]
fn command() {
    let Some(command) = variable::<String>("SIM_COMMAND") else {
        return without_command();
    };
    let outcome = match command.as_str() {
        "sim" => sim(),
        "cover" => cover(),
        "replay" => replay(),
        #[cfg(feature = "planted")]
        "plants" => plants(),
        other => Err(format!("SIM_COMMAND cannot be {other:?}")),
    };
    // The harness of the tests has nothing to add.
    std::process::exit(match outcome {
        Ok(true) => 0,
        Ok(false) => 1,
        Err(why) => {
            eprintln!("sim: {why}");
            2
        }
    });
}

fn without_command() {
    if env::var_os("SIM_SEED").is_some() || env::var_os("SIM_FILE").is_some() {
        assert_eq!(replay(), Ok(true));
        return;
    }
    let order = Order {
        from: 0,
        seeds: FEW,
        all: false,
        threads: cores(),
        most_failures: 1,
        longest_seed: Duration::from_secs(300),
        plant: None,
    };
    let tally = campaign(&order, |_| {});
    if let Some((seed, violations)) = tally.failures.first_key_value() {
        panic!("SIM_SEED={seed}: {violations:#?}");
    }
}

/// A variable of the environment that is not what it should be is an error that names it.
fn parsed<T: FromStr<Err: Display>>(name: &str, default: T) -> Result<T, String> {
    match env::var(name) {
        Err(_) => Ok(default),
        Ok(value) => value
            .parse()
            .map_err(|why| format!("{name} cannot be {value:?}: {why}")),
    }
}

fn variable<T: FromStr>(name: &str) -> Option<T> {
    env::var(name).ok()?.parse().ok()
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

fn order() -> Result<Order, String> {
    Ok(Order {
        from: parsed("SIM_FROM", 0)?,
        seeds: parsed("SIM_SEEDS", 2_000)?,
        all: env::var_os("SIM_ALL").is_some(),
        threads: parsed("SIM_THREADS", cores())?,
        most_failures: 20,
        longest_seed: LONGEST_SEED,
        plant: planted()?,
    })
}

/// Real time.
const LONGEST_SEED: Duration = Duration::from_secs(120);

/// A campaign. False: something was violated.
fn sim() -> Result<bool, String> {
    let order = order()?;
    // Regressions and shrinking are this thread's.
    let _plant = order.set_planted();
    let time = Time::default();
    let began = time.now();
    let mut is_well = repeat_regressions();
    let mut told = began;
    let tally = campaign(&order, |tally| {
        if time.now() - told >= Duration::from_secs(5) {
            told = time.now();
            eprintln!("{}", report::progress(tally, &order, told - began));
        }
    });
    let main_phase = time.now() - began;
    is_well &= tally.failures.is_empty();
    for (seed, violations) in &tally.failures {
        print!("{}", report::failure(*seed, violations));
    }
    print!("{}", tally.coverage.tables());
    let compared = main_phase.mul_f64(0.3).max(Duration::from_secs(5));
    let differences = differences(&order, &tally, (3, compared));
    print!("{}", report::faults(&tally, &differences));
    print!("{}", report::speed(&tally, main_phase, order.threads));
    shrink_failures(&tally, &order);
    println!("{}", report::last_line(&tally, &order, time.now() - began));
    Ok(is_well)
}

/// Seeds, and nothing around them: for counting which lines they reach.
fn cover() -> Result<bool, String> {
    let order = Order {
        most_failures: usize::MAX,
        ..order()?
    };
    repeat_regressions();
    let tally = campaign(&order, |_| {});
    println!("{} seeds, {} records", tally.seeds, tally.records);
    Ok(true)
}

/// What failed once is run first.
fn repeat_regressions() -> bool {
    let mut is_well = true;
    for (name, scenario) in regressions::all() {
        let report = attempt(&scenario, false);
        if !report.violations.is_empty() {
            is_well = false;
            println!("regression {name} fails again:");
            print!("{}", report::violations(&report.violations));
        }
    }
    is_well
}

/// The first seed of each property that was violated, as small as it gets.
fn shrink_failures(tally: &Tally, order: &Order) {
    let mut seen: Vec<String> = Vec::new();
    for (seed, violations) in &tally.failures {
        let Some(first) = violations.first() else {
            continue;
        };
        let signature = signature(first);
        if seen.len() < 3 && !seen.contains(&signature) {
            shrink_and_tell(&draw(*seed, order.all), &signature, *seed);
            seen.push(signature);
        }
    }
}

fn shrink_and_tell(scenario: &Scenario, expected: &str, seed: u64) {
    let violates = |scenario: &Scenario| {
        let report = attempt(scenario, false);
        report.violations.iter().any(|it| signature(it) == expected)
    };
    let shrunk = shrink(scenario, Budget::USUAL, violates);
    let report = attempt(&shrunk.scenario, false);
    println!(
        "SIM_SEED={seed} shrunk in {} runs: {} faults, {} records, {} ms",
        shrunk.runs,
        shrunk.scenario.faults.len(),
        report.records,
        report.simulated.as_millis()
    );
    print!("{}", report::indented(&text::summary(&shrunk.scenario)));
    print!("{}", report::violations(&report.violations));
    println!("  keep it as src/sim/regressions/NAME.txt, and replay it from there:");
    print!("{}", report::indented(&text::write(&shrunk.scenario)));
}

/// One seed, in words.
fn replay() -> Result<bool, String> {
    let _plant = order()?.set_planted();
    let scenario = match env::var("SIM_FILE") {
        Ok(file) => {
            let read = std::fs::read_to_string(&file).map_err(|why| format!("{file}: {why}"))?;
            text::read(&read).map_err(|why| format!("{file}: {why}"))?
        }
        Err(_) => draw(parsed("SIM_SEED", 0)?, env::var_os("SIM_ALL").is_some()),
    };
    print!("{}", text::summary(&scenario));
    let report = attempt(&scenario, true);
    print!("{}", report.trace);
    print!("{}", report::violations(&report.violations));
    println!(
        "replay: seed={} hash={:016x} violations={} records={} milliseconds={}",
        report.seed,
        report.hash,
        report.violations.len(),
        report.records,
        report.simulated.as_millis()
    );
    Ok(report.violations.is_empty())
}

/// What is to be planted.
#[cfg(feature = "planted")]
fn planted() -> Result<Option<Plant>, String> {
    env::var("SIM_PLANT")
        .ok()
        .map(|name| name.parse())
        .transpose()
}

#[cfg(not(feature = "planted"))]
fn planted() -> Result<Option<Plant>, String> {
    match env::var_os("SIM_PLANT") {
        None => Ok(None),
        Some(_) => Err("SIM_PLANT needs a build with the feature planted".to_owned()),
    }
}

/// Each known bug from each start. False: one of the catalogue was not found.
#[cfg(feature = "planted")]
fn plants() -> Result<bool, String> {
    use super::plants::{Search, is_of_catalogue, search};

    let starts = env::var("SIM_FROM").unwrap_or_else(|_| "0,1000000,2000000".to_owned());
    let starts = starts.split(',').map(|start| {
        let why = |why| format!("--from cannot be {start:?}: {why}");
        start.parse().map_err(why)
    });
    let starts = starts.collect::<Result<Vec<u64>, String>>()?;
    let plants = match env::var("SIM_PLANT") {
        Err(_) => Plant::ALL.to_vec(),
        Ok(names) => names
            .split(',')
            .map(str::parse)
            .collect::<Result<Vec<Plant>, String>>()?,
    };
    let wanted = Search {
        starts,
        most: parsed("SIM_SEEDS", 2_000)?,
        plants,
    };
    // SIM_FROM is a list here.
    let order = Order {
        from: 0,
        seeds: 0,
        all: false,
        threads: parsed("SIM_THREADS", cores())?,
        most_failures: 1,
        longest_seed: LONGEST_SEED,
        plant: None,
    };
    println!("{}", report::plants_head(&wanted.starts));
    let rows = search(&wanted, &order, |row| println!("{}", report::plant(row)));
    let of_catalogue: Vec<_> = rows.iter().filter(|row| is_of_catalogue(row.0)).collect();
    let is_found = |row: &&super::plants::Row| row.1.iter().all(Option::is_some);
    let found = of_catalogue.iter().filter(|row| is_found(row)).count();
    let others: Vec<_> = rows.iter().filter(|row| !is_of_catalogue(row.0)).collect();
    let besides = others.iter().filter(|row| is_found(row)).count();
    println!("besides the catalogue: found={besides}/{}", others.len());
    println!("plants: found={found}/{}", of_catalogue.len());
    Ok(found == of_catalogue.len() && besides == others.len())
}
