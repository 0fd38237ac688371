//! What a run, or a campaign of them, has come by: error codes per API, outcomes, cells of the
//! guarantee table.
//!
//! Thread: any. Locks: none.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::ApiKey;

use super::guarantees::{Cell, promised_cells};
use super::ledger::{End, Ledger};
use crate::error::Persistence;

/// Counts that add up.
#[derive(Debug, Clone, Default)]
pub(crate) struct Coverage {
    /// By the key of the API and the code, as the client read them.
    codes: BTreeMap<(i16, i16), u64>,
    /// How records ended.
    outcomes: BTreeMap<&'static str, u64>,
    /// In how many runs each cell of the guarantee table was put to the test.
    cells: BTreeMap<Cell, u64>,
}

impl Coverage {
    pub(super) fn code(&mut self, api: i16, code: i16) {
        *self.codes.entry((api, code)).or_default() += 1;
    }

    /// The promises that a run put to the test.
    pub(super) fn cells(&mut self, judged: &BTreeSet<Cell>) {
        for cell in judged {
            *self.cells.entry(*cell).or_default() += 1;
        }
    }

    /// How the records of a run ended.
    pub(crate) fn outcomes(&mut self, ledger: &Ledger) {
        for entry in &ledger.entries {
            let told = entry.callbacks.first().or(entry.handle.as_ref());
            let outcome = match (told.map(|(_, end)| end), entry.refused) {
                (Some(End::Acked { .. }), _) => "acked",
                (Some(End::Failed { persistence, .. }), _) => match persistence {
                    Persistence::NotWritten => "NotWritten",
                    Persistence::Unknown => "Unknown",
                },
                (None, Some(_)) => "refused",
                (None, None) if entry.accepted_at.is_some() => "accepted, not asked",
                (None, None) => "call did not end",
            };
            *self.outcomes.entry(outcome).or_default() += 1;
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (key, count) in &other.codes {
            *self.codes.entry(*key).or_default() += count;
        }
        for (key, count) in &other.outcomes {
            *self.outcomes.entry(key).or_default() += count;
        }
        for (key, count) in &other.cells {
            *self.cells.entry(*key).or_default() += count;
        }
    }

    /// For people.
    pub(crate) fn tables(&self) -> String {
        let mut text = String::from("outcomes of records:");
        for (outcome, count) in &self.outcomes {
            let _ = write!(text, " {outcome} {count},");
        }
        text.pop();
        text.push_str("\nerror codes that the client read, by API:\n");
        for api in [
            ApiKey::ApiVersions,
            ApiKey::Metadata,
            ApiKey::InitProducerId,
            ApiKey::Produce,
        ] {
            let key = api as i16;
            let codes = self.codes.range((key, i16::MIN)..=(key, i16::MAX));
            let _ = write!(text, "  {api:?} ({} codes):", codes.clone().count());
            for ((_, code), count) in codes {
                let _ = write!(text, " {}={count}", code_name(*code));
            }
            text.push('\n');
        }
        text.push_str("promises, and in how many seeds each was put to the test:\n");
        let mut line = None;
        for cell in promised_cells() {
            if line != Some(cell.0) {
                let start = if line.is_some() { "\n" } else { "" };
                let _ = write!(text, "{start}  {:<24}", format!("{:?}", cell.0));
                line = Some(cell.0);
            }
            let count = self.cells.get(&cell).copied().unwrap_or(0);
            let _ = write!(text, " {:?}={count}", cell.1);
        }
        text.push('\n');
        text
    }
}

fn code_name(code: i16) -> String {
    match ResponseError::try_from_code(code) {
        None => "none".to_owned(),
        Some(ResponseError::Unknown(code)) => format!("{code}"),
        Some(error) => format!("{error:?}({code})"),
    }
}
