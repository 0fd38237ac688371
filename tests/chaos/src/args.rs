//! The command line.

use std::time::Duration;

use crate::schedule::Mode;

/// What it says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Args {
    pub(crate) length: Duration,
    pub(crate) seed: u64,
    pub(crate) mode: Mode,
    pub(crate) delivery_timeout: Duration,
    /// Records a second that are sent, in all.
    pub(crate) rate: f64,
    /// Whether the seed draws the producer's configuration as well, and more verbs are used.
    pub(crate) vary: bool,
}

impl Default for Args {
    fn default() -> Self {
        Self {
            length: Duration::from_secs(60),
            seed: 1,
            mode: Mode::Proof,
            delivery_timeout: Duration::from_secs(30),
            rate: 8_000.0,
            vary: false,
        }
    }
}

pub(crate) const USAGE: &str = "\
chaos [--seconds N] [--seed S] [--delivery-timeout-ms N] [--rate N] [--vary] [--control KIND]

  --seconds N              how long brokers and network are broken (60)
  --seed S                 draws the schedule of faults; the same seed, the same schedule (1)
  --delivery-timeout-ms N  delivery.timeout.ms of the producer (30000)
  --rate N                 records a second (8000)
  --vary                   the seed draws the producer's configuration as well: batch.size, linger.ms,
                           requests in flight, buffer.memory and more; perhaps batches have to be
                           split; records are purged and flushed every few seconds
  --control KIND           instead of proving the producer, prove the judge, by a run in which it
                           has to find something:
                             idempotence-off  retries without idempotence: duplicates, disorder
                             unclean          acks=1 and leaders that lack records: losses
";

impl Args {
    pub(crate) fn parse(words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut args = Self::default();
        let mut words = words;
        while let Some(word) = words.next() {
            if word == "--vary" {
                args.vary = true;
                continue;
            }
            let (flag, inline) = match word.split_once('=') {
                Some((flag, value)) => (flag.to_owned(), Some(value.to_owned())),
                None => (word, None),
            };
            let value = inline.or_else(|| words.next());
            let value = value.ok_or_else(|| format!("{flag} needs a value"))?;
            args.set(&flag, &value)?;
        }
        Ok(args)
    }

    fn set(&mut self, flag: &str, value: &str) -> Result<(), String> {
        match flag {
            "--seconds" => self.length = Duration::from_secs(number(flag, value, 10)?),
            "--seed" => self.seed = number(flag, value, 0)?,
            "--delivery-timeout-ms" => {
                // Above linger.ms and request.timeout.ms, as the producer demands.
                self.delivery_timeout = Duration::from_millis(number(flag, value, 4_000)?);
            }
            "--rate" => {
                let rate = u32::try_from(number(flag, value, 1)?);
                self.rate = f64::from(rate.map_err(|_| format!("{flag} is too much"))?);
            }
            "--control" => {
                self.mode = match value {
                    "idempotence-off" => Mode::IdempotenceOff,
                    "unclean" => Mode::Unclean,
                    other => return Err(format!("no control is called {other:?}")),
                }
            }
            other => return Err(format!("no such argument: {other}")),
        }
        Ok(())
    }
}

fn number(flag: &str, value: &str, least: u64) -> Result<u64, String> {
    match value.parse() {
        Ok(number) if number >= least => Ok(number),
        _ => Err(format!(
            "{flag} wants a number from {least} on, not {value:?}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Args, String> {
        Args::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn arguments_in_both_forms_are_read() {
        let args =
            parse("--seconds 600 --seed=7 --vary --delivery-timeout-ms 8000 --control unclean");
        let args = args.unwrap();
        assert_eq!(args.length, Duration::from_secs(600));
        assert_eq!((args.seed, args.mode, args.vary), (7, Mode::Unclean, true));
        assert_eq!(args.delivery_timeout, Duration::from_secs(8));
    }

    #[test]
    fn wrong_arguments_are_refused_by_name() {
        for (line, what) in [
            ("--secods 3", "--secods"),
            ("--seconds", "needs a value"),
            ("--seconds x", "wants a number"),
            ("--seconds 1", "from 10 on"),
            ("--control all", "\"all\""),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(what), "{error}");
        }
    }
}
