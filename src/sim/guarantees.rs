//! What the producer promises, as data: the oracle judges by it, docs/DESIGN.md shows it.
//!
//! Thread: any. Locks: none. A record is judged by all lines that hold for its partition, that is,
//! by the weakest of their promises.

use std::collections::BTreeSet;

use super::scenario::{ClusterPlan, ConfigPlan};

/// One line of the table: a configuration and a kind of broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Line {
    Acks0,
    Acks1,
    Acks1Pipelined,
    All,
    AllPipelined,
    Idempotent,
    IdempotentSmallWindow,
    IdempotentForgets,
    IdempotentLosesData,
    LosesData,
}

/// What is promised, one column each; P3 is two promises, P8 waits for transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Property {
    P1,
    P2,
    P3NotWritten,
    P3Unknown,
    P4,
    P5,
    P6,
    P7,
    P9,
    P10,
    P11,
    P12,
    P13,
}

/// How far; the weaker is the smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Promise {
    Nothing,
    /// For records none of whose attempts went unanswered.
    IfAnswered,
    Always,
}

/// One promise of one line.
pub(crate) type Cell = (Line, Property);

impl Line {
    pub(crate) const ALL: [Self; 10] = [
        Self::Acks0,
        Self::Acks1,
        Self::Acks1Pipelined,
        Self::All,
        Self::AllPipelined,
        Self::Idempotent,
        Self::IdempotentSmallWindow,
        Self::IdempotentForgets,
        Self::IdempotentLosesData,
        Self::LosesData,
    ];

    /// The lines of a run, before any of its partitions has lost data or forgotten producers.
    pub(crate) fn of(config: &ConfigPlan, cluster: &ClusterPlan) -> BTreeSet<Self> {
        let mut lines = BTreeSet::new();
        if !config.idempotence {
            lines.insert(match (config.acks, config.max_in_flight) {
                (0, _) => Self::Acks0,
                (1, 1) => Self::Acks1,
                (1, _) => Self::Acks1Pipelined,
                (_, 1) => Self::All,
                (_, _) => Self::AllPipelined,
            });
            return lines;
        }
        if cluster.producer_window < 5 {
            lines.insert(Self::IdempotentSmallWindow);
        }
        if cluster.forgets_after_ms.is_some() {
            lines.insert(Self::IdempotentForgets);
        }
        if lines.is_empty() {
            lines.insert(Self::Idempotent);
        }
        lines
    }

    /// The line that holds besides for a partition that lost what it had acknowledged.
    pub(crate) fn of_lost_data(idempotence: bool) -> Self {
        if idempotence {
            Self::IdempotentLosesData
        } else {
            Self::LosesData
        }
    }

    /// `acks`, `enable.idempotence`, `max.in.flight.requests.per.connection`, brokers.
    fn names(self) -> [&'static str; 4] {
        match self {
            Self::Acks0 => ["0", "off", "any", "any"],
            Self::Acks1 => ["1", "off", "1", "any"],
            Self::Acks1Pipelined => ["1", "off", "2 and up", "any"],
            Self::All => ["all", "off", "1", "any"],
            Self::AllPipelined => ["all", "off", "2 and up", "any"],
            Self::Idempotent => [
                "all",
                "on",
                "1 to 5",
                "today's (they remember five batches)",
            ],
            Self::IdempotentSmallWindow => ["all", "on", "1 to 5", "remember fewer, or none"],
            Self::IdempotentForgets => ["all", "on", "1 to 5", "forget producers"],
            Self::IdempotentLosesData => ["all", "on", "1 to 5", "lose acknowledged data"],
            Self::LosesData => ["any", "off", "any", "lose acknowledged data"],
        }
    }

