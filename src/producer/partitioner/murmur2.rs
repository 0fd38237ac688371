//! From a serialized key to a partition, as every Kafka client in Java does it.
//!
//! Java's counterparts: `BuiltInPartitioner.partitionForKey`, `Utils.murmur2`. Thread: application.
//! Locks: none. All partitions count, with a leader or not, so that equal keys stay together (B37).

/// The partition of a key among `partitions`, of which there is at least one.
#[inline]
pub(in crate::producer) fn partition_for_key(key: &[u8], partitions: i32) -> i32 {
    let positive = murmur2::murmur2(key, murmur2::KAFKA_SEED) & 0x7fff_ffff;
    let partitions = u32::try_from(partitions).unwrap_or(1).max(1);
    i32::try_from(positive % partitions).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_is_that_of_java() {
        for (key, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            (
                "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8",
                -58_897_971,
            ),
            ("abc", 479_470_107),
            ("", 275_646_681),
        ] {
            let ours = murmur2::murmur2(key.as_bytes(), murmur2::KAFKA_SEED);
            assert_eq!(i32::from_ne_bytes(ours.to_ne_bytes()), hash, "{key:?}");
        }
    }

    #[test]
    fn partition_is_the_positive_hash_among_all() {
        let positive = |hash: i32| hash & 0x7fff_ffff;
        assert_eq!(partition_for_key(b"foobar", 7), positive(-790_332_482) % 7);
        assert_eq!(partition_for_key(b"", 7), 275_646_681 % 7);
        assert_eq!(partition_for_key(b"abc", 1), 0);
        assert_eq!(partition_for_key(b"abc", i32::MAX), 479_470_107);
    }
}
