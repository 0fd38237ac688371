//! Java's properties files (feature `properties`).
//!
//! Java's counterpart: `Utils.loadProps`. Thread: application. Locks: none.

use std::fmt::{Display, Write as _};
use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::ProducerConfig;
use crate::error::{Error, ErrorKind};

impl ProducerConfig {
    /// Reads a Java properties file, such as `producer.properties`.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if the file cannot be read or is not one, and as
    /// [`from_properties`](Self::from_properties).
    pub fn from_properties_file(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let file = File::open(path).map_err(|error| {
            let text = format!("cannot read the configuration file {}", path.display());
            Error::new(ErrorKind::Config, text).with_source(error)
        })?;
        Self::from_properties_reader(file)
    }

    /// Reads the text of a Java properties file.
    ///
    /// # Errors
    /// As [`from_properties_file`](Self::from_properties_file).
    pub fn from_properties_reader(mut reader: impl Read) -> Result<Self, Error> {
        let mut bytes = Vec::new();
        reader
            .read_to_end(&mut bytes)
            .map_err(|error| no_properties(&error).with_source(error))?;
        let text = to_ascii(&bytes).map_err(no_properties)?;
        let mut properties = Vec::new();
        java_properties::PropertiesIter::new(text.as_bytes())
            .read_into(|key, value| properties.push((key, value)))
            .map_err(no_properties)?;
        Self::from_properties(properties)
    }
}

fn no_properties(why: impl Display) -> Error {
    let text = format!("the configuration is not a properties file: {why}");
    Error::new(ErrorKind::Config, text)
}

/// Properties are ISO 8859-1; what of that is not ASCII is written as `\u` escapes. The reader would
/// take it for Windows-1252, or for what a byte order mark says, and panics where text in another
/// encoding ends within a character. A mark of UTF-8, as editors leave it behind, says nothing here.
fn to_ascii(bytes: &[u8]) -> Result<String, &'static str> {
    if bytes.starts_with(&[0xFE, 0xFF]) || bytes.starts_with(&[0xFF, 0xFE]) {
        return Err("it is UTF-16; save it as ISO 8859-1, or as ASCII with \\u escapes");
    }
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let mut text = String::with_capacity(bytes.len());
    let mut after_backslash = false;
    for byte in bytes {
        if byte.is_ascii() {
            text.push(char::from(*byte));
            after_backslash = *byte == b'\\' && !after_backslash;
        } else {
            // A backslash that is there already begins the escape.
            let backslash = if after_backslash { "" } else { "\\" };
            let _ = write!(text, "{backslash}u{:04x}", u32::from(*byte));
            after_backslash = false;
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_text_is_read_as_java_reads_it() {
        let text =
            "# a comment\nbootstrap.servers = a:1,\\\n  b:2\nlinger.ms:7\nacks=1\nacks=all\n";
        let config = ProducerConfig::from_properties_reader(text.as_bytes()).expect("it is one");
        assert_eq!(config.get("bootstrap.servers"), Some("a:1,b:2"));
        assert_eq!(config.get("linger.ms"), Some("7"));
        assert_eq!(config.get("acks"), Some("all"));
    }

    #[test]
    fn properties_in_latin_1_are_read_as_java_reads_them() {
        let read = |text: &[u8]| {
            let text = [b"bootstrap.servers=a:1\n", text].concat();
            ProducerConfig::from_properties_reader(&text[..]).expect("it is one")
        };
        let id = |text: &[u8]| read(text).get("client.id").map(str::to_owned);
        assert_eq!(id(b"client.id=caf\xE9").as_deref(), Some("caf\u{e9}"));
        assert_eq!(id(b"client.id=caf\\\xE9").as_deref(), Some("caf\u{e9}"));
        assert_eq!(id(b"client.id=a\\\\\xE9").as_deref(), Some("a\\\u{e9}"));
        assert_eq!(id(b"client.id=\x80 5").as_deref(), Some("\u{80} 5"));
    }

    #[test]
    fn properties_with_a_byte_order_mark_are_read_or_refused() {
        let marked = b"\xEF\xBB\xBFbootstrap.servers=a:1\n";
        let config = ProducerConfig::from_properties_reader(&marked[..]).expect("it is one");
        assert_eq!(config.get("bootstrap.servers"), Some("a:1"));
        // Of odd length, which the reader of properties does not survive.
        for utf_16 in [b"\xFE\xFF\0a\0=\0b\0", b"\xFF\xFEa\0=\0b\0\0"] {
            let error = ProducerConfig::from_properties_reader(&utf_16[..]);
            let error = error.expect_err("another encoding");
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains("it is UTF-16"), "{error}");
        }
    }

    #[test]
    fn properties_that_cannot_be_read_name_the_file() {
        let error = ProducerConfig::from_properties_file("/nowhere/producer.properties")
            .expect_err("there is none");
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("/nowhere/producer.properties"));
        let broken = ProducerConfig::from_properties_reader(&b"a=\\uZZZZ"[..]);
        assert_eq!(broken.expect_err("not an escape").kind(), ErrorKind::Config);
    }
}