    /// What it promises, and the note that says why it is no more, counted from 1.
    pub(crate) fn promise(self, property: Property) -> (Promise, Option<usize>) {
        use Promise::{Always, IfAnswered, Nothing};
        match property {
            Property::P1 => match self {
                Self::Acks0 => (Nothing, Some(1)),
                Self::Acks1 | Self::Acks1Pipelined => (IfAnswered, Some(2)),
                Self::All | Self::AllPipelined => (IfAnswered, Some(3)),
                Self::Idempotent => (Always, None),
                Self::IdempotentSmallWindow => (Always, Some(4)),
                Self::IdempotentForgets => (IfAnswered, Some(5)),
                Self::IdempotentLosesData | Self::LosesData => (Nothing, Some(6)),
            },
            Property::P2 => match self {
                Self::Acks0 => (Nothing, Some(7)),
                Self::Acks1 | Self::All => (IfAnswered, Some(8)),
                Self::Acks1Pipelined | Self::AllPipelined => (Nothing, Some(9)),
                Self::Idempotent | Self::IdempotentSmallWindow => (Always, Some(10)),
                Self::IdempotentForgets => (Nothing, Some(11)),
                Self::IdempotentLosesData | Self::LosesData => (Nothing, Some(12)),
            },
            Property::P3NotWritten => (Always, Some(13)),
            Property::P3Unknown => match self {
                Self::Acks0 => (Always, Some(14)),
                Self::Idempotent | Self::IdempotentSmallWindow | Self::IdempotentLosesData => {
                    (Always, None)
                }
                Self::IdempotentForgets => (Nothing, Some(5)),
                Self::Acks1
                | Self::Acks1Pipelined
                | Self::All
                | Self::AllPipelined
                | Self::LosesData => (Nothing, Some(3)),
            },
            Property::P7 => match self {
                Self::Idempotent
                | Self::IdempotentSmallWindow
                | Self::IdempotentForgets
                | Self::IdempotentLosesData => (Always, Some(15)),
                Self::Acks0
                | Self::Acks1
                | Self::Acks1Pipelined
                | Self::All
                | Self::AllPipelined
                | Self::LosesData => (Nothing, Some(16)),
            },
            Property::P10 => (Always, Some(17)),
            Property::P12 => (Always, Some(18)),
            Property::P4
            | Property::P5
            | Property::P6
            | Property::P9
            | Property::P11
            | Property::P13 => (Always, None),
        }
    }
}

impl Property {
    pub(crate) const ALL: [Self; 13] = [
        Self::P1,
        Self::P2,
        Self::P3NotWritten,
        Self::P3Unknown,
        Self::P4,
        Self::P5,
        Self::P6,
        Self::P7,
        Self::P9,
        Self::P10,
        Self::P11,
        Self::P12,
        Self::P13,
    ];

    /// As violations name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::P1 => "P1",
            Self::P2 => "P2",
            Self::P3NotWritten | Self::P3Unknown => "P3",
            Self::P4 => "P4",
            Self::P5 => "P5",
            Self::P6 => "P6",
            Self::P7 => "P7",
            Self::P9 => "P9",
            Self::P10 => "P10",
            Self::P11 => "P11",
            Self::P12 => "P12",
            Self::P13 => "P13",
        }
    }

    /// As the table's head names it.
    fn column(self) -> &'static str {
        match self {
            Self::P3NotWritten => "P3 `NotWritten`",
            Self::P3Unknown => "P3 `Unknown`",
            other => other.name(),
        }
    }
}

/// What is promised where all these lines hold.
pub(crate) fn weakest(lines: &BTreeSet<Line>, property: Property) -> Promise {
    let of = |line: &Line| line.promise(property).0;
    lines.iter().map(of).min().unwrap_or(Promise::Nothing)
}

/// Every promise there is, for whoever counts how often each was put to the test.
#[allow(dead_code, reason = "the campaign's business")]
pub(crate) fn promised_cells() -> impl Iterator<Item = Cell> {
    Line::ALL.into_iter().flat_map(|line| {
        Property::ALL
            .into_iter()
            .filter(move |property| line.promise(*property).0 > Promise::Nothing)
            .map(move |property| (line, property))
    })
}

/// For which codes it is certain that the attempt they answer was not appended; the oracle's own
/// list, from docs/DESIGN.md, so that a slip in `error_code.rs` does not hide itself.
pub(crate) fn proves_not_written(code: i16) -> bool {
    matches!(
        code,
        2 | 10
            | 17
            | 18
            | 19
            | 21
            | 29
            | 31
            | 32
            | 35
            | 42
            | 43
            | 44
            | 45
            | 47
            | 48
            | 59
            | 76
            | 87
            | 90
    )
}

/// The table as docs/DESIGN.md has it.
#[cfg(test)]
fn document() -> String {
    use std::fmt::Write as _;

    let mut text = String::from("| acks | idempotence | in flight | brokers |");
    for property in Property::ALL {
        let _ = write!(text, " {} |", property.column());
    }
    text.push_str("\n|---|---|---|---|");
    text.push_str(&"---|".repeat(Property::ALL.len()));
    for line in Line::ALL {
        let _ = write!(text, "\n| {} |", line.names().join(" | "));
        for property in Property::ALL {
            let (promise, note) = line.promise(property);
            let word = match promise {
                Promise::Always => "yes",
                Promise::IfAnswered => "if answered",
                Promise::Nothing => "no",
            };
            let note = note.map_or(String::new(), |note| format!(" ({note})"));
            let _ = write!(text, " {word}{note} |");
        }
    }
    text.push_str("\n\n");
    for (number, note) in (1..).zip(NOTES) {
        let _ = writeln!(text, "{number}. {note}");
    }
    text
}

