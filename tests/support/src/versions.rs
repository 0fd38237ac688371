//! Which versions of which API a broker of a given age speaks.

use crate::config::FirstSequence;

/// The APIs the embedded cluster answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(clippy::enum_variant_names, reason = "Kafka's own names")]
pub enum Api {
    /// Key 0.
    Produce,
    /// Key 3.
    Metadata,
    /// Key 18.
    ApiVersions,
    /// Key 22.
    InitProducerId,
}

impl Api {
    /// All of them, in the order of their keys.
    pub const ALL: [Self; 4] = [
        Self::Produce,
        Self::Metadata,
        Self::ApiVersions,
        Self::InitProducerId,
    ];

    /// The number on the wire.
    pub const fn key(self) -> i16 {
        match self {
            Self::Produce => 0,
            Self::Metadata => 3,
            Self::ApiVersions => 18,
            Self::InitProducerId => 22,
        }
    }

    /// The API of a number, if it is one of ours.
    pub fn from_key(key: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|api| api.key() == key)
    }
}

/// The version ranges of one release, or made-up ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VersionProfile {
    /// Decides how the broker behaves beyond its versions.
    release: (u8, u8),
    produce: (i16, i16),
    metadata: (i16, i16),
    api_versions: (i16, i16),
    init_producer_id: (i16, i16),
}

impl VersionProfile {
    /// A broker of Kafka 2.1: no flexible version, no topic id, no leader hint.
    pub const KAFKA_21: Self = Self {
        release: (2, 1),
        produce: (0, 7),
        metadata: (0, 7),
        api_versions: (0, 2),
        init_producer_id: (0, 1),
    };
    /// A broker of Kafka 2.8.
    pub const KAFKA_28: Self = Self {
        release: (2, 8),
        produce: (0, 9),
        metadata: (0, 11),
        api_versions: (0, 3),
        init_producer_id: (0, 4),
    };
    /// A broker of Kafka 3.9.
    pub const KAFKA_39: Self = Self {
        release: (3, 9),
        produce: (0, 11),
        metadata: (0, 12),
        api_versions: (0, 4),
        init_producer_id: (0, 5),
    };
    /// A broker of Kafka 4.3.
    pub const KAFKA_43: Self = Self {
        release: (4, 3),
        produce: (0, 13),
        metadata: (0, 13),
        api_versions: (0, 4),
        init_producer_id: (0, 5),
    };

    /// The same release with another range for one API.
    #[must_use]
    pub fn with(mut self, api: Api, min: i16, max: i16) -> Self {
        let range = match api {
            Api::Produce => &mut self.produce,
            Api::Metadata => &mut self.metadata,
            Api::ApiVersions => &mut self.api_versions,
            Api::InitProducerId => &mut self.init_producer_id,
        };
        *range = (min, max);
        self
    }

    /// The lowest and the highest version of an API.
    pub const fn range(&self, api: Api) -> (i16, i16) {
        match api {
            Api::Produce => self.produce,
            Api::Metadata => self.metadata,
            Api::ApiVersions => self.api_versions,
            Api::InitProducerId => self.init_producer_id,
        }
    }

    /// The versions a request may have. Older versions of Produce are advertised for the sake of old
    /// clients and not answered, as Kafka 4 does; they carry formats that this cluster cannot read.
    pub(crate) fn accepted(&self, api: Api) -> (i16, i16) {
        let (min, max) = self.range(api);
        if api == Api::Produce {
            (min.max(3), max)
        } else {
            (min, max)
        }
    }

    /// How far in the future a timestamp may lie where a topic does not say.
    pub(crate) fn timestamp_after_max_ms(&self) -> i64 {
        if self.release >= (4, 0) {
            3_600_000
        } else {
            i64::MAX
        }
    }

    /// What a producer that is not known may begin with.
    pub(crate) fn first_sequence(&self) -> FirstSequence {
        if self.release < (2, 5) {
            FirstSequence::ZeroOrUnknownProducerId
        } else if self.release < (4, 5) {
            FirstSequence::Any
        } else {
            FirstSequence::ZeroInNewLog
        }
    }

    /// The same versions, spoken by another release: what it does beyond its versions.
    #[must_use]
    pub fn of_release(mut self, major: u8, minor: u8) -> Self {
        self.release = (major, minor);
        self
    }

    /// The major and minor number of the release this stands for.
    pub const fn release(&self) -> (u8, u8) {
        self.release
    }
}
