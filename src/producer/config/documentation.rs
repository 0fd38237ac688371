//! The tables of docs/CONFIGURATION.md, made from the tables of the code.
//!
//! Thread: any. Locks: none. `tests/config.rs` holds the file against this text.

use std::fmt::Write as _;

use super::key_table::KEYS;
use super::unbuilt::{JVM_ONLY, UNBUILT};

pub(super) fn text() -> String {
    let mut out = String::from(
        "| key | type | default | allowed | importance | meaning |\n|---|---|---|---|---|---|\n",
    );
    for key in KEYS {
        let default = match key.default {
            None => "(none)".to_owned(),
            Some("") => "(empty)".to_owned(),
            Some(default) => format!("`{default}`"),
        };
        let (name, kind) = (key.name, key.kind.type_name());
        let (allowed, importance, meaning) = (key.kind.allowed(), key.importance, key.meaning);
        // A String takes everything.
        let _ = writeln!(
            out,
            "| `{name}` | {kind} | {default} | {allowed} | {importance} | {meaning} |"
        );
    }
    out.push_str("\n## Not built yet\n\nRefused, unless the value asks for nothing:\n\n");
    out.push_str("| key | accepted as |\n|---|---|\n");
    for (name, neutral) in UNBUILT {
        let accepted = match neutral {
            None => "-".to_owned(),
            Some("") => "(empty)".to_owned(),
            Some(neutral) => format!("`{neutral}`"),
        };
        let _ = writeln!(out, "| `{name}` | {accepted} |");
    }
    out.push_str("\nOf no meaning outside of a JVM, and left alone: ");
    let names: Vec<String> = JVM_ONLY.iter().map(|name| format!("`{name}`")).collect();
    out.push_str(&names.join(", "));
    out.push_str(".\n");
    out
}