/// Why a promise is no stronger, or what is meant exactly.
#[cfg(test)]
const NOTES: &[&str] = &[
    "Nobody answers. What is promised is that the whole request was handed to the socket.",
    "If the broker kept what it had acknowledged: a leader that dies may take records with it that no \
     replica has yet (the last line). Otherwise at least once, where the answer said, byte by byte; twice \
     if an attempt that was appended went unanswered and was made again.",
    "At least once, where the answer said, byte by byte. An attempt that was appended and went unanswered is \
     made again until `delivery.timeout.ms` or `retries` end it, and nothing tells the broker that it has it. \
     `retries=0` makes it at most once.",
    "A repetition that the broker no longer remembers is answered OUT_OF_ORDER_SEQUENCE_NUMBER. As an \
     earlier attempt went unanswered, the record ends `Unknown`: more outcomes are unknown, none is wrong.",
    "A broker that has forgotten the producer takes the first batch it sees. If that repeats one that was \
     appended unanswered, it is there twice. Where brokers refuse unknown sequences other than 0 (4.5 and up), \
     it ends `Unknown` instead.",
    "What was acknowledged may be gone, and its offset may belong to another record. A gap after acknowledged \
     records and offsets that go backwards are reported as data loss on the broker's side.",
    "After a move of the leader the new one can have later records before the old one has read the earlier \
     ones from its socket; whoever does not wait for an answer cannot know.",
    "The partition is muted until its batch is answered, whatever node it went to. An attempt whose answer did \
     not come may still be in the network and arrive after its successors.",
    "A batch that was refused is sent again after its successors were taken; all of them were answered.",
    "Brokers take an epoch's batches in sequence, and no older epoch. The exception: a producer id whose last \
     epoch (32767) is used up is replaced, and a batch of the old one that ended `Unknown` may still arrive.",
    "A leader that has forgotten the producer may take a successor first (KAFKA-15591). The earlier batch, if \
     all its attempts were answered, then goes under a new epoch, behind it; it is neither lost nor doubled.",
    "With the records the broker loses what it knew of producers, see 11; without idempotence a lost \
     record that is sent again comes behind its successors.",
    "Always, as long as answers are true: no attempt reached a socket whole, or every one was answered \
     with a code of the proof table. A broker that appends and answers such a code would break it.",
    "Nothing is sent again once it was handed to the socket whole, and half a request is never appended.",
    "An identity names one batch for ever, with one exception: if every attempt was answered with a proof \
     that it was not appended, and nothing later was stamped, its sequences are used again, as nobody has seen them.",
    "There are no sequences. What is watched instead: with one request in flight at most one \
     unanswered batch per partition, over all connections.",
    "Within 2 x (`request.timeout.ms` or the longest connection setup + the longest backoff), as long as \
     `bootstrap.servers` leads to a broker, unless a broker told the producer that it is fenced or not authorised, \
     which ends it. What is acknowledged by then is a new record, not the first: `retries` or its neighbours in a \
     batch may end one.",
    "A partition whose own node answers everything waits for no other: whenever a record is due and its node's \
     connection is idle, it leaves within 100 ms. Exceptions that belong to all partitions: the first producer id, \
     `buffer.memory`, and a Sender that gets no processor or is inside user code.",
];

#[cfg(test)]
mod tests {
    use super::*;

    const HEADING: &str = "## What is guaranteed\n";
    const MARK: &str = "<!-- guarantees -->\n";
    const END: &str = "<!-- end of guarantees -->\n";

    #[test]
    fn document_has_the_table_of_the_code() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/DESIGN.md");
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.contains(HEADING), "{path} has no such section");
        let (before, rest) = text.split_once(MARK).expect("the table has a mark");
        let (_, after) = rest.split_once(END).expect("the table has an end");
        let wanted = format!("{before}{MARK}\n{}\n{END}{after}", document());
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, wanted).unwrap();
        } else {
            let hint = "UPDATE_DOCS=1 cargo test --lib sim::guarantees";
            assert!(text == wanted, "docs/DESIGN.md is out of step: {hint}");
        }
    }

    #[test]
    fn promise_that_is_not_whole_has_a_note_and_every_note_is_used() {
        let mut used = BTreeSet::new();
        for line in Line::ALL {
            for property in Property::ALL {
                let (promise, note) = line.promise(property);
                assert!(
                    promise == Promise::Always || note.is_some(),
                    "{line:?} {property:?}"
                );
                used.extend(note);
            }
        }
        assert!(used.into_iter().eq(1..=NOTES.len()));
    }

    #[test]
    fn weakest_of_several_lines_is_what_holds() {
        let lines = BTreeSet::from([Line::IdempotentSmallWindow, Line::IdempotentForgets]);
        assert_eq!(weakest(&lines, Property::P1), Promise::IfAnswered);
        assert_eq!(weakest(&lines, Property::P2), Promise::Nothing);
        assert_eq!(weakest(&lines, Property::P7), Promise::Always);
    }

    #[test]
    fn proof_table_is_that_of_the_client() {
        for code in -2..200 {
            let ours = crate::protocol::ErrorCode(code).proves_not_written();
            assert_eq!(proves_not_written(code), ours, "{code}");
        }
    }
}
