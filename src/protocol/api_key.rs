//! The APIs we speak: keys, where their flexible versions begin, which header goes with which.

/// An API of the protocol (Java: `ApiKeys`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i16)]
pub(crate) enum ApiKey {
    Produce = 0,
    Metadata = 3,
    ApiVersions = 18,
    InitProducerId = 22,
}

impl ApiKey {
    pub(crate) fn code(self) -> i16 {
        self as i16
    }

    /// The first version with compact lengths and tagged fields.
    const fn first_flexible(self) -> i16 {
        match self {
            Self::Produce | Self::Metadata => 9,
            Self::ApiVersions => 3,
            Self::InitProducerId => 2,
        }
    }

    pub(crate) fn is_flexible(self, version: i16) -> bool {
        version >= self.first_flexible()
    }

    /// Whether the response's header has tagged fields: never for ApiVersions, whose reader does
    /// not know yet what the broker speaks.
    pub(crate) fn has_flexible_response_header(self, version: i16) -> bool {
        self != Self::ApiVersions && self.is_flexible(version)
    }

    /// The name as Kafka's logs have it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Produce => "Produce",
            Self::Metadata => "Metadata",
            Self::ApiVersions => "ApiVersions",
            Self::InitProducerId => "InitProducerId",
        }
    }
}

/// Versions from `min` to `max`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct VersionRange {
    pub(crate) min: i16,
    pub(crate) max: i16,
}

impl VersionRange {
    /// No limit.
    pub(crate) const ALL: Self = Self {
        min: 0,
        max: i16::MAX,
    };

    /// The highest version that both have.
    pub(crate) fn highest_common(self, other: Self) -> Option<i16> {
        let max = self.max.min(other.max);
        (max >= self.min.max(other.min)).then_some(max)
    }

    pub(crate) fn intersection(self, other: Self) -> Self {
        Self {
            min: self.min.max(other.min),
            max: self.max.min(other.max),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn highest_common_is_none_without_overlap() {
        let range = |min, max| VersionRange { min, max };
        assert_eq!(range(3, 13).highest_common(range(0, 9)), Some(9));
        assert_eq!(range(3, 13).highest_common(range(0, 2)), None);
        assert_eq!(range(3, 13).highest_common(range(14, 20)), None);
        assert_eq!(range(5, 3).highest_common(range(0, 9)), None);
    }
}
