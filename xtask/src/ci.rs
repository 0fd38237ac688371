//! What CI runs, in its order: the cheap and telling things first.

use crate::run::Step;

/// Everything: the README's test command, and after it the simulator, the models of interleavings, a
/// minute of chaos and a short look by the fuzzer.
pub(crate) fn all() -> Result<(), String> {
    lint()?;
    deny()?;
    msrv()?;
    benches()?;
    Step::cargo("test --workspace").run()?;
    Step::cargo("test --package kafka-producer --lib --features planted planted").run()?;
    simulate()?;
    crate::interleave::run(std::iter::empty())?;
    // Never left out: without Java it fails.
    crate::chaos::run(["--seconds", "60"].into_iter().map(str::to_owned))?;
    crate::fuzz::run(["--seconds", "5"].into_iter().map(str::to_owned))
}

/// The simulator's seeds of every change, and whether its judge still sees.
fn simulate() -> Result<(), String> {
    crate::sim::sim(&[])?;
    crate::sim::plants(&[])
}

/// Format, lints with every set of features that users build, documentation.
pub(crate) fn lint() -> Result<(), String> {
    Step::cargo("fmt --all --check").run()?;
    Step::cargo("clippy --workspace --all-targets -- -D warnings").run()?;
    // The library alone: beside the others its features would be theirs too.
    for features in ["--no-default-features", "--all-features"] {
        Step::cargo("clippy --package kafka-producer --all-targets")
            .arguments(features)
            .arguments("-- -D warnings")
            .run()?;
    }
    Step::cargo("doc --package kafka-producer --no-deps")
        .env("RUSTDOCFLAGS", "-D warnings")
        .run()
}

/// Licences, bans, sources. Advisories need the network, so they are the reader's to run.
pub(crate) fn deny() -> Result<(), String> {
    Step::cargo("deny --all-features --log-level warn check bans licenses sources").run()
}

/// Each bench once, without measuring: that it still runs.
fn benches() -> Result<(), String> {
    Step::cargo("bench --features __internals --bench append --bench codec --bench end_to_end")
        .arguments("-- --test")
        .run()
}

/// Builds the library with a compiler of exactly the version that Cargo.toml promises.
pub(crate) fn msrv() -> Result<(), String> {
    let promised = promised_version()?;
    let compiler = compilers(&promised)
        .into_iter()
        .find(|compiler| version_of(compiler).is_some_and(|version| version.starts_with(&promised)))
        .ok_or_else(|| {
            format!("no rustc {promised} here: install it (rustup, or Debian's rustc-web) or set MSRV_RUSTC")
        })?;
    Step::cargo("check --package kafka-producer --lib --all-features --target-dir target/msrv")
        .env("RUSTC", compiler)
        .env("CARGO_INCREMENTAL", "0")
        .run()
}

/// `rust-version` of the library, such as `1.85`.
fn promised_version() -> Result<String, String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    let manifest = std::fs::read_to_string(path).map_err(|e| format!("{path}: {e}"))?;
    manifest
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = "))
        .map(|version| version.trim_matches('"').to_owned())
        .ok_or_else(|| "Cargo.toml has no rust-version".to_owned())
}

/// Where a compiler of that version may be: named by hand, by rustup, or the system's.
fn compilers(version: &str) -> Vec<String> {
    let by_hand = std::env::var("MSRV_RUSTC").ok();
    let by_rustup = Step::new("rustup")
        .arguments(&format!("which rustc --toolchain {version}"))
        .output()
        .map(|path| path.trim().to_owned());
    by_hand
        .into_iter()
        .chain(by_rustup)
        .chain(["/usr/bin/rustc".to_owned()])
        .collect()
}

fn version_of(compiler: &str) -> Option<String> {
    let said = Step::new(compiler).arguments("--version").output()?;
    said.split_whitespace().nth(1).map(str::to_owned)
}
