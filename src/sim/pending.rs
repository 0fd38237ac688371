//! Faults whose rule the product does not have yet: `PENDING.md` lists them, and they are drawn with
//! `--all` only. Without that file, nothing waits.
//!
//! Thread: any. Locks: none. A line of its table is `| fault | property | seed | why |`.

use std::sync::OnceLock;

use super::draw::Mix;
use super::faults::FaultKind;

/// The kinds that may be drawn.
pub(super) fn kinds(mix: Mix) -> &'static [FaultKind] {
    static DEFAULT: OnceLock<Vec<FaultKind>> = OnceLock::new();
    match mix {
        Mix::All => FaultKind::ALL,
        Mix::Default => DEFAULT.get_or_init(|| {
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/sim/PENDING.md");
            let text = std::fs::read_to_string(path).unwrap_or_default();
            let waiting = waiting(&text).unwrap_or_else(|why| panic!("{path}: {why}"));
            let all = FaultKind::ALL.iter().copied();
            all.filter(|kind| !waiting.contains(kind)).collect()
        }),
    }
}

/// The kinds that a table names.
fn waiting(text: &str) -> Result<Vec<FaultKind>, String> {
    let rows = text.lines().filter(|line| line.starts_with('|')).skip(2);
    let kind = |row: &str| {
        let name = row.split('|').nth(1).unwrap_or_default().trim();
        let mut all = FaultKind::ALL.iter().copied();
        all.find(|kind| kind.name() == name)
            .ok_or_else(|| format!("there is no fault {name:?}"))
    };
    rows.map(kind).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_names_the_kinds_that_wait() {
        let table = "# Text\n\n| fault | property | seed |\n|---|---|---|\n| latency | P4 | 12 |\n";
        assert_eq!(waiting(table).unwrap(), [FaultKind::Latency]);
        assert_eq!(waiting("").unwrap(), []);
        let error = waiting(&table.replace("latency", "laziness")).unwrap_err();
        assert!(error.contains("laziness"), "{error}");
    }

    #[test]
    fn default_mix_draws_no_more_than_all_of_it() {
        assert!(kinds(Mix::Default).len() <= kinds(Mix::All).len());
        assert!(!kinds(Mix::Default).is_empty());
    }
}
