//! Runs one command, shows it first, and says how long it took.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// A command at the root of the repository.
pub(crate) struct Step(Command);

impl Step {
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(program);
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .expect("xtask lies in the root");
        command.current_dir(root);
        Self(command)
    }

    /// The cargo that runs this program.
    pub(crate) fn cargo(arguments: &str) -> Self {
        Self::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())).arguments(arguments)
    }

    /// Adds arguments, separated by blanks.
    pub(crate) fn arguments(mut self, arguments: &str) -> Self {
        self.0.args(arguments.split_whitespace());
        self
    }

    /// Adds one argument as it is.
    pub(crate) fn argument(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.0.arg(argument);
        self
    }

    pub(crate) fn env(mut self, key: &str, value: impl AsRef<OsStr>) -> Self {
        self.0.env(key, value);
        self
    }

    /// For who wants more than to run it.
    pub(crate) fn into_command(self) -> Command {
        self.0
    }

    pub(crate) fn run(self) -> Result<(), String> {
        println!("+ {}", self.shown());
        let started = Instant::now();
        let outcome = self.run_without_time();
        println!("+ {:.1} s", started.elapsed().as_secs_f64());
        outcome
    }

    /// As `run`, but the last line is the command's own.
    pub(crate) fn run_without_time(mut self) -> Result<(), String> {
        let shown = self.shown();
        let status = self
            .0
            .stdin(Stdio::null())
            .status()
            .map_err(|e| format!("{shown}: {e}"))?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("{shown}: {status}"))
        }
    }

    /// What it prints, without showing anything; `None` if it cannot run or fails.
    pub(crate) fn output(mut self) -> Option<String> {
        let output = self.0.stdin(Stdio::null()).output().ok()?;
        output
            .status
            .success()
            .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn shown(&self) -> String {
        let words = std::iter::once(self.0.get_program()).chain(self.0.get_args());
        words
            .map(|word| word.to_string_lossy().into_owned())
            .collect::<Vec<_>>()
            .join(" ")
    }
}
