//! One configuration key: its type, what it may be, and from text to a value.
//!
//! Java's counterpart: `ConfigDef`. Thread: any. Locks: none. Texts are trimmed; numbers, booleans
//! and lists are read as Kafka reads them.

use std::fmt;
use std::time::Duration;

use super::Settings;
use crate::error::{Error, ErrorKind};

/// A row of the table.
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// As text; `None`: null, or no default at all for `bootstrap.servers`.
    pub(super) default: Option<&'static str>,
    pub(super) importance: Importance,
    /// One sentence or two, for docs/CONFIGURATION.md.
    pub(super) meaning: &'static str,
    pub(super) apply: fn(&mut Settings, Value),
}

/// The type of a key, and what its values may be.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Int {
        least: i64,
        most: i64,
    },
    Long {
        least: i64,
        most: i64,
    },
    Boolean,
    Text,
    /// One of these, in any case of letters where the flag says so.
    OneOf(&'static [&'static str], AnyCase),
    /// Taken apart by whoever knows what its entries are.
    List,
    /// Java class names that we have something for, and what to say of others.
    Class(&'static [&'static str], &'static str),
}

/// Whether upper and lower case are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AnyCase {
    Yes,
    No,
}

/// How much attention a key deserves, as Kafka ranks it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Importance {
    High,
    Medium,
    Low,
}

/// A value that was read and is in range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Number(i64),
    Boolean(bool),
    Text(String),
}

impl Kind {
    /// `least..=2147483647`
    pub(super) const fn int(least: i64) -> Self {
        Self::Int {
            least,
            most: i32::MAX as i64,
        }
    }

    /// `least..=9223372036854775807`
    pub(super) const fn long(least: i64) -> Self {
        Self::Long {
            least,
            most: i64::MAX,
        }
    }

    pub(super) fn type_name(self) -> &'static str {
        match self {
            Self::Int { .. } => "int",
            Self::Long { .. } => "long",
            Self::Boolean => "boolean",
            Self::Text | Self::OneOf(..) => "string",
            Self::List => "list",
            Self::Class(..) => "class",
        }
    }

    /// What values may be, for error texts and the documentation.
    pub(super) fn allowed(self) -> String {
        match self {
            Self::Int { least, most } if most == i64::from(i32::MAX) => format!("{least} and up"),
            Self::Long { least, most } if most == i64::MAX => format!("{least} and up"),
            Self::Int { least, most } | Self::Long { least, most } => format!("{least} to {most}"),
            Self::Boolean => "true, false".to_owned(),
            Self::Text => "any text".to_owned(),
            Self::OneOf(values, _) => values.join(", "),
            Self::List => "a list, separated by commas".to_owned(),
            Self::Class(names, _) => names.join(", "),
        }
    }
}

impl Key {
    /// Reads a text.
    pub(super) fn parse(&self, text: &str) -> Result<Value, Error> {
        let trimmed = text.trim();
        let wrong = |why: &str| {
            let (name, kind) = (self.name, self.kind.type_name());
            let allowed = self.kind.allowed();
            let text =
                format!("invalid value \"{text}\" for {name}: {why} ({kind}, allowed: {allowed})");
            Err(Error::new(ErrorKind::Config, text))
        };
        match self.kind {
            Kind::Int { least, most } | Kind::Long { least, most } => {
                match trimmed.parse::<i64>() {
                    Ok(number) if number < least => wrong("it is too small"),
                    Ok(number) if number > most => wrong("it is too large"),
                    Ok(number) => Ok(Value::Number(number)),
                    Err(_) => wrong("it is not a whole number in range"),
                }
            }
            Kind::Boolean => match trimmed.to_ascii_lowercase().as_str() {
                "true" => Ok(Value::Boolean(true)),
                "false" => Ok(Value::Boolean(false)),
                _ => wrong("it is neither true nor false"),
            },
            Kind::Text | Kind::List => Ok(Value::Text(trimmed.to_owned())),
            Kind::OneOf(values, any_case) => {
                let same = |value: &&&str| match any_case {
                    AnyCase::Yes => value.eq_ignore_ascii_case(trimmed),
                    AnyCase::No => **value == trimmed,
                };
                match values.iter().find(same) {
                    Some(value) => Ok(Value::Text((*value).to_owned())),
                    None => wrong("it is not one of those that are built"),
                }
            }
            Kind::Class(names, otherwise) => {
                let short = |name: &str| name.rsplit('.').next() == Some(trimmed);
                let known = names.iter().any(|name| *name == trimmed || short(name));
                if known || trimmed.is_empty() {
                    Ok(Value::Text(trimmed.to_owned()))
                } else {
                    wrong(otherwise)
                }
            }
        }
    }
}

