//! The versions of Kafka that the tests run against.

use std::fmt;

/// A version of Apache Kafka.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// The oldest that runs on a present Java; with ZooKeeper.
    V2_8_2,
    /// The last before 4.0.
    V3_9_1,
    /// The newest.
    V4_3_1,
}

impl Version {
    /// Every version, the oldest first.
    pub const ALL: [Self; 3] = [Self::V2_8_2, Self::V3_9_1, Self::V4_3_1];

    /// As Maven spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V2_8_2 => "2.8.2",
            Self::V3_9_1 => "3.9.1",
            Self::V4_3_1 => "4.3.1",
        }
    }

    /// Whether its brokers need a ZooKeeper.
    pub(super) fn needs_zookeeper(self) -> bool {
        self == Self::V2_8_2
    }

    /// The jars that log: group, artifact, version. A broker without them runs but is silent.
    pub(super) fn logging(self) -> [&'static str; 3] {
        match self {
            Self::V2_8_2 | Self::V3_9_1 => ["org.apache.kafka", "kafka-tools", self.as_str()],
            Self::V4_3_1 => ["org.apache.logging.log4j", "log4j-slf4j-impl", "2.25.4"],
        }
    }

    /// The name of the logging configuration's property, and its text.
    pub(super) fn log_config(self) -> (&'static str, &'static str) {
        match self {
            Self::V2_8_2 | Self::V3_9_1 => ("log4j.configuration", LOG4J_1),
            Self::V4_3_1 => ("log4j2.configurationFile", LOG4J_2),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

const LOG4J_1: &str = "\
log4j.rootLogger=INFO, o
log4j.logger.org.apache.kafka.common.config.AbstractConfig=WARN
log4j.appender.o=org.apache.log4j.ConsoleAppender
log4j.appender.o.layout=org.apache.log4j.PatternLayout
log4j.appender.o.layout.ConversionPattern=%d{HH:mm:ss.SSS} %p %m (%c)%n
";

const LOG4J_2: &str = "\
rootLogger=INFO, o
logger.config.name=org.apache.kafka.common.config.AbstractConfig
logger.config.level=WARN
appender.o.type=Console
appender.o.name=o
appender.o.layout.type=PatternLayout
appender.o.layout.pattern=%d{HH:mm:ss.SSS} %p %m (%c{1})%n
";
