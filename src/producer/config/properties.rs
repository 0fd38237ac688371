//! Java's properties files (feature `properties`).
//!
//! Java's counterpart: `Utils.loadProps`. Thread: application. Locks: none.

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
    pub fn from_properties_reader(reader: impl Read) -> Result<Self, Error> {
        let mut properties = Vec::new();
        let read = java_properties::PropertiesIter::new(reader)
            .read_into(|key, value| properties.push((key, value)));
        read.map_err(|error| {
            let text = format!("the configuration is not a properties file: {error}");
            Error::new(ErrorKind::Config, text)
        })?;
        Self::from_properties(properties)
    }
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
    fn properties_that_cannot_be_read_name_the_file() {
        let error = ProducerConfig::from_properties_file("/nowhere/producer.properties")
            .expect_err("there is none");
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("/nowhere/producer.properties"));
        let broken = ProducerConfig::from_properties_reader(&b"a=\\uZZZZ"[..]);
        assert_eq!(broken.expect_err("not an escape").kind(), ErrorKind::Config);
    }
}
