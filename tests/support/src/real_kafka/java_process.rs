//! A Java child process that ends with us, and its log.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::failure::Failure;

/// How much of a log an error quotes.
const TAIL_BYTES: u64 = 4096;

const POLL: Duration = Duration::from_millis(10);

/// How long a process may take to stand still.
const FREEZE: Duration = Duration::from_secs(10);

/// Its program watches its standard input (`Launcher.java`), which this value holds.
#[derive(Debug)]
pub(super) struct JavaProcess {
    child: Child,
    input: Option<ChildStdin>,
    log: PathBuf,
    /// Where the log of this run begins: a restarted node goes on in the same file.
    begin: u64,
    paused: Option<Pause>,
}

impl JavaProcess {
    /// Starts it with its errors, and its output unless that is wanted, appended to `log`.
    pub(super) fn spawn(
        arguments: &[OsString],
        log: &Path,
        output: Stdio,
    ) -> Result<Self, Failure> {
        let file = File::options().create(true).append(true).open(log)?;
        let begin = file.metadata()?.len();
        let mut child = Command::new("java")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(output)
            .stderr(file)
            .spawn()
            .map_err(|e| Failure::new(format!("cannot start java: {e}")))?;
        Ok(Self {
            input: child.stdin.take(),
            child,
            log: log.to_owned(),
            begin,
            paused: None,
        })
    }

    /// Starts it with its output in `log` too.
    pub(super) fn spawn_logged(arguments: &[OsString], log: &Path) -> Result<Self, Failure> {
        let file = File::options().create(true).append(true).open(log)?;
        Self::spawn(arguments, log, file.into())
    }

    /// Waits until a line of this run's log contains `text`.
    pub(super) fn await_log(&mut self, text: &str, limit: Duration) -> Result<(), Failure> {
        let deadline = Instant::now() + limit;
        loop {
            // Asked before the log is read, or the last words of a process could be missed.
            let ended = self.child.try_wait()?;
            if self.log_since_start()?.contains(text) {
                return Ok(());
            }
            if let Some(status) = ended {
                return Err(self.failure(&format!("ended with {status} before `{text}`")));
            }
            if Instant::now() > deadline {
                return Err(self.failure(&format!("no `{text}` after {limit:?}")));
            }
            thread::sleep(POLL);
        }
    }

    /// Ends it in good order; kills it if it has not ended after `limit`.
    pub(super) fn stop(&mut self, limit: Duration) -> Result<(), Failure> {
        self.resume();
        if let Some(mut input) = self.input.take() {
            // A failure means that it has ended already.
            let _ = input.write_all(b"stop\n");
            let deadline = Instant::now() + limit;
            while self.child.try_wait()?.is_none() {
                if Instant::now() > deadline {
                    self.kill();
                    return Err(self.failure(&format!("not stopped after {limit:?}")));
                }
                thread::sleep(POLL);
            }
        }
        Ok(())
    }

