//! The habits of this repository, one command each: `cargo xtask help`.

#![forbid(unsafe_code)]

mod chaos;
mod ci;
mod coverage;
mod fuzz;
mod interleave;
mod run;
mod sim;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask COMMAND

  ci      everything that has to hold before a change lands: fmt, clippy (default, no and all
          features), doc, deny, msrv, each bench once, the test command of the README, sim, plants,
          interleave, 60 s of chaos and 5 s of each fuzz target
  lint    fmt, clippy and doc of it, without the tests
  deny    licences, bans and sources of the dependency graph (needs cargo-deny)
  msrv    the library builds with the oldest Rust that Cargo.toml promises
  fuzz    [--seconds N] [TARGET]: replays what the fuzzer has for each target, or one, and lets it
          look for more for N seconds (20); needs a C++ compiler
  interleave [--schedules N] [--seed S] [--model NAME] [--replay FILE]
          threads in every order (loom) and in N orders (shuttle) over the locks of the library
  chaos [--seconds N] [--seed S] [--delivery-timeout-ms N] [--rate N] [--vary] [--control KIND]
          three real brokers behind a fault proxy, killed, frozen and cut off for N seconds (60),
          judged by Kafka's own consumer (docs/TESTING.md, \"Chaos\"); needs java, javac and mvn

The simulator (docs/TESTING.md, \"The simulator\"):
  sim     [--seeds N] [--from S] [--all] [--threads T]   N seeds on all cores: by default 2000 from 0;
          --all draws what src/sim/PENDING.md lists too
  replay  SEED|FILE [--all] [--plant P]   one seed, or a scenario in a file: its trace in words, and
          its hash; with a known bug planted, if named
  plants  [--from S]... [--seeds N] [--plant P]...   plants known bugs one at a time, and counts the
          seeds until each is found: from each start at most N (2000)
  coverage [--seeds N] [--from S]   lines of network, client and producer that simulation alone reaches
          (needs `rustup component add llvm-tools`; builds in target/coverage)

  help    this text
";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().unwrap_or_else(|| "help".to_owned());
    let arguments: Vec<String> = arguments.collect();
    let outcome = match command.as_str() {
        "ci" => ci::all(),
        "lint" => ci::lint(),
        "deny" => ci::deny(),
        "msrv" => ci::msrv(),
        "fuzz" => fuzz::run(std::env::args().skip(2)),
        "chaos" => chaos::run(std::env::args().skip(2)),
        "sim" => sim::sim(&arguments),
        "replay" => sim::replay(&arguments),
        "coverage" => sim::coverage(&arguments),
        "plants" => sim::plants(&arguments),
        "interleave" => interleave::run(std::env::args().skip(2)),
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        other => {
            eprintln!("xtask: no command {other:?}\n\n{HELP}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            eprintln!("xtask: {failed}");
            ExitCode::FAILURE
        }
    }
}