/// The table says of what type a key's value is; another type stands for nothing.
impl Value {
    pub(super) fn number(&self) -> i64 {
        match self {
            Self::Number(number) => *number,
            Self::Boolean(_) | Self::Text(_) => 0,
        }
    }

    pub(super) fn int(&self) -> i32 {
        i32::try_from(self.number()).unwrap_or(i32::MAX)
    }

    pub(super) fn size(&self) -> usize {
        usize::try_from(self.number()).unwrap_or(usize::MAX)
    }

    pub(super) fn ms(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.number()).unwrap_or(0))
    }

    pub(super) fn boolean(&self) -> bool {
        matches!(self, Self::Boolean(true))
    }

    pub(super) fn text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Number(_) | Self::Boolean(_) => String::new(),
        }
    }
}

impl fmt::Display for Importance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(kind: Kind, text: &str) -> Result<Value, String> {
        let key = Key {
            name: "some.key",
            kind,
            default: None,
            importance: Importance::Low,
            meaning: "",
            apply: |_, _| {},
        };
        key.parse(text).map_err(|error| error.to_string())
    }

    #[test]
    fn parse_number_reads_as_java_does() {
        assert_eq!(parse(Kind::int(0), " 17 "), Ok(Value::Number(17)));
        assert_eq!(parse(Kind::int(0), "+17"), Ok(Value::Number(17)));
        assert_eq!(
            parse(Kind::int(0), "2147483647"),
            Ok(Value::Number(2_147_483_647))
        );
        for wrong in ["", "x", "1.5", "1_000", "2147483648", "-1"] {
            let error = parse(Kind::int(0), wrong).expect_err(wrong);
            assert!(error.contains("some.key"), "{error}");
            assert!(error.contains(&format!("\"{wrong}\"")), "{error}");
            assert!(error.contains("allowed: 0 and up"), "{error}");
        }
    }

    #[test]
    fn parse_boolean_ignores_case_and_blanks() {
        assert_eq!(parse(Kind::Boolean, " TRUE "), Ok(Value::Boolean(true)));
        assert_eq!(parse(Kind::Boolean, "False"), Ok(Value::Boolean(false)));
        assert!(parse(Kind::Boolean, "yes").is_err());
    }

    #[test]
    fn parse_one_of_names_what_is_allowed() {
        let kind = Kind::OneOf(&["a", "b"], AnyCase::No);
        assert_eq!(parse(kind, " a "), Ok(Value::Text("a".to_owned())));
        assert!(
            parse(kind, "A")
                .expect_err("case counts")
                .contains("allowed: a, b")
        );
        let any = Kind::OneOf(&["a", "b"], AnyCase::Yes);
        assert_eq!(parse(any, "B"), Ok(Value::Text("b".to_owned())));
    }

    #[test]
    fn parse_class_takes_long_and_short_names() {
        let kind = Kind::Class(&["org.apache.X"], "nothing else is built");
        assert!(parse(kind, "org.apache.X").is_ok());
        assert!(parse(kind, "X").is_ok());
        assert!(
            parse(kind, "com.acme.X")
                .expect_err("not ours")
                .contains("nothing else is built")
        );
    }
}