    /// Waits until it has ended by itself, with success.
    pub(super) fn await_end(&mut self, limit: Duration) -> Result<(), Failure> {
        let deadline = Instant::now() + limit;
        loop {
            match self.child.try_wait()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(self.failure(&format!("ended with {status}"))),
                None if Instant::now() > deadline => {
                    return Err(self.failure(&format!("not ended after {limit:?}")));
                }
                None => thread::sleep(POLL),
            }
        }
    }

    /// SIGKILL.
    pub(super) fn kill(&mut self) {
        // A failure means that it has ended already.
        let _ = self.child.kill();
        // Before the process is waited for: until then its id is its own.
        self.paused = None;
        let _ = self.child.wait();
    }

    pub(super) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    pub(super) fn is_paused(&self) -> bool {
        self.paused.is_some()
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGSTOP, until `resume` or our own end.
    pub(super) fn pause(&mut self) -> Result<(), Failure> {
        self.paused = Some(Pause::new(self.child.id())?);
        Ok(())
    }

    /// SIGCONT.
    pub(super) fn resume(&mut self) {
        self.paused = None;
    }

    /// What is left to be read and written of a process with piped output.
    pub(super) fn take_pipes(&mut self) -> Option<(ChildStdin, ChildStdout)> {
        self.input.take().zip(self.child.stdout.take())
    }

    /// An error with the end of the log.
    pub(super) fn failure(&self, what: &str) -> Failure {
        let log = self.log.display();
        Failure::new(format!(
            "java process ({log}): {what}; its log ends:\n{}",
            tail(&self.log)
        ))
    }

    /// What this run has logged.
    pub(super) fn log_since_start(&self) -> Result<String, Failure> {
        let mut file = File::open(&self.log)?;
        file.seek(SeekFrom::Start(self.begin))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

impl Drop for JavaProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The last few kilobytes of a log.
pub(super) fn tail(log: &Path) -> String {
    let bytes = fs::read(log).unwrap_or_default();
    let from = bytes
        .len()
        .saturating_sub(usize::try_from(TAIL_BYTES).unwrap_or(usize::MAX));
    String::from_utf8_lossy(&bytes[from..]).into_owned()
}

/// A frozen process. It goes on when this is dropped, or when we die: a helper waits for the end of
/// its own input, since a frozen process cannot notice the end of its. The helper outlives the
/// interrupt from a keyboard, which goes to all of us.
#[derive(Debug)]
struct Pause {
    helper: Child,
}

impl Pause {
    fn new(pid: u32) -> Result<Self, Failure> {
        let script = format!(
            "trap '' INT TERM HUP; kill -STOP {pid} && echo stopped && read line; kill -CONT {pid}"
        );
        let mut helper = Command::new("sh")
            .args(["-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut said = String::new();
        if let Some(output) = helper.stdout.take() {
            BufReader::new(output).read_line(&mut said)?;
        }
        if said.trim() != "stopped" {
            return Err(Failure::new(format!("process {pid} cannot be paused")));
        }
        let pause = Self { helper };
        await_stopped(pid)?;
        Ok(pause)
    }
}

/// Waits until every thread stands still: the signal is sent, but a thread that runs stops only
/// when it next enters the kernel, and may answer a request until then.
fn await_stopped(pid: u32) -> Result<(), Failure> {
    let until = Instant::now() + FREEZE;
    while !all_stopped(pid)? {
        if Instant::now() > until {
            return Err(Failure::new(format!(
                "process {pid} still runs {FREEZE:?} after it was told to stop"
            )));
        }
        thread::sleep(POLL);
    }
    Ok(())
}

/// Whether the kernel says so of each thread; the state stands after the name in parentheses.
fn all_stopped(pid: u32) -> Result<bool, Failure> {
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let Ok(stat) = fs::read_to_string(task?.path().join("stat")) else {
            continue; // It has ended meanwhile.
        };
        let state = stat.rsplit_once(')').map(|(_, rest)| rest.trim_start());
        if !state.is_some_and(|state| state.starts_with(['T', 'Z', 'X'])) {
            return Ok(false);
        }
    }
    Ok(true)
}

impl Drop for Pause {
    fn drop(&mut self) {
        drop(self.helper.stdin.take());
        let _ = self.helper.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frozen_process_goes_on_although_an_interrupt_went_to_its_helper() {
        let mut frozen = Command::new("sleep").arg("600").spawn().unwrap();
        let pause = Pause::new(frozen.id()).unwrap();
        assert!(all_stopped(frozen.id()).unwrap());
        let helper = pause.helper.id().to_string();
        let mut kill = Command::new("kill");
        assert!(kill.args(["-INT", &helper]).status().unwrap().success());
        drop(pause);
        let is_stopped = all_stopped(frozen.id());
        frozen.kill().unwrap();
        frozen.wait().unwrap();
        assert!(!is_stopped.unwrap(), "it stands still for ever");
    }
}
