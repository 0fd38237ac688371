//! Which versions of which APIs each connected node has (Java: `ApiVersions`, `NodeApiVersions`).
//!
//! Thread: Sender. Locks: none. Invariant: a node has an entry from its ApiVersions response to the
//! end of that connection, as the next one may lead to another version of the broker.

use std::collections::BTreeMap;

use crate::cluster::NodeId;
use crate::protocol::messages::supported_versions;
use crate::protocol::{ApiKey, VersionRange};

/// The ranges of all connected nodes.
#[derive(Debug, Default)]
pub(super) struct ApiVersions(BTreeMap<NodeId, BTreeMap<i16, VersionRange>>);

/// Why no version can be used: what each side has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoCommonVersion {
    pub(super) api_key: ApiKey,
    /// Ours, cut with what the asker allows.
    wanted: VersionRange,
    /// `None`: the node does not have the API, or said nothing yet.
    has: Option<VersionRange>,
}

impl ApiVersions {
    /// Takes `(api key, min, max)` as a node said them.
    pub(super) fn update(&mut self, node: NodeId, ranges: &[(i16, i16, i16)]) {
        let ranges = ranges
            .iter()
            .map(|&(key, min, max)| (key, VersionRange { min, max }))
            .collect();
        self.0.insert(node, ranges);
    }

    pub(super) fn remove(&mut self, node: NodeId) {
        self.0.remove(&node);
    }

    /// The highest version that we, the node and the asker have in common (B124).
    pub(super) fn usable_version(
        &self,
        node: NodeId,
        api_key: ApiKey,
        allowed: VersionRange,
    ) -> Result<i16, NoCommonVersion> {
        let wanted = supported_versions(api_key).intersection(allowed);
        let has = self
            .0
            .get(&node)
            .and_then(|ranges| ranges.get(&api_key.code()))
            .copied();
        has.and_then(|has| wanted.highest_common(has))
            .ok_or(NoCommonVersion {
                api_key,
                wanted,
                has,
            })
    }
}

impl std::fmt::Display for NoCommonVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let VersionRange { min, max } = self.wanted;
        let name = self.api_key.name();
        write!(f, "{name} is needed in a version from {min} to {max}, ")?;
        match self.has {
            Some(VersionRange { min, max }) => write!(f, "the broker has {min} to {max}"),
            None => write!(f, "the broker does not have it"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: NodeId = NodeId(1);

    fn range(min: i16, max: i16) -> VersionRange {
        VersionRange { min, max }
    }

    fn usable(broker: &[(i16, i16, i16)], allowed: VersionRange) -> Result<i16, NoCommonVersion> {
        let mut versions = ApiVersions::default();
        versions.update(NODE, broker);
        versions.usable_version(NODE, ApiKey::Produce, allowed)
    }

    #[test]
    fn usable_version_is_the_highest_of_all_three() {
        let ours = supported_versions(ApiKey::Produce);
        assert_eq!(usable(&[(0, 0, 100)], VersionRange::ALL), Ok(ours.max));
        assert_eq!(usable(&[(0, 0, 7)], VersionRange::ALL), Ok(7));
        assert_eq!(usable(&[(3, 0, 1), (0, 0, 9)], range(3, 8)), Ok(8));
        assert_eq!(
            usable(&[(0, ours.min, ours.min)], VersionRange::ALL),
            Ok(ours.min)
        );
    }

    #[test]
    fn usable_version_without_overlap_says_what_each_side_has() {
        let error = usable(&[(0, 0, 2)], VersionRange::ALL).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("Produce") && text.contains("0 to 2"),
            "{text}"
        );
        assert!(usable(&[(0, 0, 9)], range(10, 13)).is_err());
        assert!(usable(&[(0, 12, 13)], range(3, 11)).is_err());
        assert!(
            usable(&[(0, 9, 3)], VersionRange::ALL).is_err(),
            "turned round"
        );
    }

    #[test]
    fn usable_version_of_a_missing_api_or_node_is_none() {
        assert!(usable(&[(3, 0, 12)], VersionRange::ALL).is_err());
        let mut versions = ApiVersions::default();
        versions.update(NODE, &[(0, 3, 9)]);
        let other = versions.usable_version(NodeId(2), ApiKey::Produce, VersionRange::ALL);
        assert!(other.unwrap_err().to_string().contains("does not have it"));
        versions.remove(NODE);
        assert!(
            versions
                .usable_version(NODE, ApiKey::Produce, VersionRange::ALL)
                .is_err()
        );
    }
}
