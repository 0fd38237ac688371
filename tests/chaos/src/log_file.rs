//! What the library logs, in a file beside the brokers' data: to be read after a bad run.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use log::{LevelFilter, Log, Metadata, Record};

/// Writes each line with the seconds since it was made.
struct LogFile {
    started: Instant,
    file: Mutex<BufWriter<File>>,
}

/// From now on all that is logged goes there.
///
/// # Errors
///
/// If the file cannot be made.
pub(crate) fn install(path: &Path, started: Instant) -> std::io::Result<()> {
    let file = Mutex::new(BufWriter::new(File::create(path)?));
    // The second of two runs in one process would keep the first one's; there is only one.
    if log::set_boxed_logger(Box::new(LogFile { started, file })).is_ok() {
        log::set_max_level(LevelFilter::Debug);
    }
    Ok(())
}

impl Log for LogFile {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let seconds = self.started.elapsed().as_secs_f64();
        let (level, target, text) = (record.level(), record.target(), record.args());
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        // A full disk is no reason to stop.
        let _ = writeln!(file, "{seconds:9.3} {level:5} {target}: {text}");
    }

    fn flush(&self) {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = file.flush();
    }
}
