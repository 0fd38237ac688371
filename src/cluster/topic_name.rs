//! Which names a topic can have at all (Java: `Topic.validate`).

use crate::error::{Error, ErrorKind};

/// Refuses a name that no broker would take, so that none has to be asked.
///
/// # Errors
/// [`ErrorKind::InvalidTopic`], naming the rule that the name breaks.
pub(crate) fn check_topic_name(name: &str) -> Result<(), Error> {
    let broken_rule = if name.is_empty() {
        "it is empty".to_owned()
    } else if name == "." || name == ".." {
        "\".\" and \"..\" are not allowed".to_owned()
    } else if let Some(other) = name.chars().find(|&c| !is_allowed(c)) {
        format!("{other:?} is not one of a-z, A-Z, 0-9, '.', '_', '-'")
    } else if name.len() > MAX_LENGTH {
        format!("its length is {}, at most {MAX_LENGTH}", name.len())
    } else {
        return Ok(());
    };
    // A name can be anything, of any length: what is shown of it is neither.
    let shown: String = name.chars().take(MAX_LENGTH).collect();
    let message = format!("topic name {shown:?} is not allowed: {broken_rule}");
    Err(Error::new(ErrorKind::InvalidTopic, message))
}

fn is_allowed(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
}

/// A file name of 255 bytes less what a partition's number needs.
const MAX_LENGTH: usize = 249;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_topic_name_of_allowed_names_is_ok() {
        let longest = "a".repeat(249);
        for name in ["a", "A-z_0.9", "...", "-", "__consumer_offsets", &longest] {
            assert!(check_topic_name(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn check_topic_name_of_forbidden_names_says_why() {
        let too_long = "a".repeat(250);
        for (name, why) in [
            ("", "empty"),
            (".", "\"..\""),
            ("..", "\"..\""),
            ("a b", "' '"),
            ("a/b", "'/'"),
            ("größe", "'ö'"),
            ("a\nb", "'\\n'"),
            (too_long.as_str(), "250, at most 249"),
        ] {
            let error = check_topic_name(name).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidTopic);
            assert!(error.to_string().contains(why), "{error}");
        }
    }

    #[test]
    fn check_topic_name_of_a_huge_name_shows_only_its_beginning() {
        let error = check_topic_name(&"ü".repeat(1_000_000)).unwrap_err();
        assert!(error.to_string().len() < 1000);
    }
}
