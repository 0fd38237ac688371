//! The long-lived Java program that asks a cluster with Kafka's own clients.
//!
//! Thread: a reader of its answers per program, so that every question is bounded in time.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::failure::Failure;
use super::installation::Installation;
use super::java_process::JavaProcess;
use super::version::Version;

/// What the program may take on its own; it answers with an error after that.
const ANSWER: Duration = Duration::from_secs(60);

/// What is allowed on top of it: the start of the program, a busy machine.
const GRACE: Duration = Duration::from_secs(30);

/// `Sidecar.java`, running.
#[derive(Debug)]
pub(super) struct Sidecar {
    process: JavaProcess,
    input: ChildStdin,
    answers: Receiver<io::Result<Part>>,
    /// A question was not answered, so the next answer would be a stranger's.
    lost: bool,
}

impl Sidecar {
    /// Starts it, without waiting for it. It has the newest clients: they talk to all brokers.
    pub(super) fn start(bootstrap: &str, folder: &Path) -> Result<Self, Failure> {
        let arguments = Installation::of(Version::V4_3_1)?.sidecar(bootstrap, folder);
        let log = folder.join("sidecar.log");
        let mut process = JavaProcess::spawn(&arguments, &log, Stdio::piped())?;
        let pipes = process.take_pipes();
        let (input, output) = pipes.ok_or_else(|| Failure::new("the sidecar has no pipes"))?;
        let (sender, answers) = channel();
        thread::Builder::new()
            .name("sidecar-answers".to_owned())
            .spawn(move || read_answers(output, &sender))?;
        Ok(Self {
            process,
            input,
            answers,
            lost: false,
        })
    }

    /// Whether it can be asked again.
    pub(super) fn is_usable(&mut self) -> bool {
        !self.lost && self.process.is_running()
    }

    /// One question; gives what was answered and the bytes that came before it.
    pub(super) fn ask(
        &mut self,
        question: Value,
        bytes: &[u8],
    ) -> Result<(Value, Vec<u8>), Failure> {
        let mut chunks = Vec::new();
        let said = self.ask_in_chunks(question, bytes, |chunk| {
            chunks.extend(chunk);
            Ok(())
        })?;
        Ok((said, chunks))
    }

    /// One question; hands the bytes that come before the answer over as they come.
    pub(super) fn ask_in_chunks(
        &mut self,
        mut question: Value,
        bytes: &[u8],
        mut on_chunk: impl FnMut(Vec<u8>) -> Result<(), Failure>,
    ) -> Result<Value, Failure> {
        question["bytes"] = json!(bytes.len());
        if question["timeout_ms"].is_null() {
            question["timeout_ms"] = json!(ANSWER.as_millis());
        }
        self.lost = true;
        self.input.write_all(format!("{question}\n").as_bytes())?;
        self.input.write_all(bytes)?;
        self.input.flush()?;
        loop {
            match self.answers.recv_timeout(ANSWER + GRACE) {
                Ok(Ok(Part::Chunk(chunk))) => on_chunk(chunk)?,
                Ok(Ok(Part::End(mut end))) => {
                    self.lost = false;
                    return match end.get("error") {
                        Some(error) => Err(Failure::new(error.as_str().unwrap_or_default())
                            .during(&format!("{} {}", question["op"], question["topic"]))),
                        None => Ok(end["ok"].take()),
                    };
                }
                Ok(Err(error)) => {
                    return Err(self.process.failure(&format!("{question}: {error}")));
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    return Err(self.process.failure(&format!("{question}: no answer")));
                }
            }
        }
    }
}

/// A piece of an answer.
#[derive(Debug)]
enum Part {
    Chunk(Vec<u8>),
    End(Value),
}

fn read_answers(output: ChildStdout, sender: &Sender<io::Result<Part>>) {
    let mut output = BufReader::new(output);
    loop {
        let part = read_part(&mut output);
        let ended = part.is_err();
        if sender.send(part).is_err() || ended {
            return;
        }
    }
}

fn read_part(output: &mut impl BufRead) -> io::Result<Part> {
    let mut line = String::new();
    if output.read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let value: Value = serde_json::from_str(&line)
        .map_err(|e| io::Error::new(io::ErrorKind::InvalidData, format!("{e} in `{line}`")))?;
    let Some(length) = value["chunk"].as_u64() else {
        return Ok(Part::End(value));
    };
    let mut bytes = Vec::new();
    output.take(length).read_to_end(&mut bytes)?;
    Ok(Part::Chunk(bytes))
}
