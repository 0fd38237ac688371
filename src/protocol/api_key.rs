//! The APIs we speak: key, and where its flexible versions begin.

/// An API of the protocol (Java: `ApiKeys`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i16)]
pub(crate) enum ApiKey {
    Produce = 0,
    Metadata = 3,
    ApiVersions = 18,
    InitProducerId = 22,
}

/// Versions from `min` to `max`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct VersionRange {
    pub(crate) min: i16,
    pub(crate) max: i16,
}
