//! The habits of this repository, one command each: `cargo xtask help`.

#![forbid(unsafe_code)]

mod ci;
mod fuzz;
mod interleave;
mod run;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask COMMAND

  ci      everything that has to hold before a change lands: fmt, clippy (default, no and all
          features), doc, deny, msrv, each bench once, and the test command of the README
  lint    fmt, clippy and doc of it, without the tests
  deny    licences, bans and sources of the dependency graph (needs cargo-deny)
  msrv    the library builds with the oldest Rust that Cargo.toml promises
  fuzz    [--seconds N] [TARGET]: replays what the fuzzer has for each target, or one, and lets it
          look for more for N seconds (20); needs a C++ compiler
  interleave [--schedules N] [--seed S] [--model NAME] [--replay FILE]
          threads in every order (loom) and in N orders (shuttle) over the locks of the library
  help    this text
";

fn main() -> ExitCode {
    let command = std::env::args().nth(1).unwrap_or_else(|| "help".to_owned());
    let outcome = match command.as_str() {
        "ci" => ci::all(),
        "lint" => ci::lint(),
        "deny" => ci::deny(),
        "msrv" => ci::msrv(),
        "fuzz" => fuzz::run(std::env::args().skip(2)),
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
