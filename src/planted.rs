//! Bugs that producers really had, to be planted again one at a time, each at its original place, so
//! that tests can prove that the simulator's oracle would have seen it.
//!
//! Thread: any; what is planted is the thread's own. Locks: none. Without the private feature
//! `planted` the question is a constant `false`, and the compiler drops every branch that asks it.
//! The numbers are those of the catalogue that docs/TESTING.md ("Plants") tells in short.

/// Which bug; the table below says what each one does. The nameless ones are mistakes that nobody is
/// known to have made: three in the network code, three that test the oracle, one that tests replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    not(feature = "planted"),
    allow(
        dead_code,
        reason = "some places need more than a branch, and vanish whole"
    )
)]
pub(crate) enum Plant {
    R01,
    R02,
    R03,
    R04,
    R06,
    R07,
    R14,
    R15,
    R17,
    R18,
    R19,
    R21,
    R23,
    R24,
    R28,
    R29,
    R30,
    R31,
    R32,
    R35,
    R36,
    R37,
    R38,
    R39,
    R40,
    R41,
    R53,
    R54,
    R56,
    R57,
    R59,
    R61,
    R62,
    R63,
    R64,
    R65,
    R66,
    R67,
    R68,
    R69,
    R70,
    R71,
    R72,
    R74,
    R79,
    PartialRead,
    PartialWrite,
    Correlation,
    RetryOrder,
    PieceOrder,
    CompletedTwice,
    ReleasedEarly,
    AdoptedAnyway,
    SilentLoss,
    HashOrder,
}

/// Whether this thread has that bug.
#[cfg(not(feature = "planted"))]
#[inline(always)]
pub(crate) const fn planted(_: Plant) -> bool {
    false
}

#[cfg(feature = "planted")]
pub(crate) use self::live::planted;
#[cfg(all(feature = "planted", any(test, fuzzing)))]
pub(crate) use self::live::{PlantedGuard, set_planted};
#[cfg(feature = "planted")]
pub(crate) use self::live::{is_given_back, note_given_back, note_returned};

#[cfg(feature = "planted")]
mod live {
    use std::cell::{Cell, RefCell};
    use std::collections::BTreeMap;

    use super::Plant;

    thread_local! {
        static PLANTED: Cell<Option<Plant>> = const { Cell::new(None) };
        /// Memory that was given back although somebody still reads it: where it begins, and its length.
        static GIVEN_BACK: RefCell<BTreeMap<usize, usize>> = const { RefCell::new(BTreeMap::new()) };
    }

    pub(crate) fn planted(plant: Plant) -> bool {
        PLANTED.get() == Some(plant)
    }

    /// Puts back what was planted before, when dropped.
    #[cfg(any(test, fuzzing))]
    #[derive(Debug)]
    #[must_use = "the plant is gone when this is dropped"]
    pub(crate) struct PlantedGuard(Option<Plant>);

    /// This thread has that bug, or none, from now on.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn set_planted(plant: Option<Plant>) -> PlantedGuard {
        GIVEN_BACK.take();
        PlantedGuard(PLANTED.replace(plant))
    }

    #[cfg(any(test, fuzzing))]
    impl Drop for PlantedGuard {
        fn drop(&mut self) {
            GIVEN_BACK.take();
            PLANTED.set(self.0);
        }
    }

    /// A pool takes this memory for free, whoever still reads it.
    pub(crate) fn note_given_back(memory: &[u8]) {
        let at = memory.as_ptr() as usize;
        GIVEN_BACK.with_borrow_mut(|given_back| given_back.insert(at, memory.len()));
    }

    /// It really is free now, and may be something else next.
    pub(crate) fn note_returned(memory: &[u8]) {
        let at = memory.as_ptr() as usize;
        GIVEN_BACK.with_borrow_mut(|given_back| given_back.remove(&at));
    }

    /// Whether these bytes lie in memory that was given back.
    pub(crate) fn is_given_back(bytes: &[u8]) -> bool {
        let at = bytes.as_ptr() as usize;
        GIVEN_BACK.with_borrow(|given_back| {
            let before = given_back.range(..=at).next_back();
            before.is_some_and(|(begin, len)| at < begin + len)
        })
    }
}

#[cfg(all(feature = "planted", any(test, fuzzing)))]
mod table {
    use std::fmt;
    use std::str::FromStr;

    use super::Plant;

    /// Each plant, the properties that it violates, and what goes wrong.
    pub(crate) const TABLE: &[(Plant, &str, &str)] = &[
        (
            Plant::R01,
            "P1, P6",
            "The buffer of a batch that ended is free although a send still reads it: what is left of it goes out as 0xDD.",
        ),
        (
            Plant::R02,
            "P1, P5",
            "The second batch of a partition that is to be sent again takes the place of the first, whose records are acknowledged and gone.",
        ),
        (
            Plant::R03,
            "P4",
            "A flush does not wait for the pieces of a batch that was split.",
        ),
        (
            Plant::R04,
            "P6",
            "What a split batch's callbacks count for is given back with its pieces, and once more by itself.",
        ),
        (
            Plant::R06,
            "P2, P7",
            "A new partition has five batches in flight before the first acknowledgement.",
        ),
        (
            Plant::R07,
            "P7",
            "The sequences of a partition are forgotten while metadata, or its leader, does not know the topic, and begin at 0 in the same epoch.",
        ),
        (
            Plant::R14,
            "P3, P7",
            "REQUEST_TIMED_OUT counts as proof that nothing was appended.",
        ),
        (
            Plant::R15,
            "P7",
            "The sequences of a batch that ended with an unknown outcome are given to the ones behind it.",
        ),
        (
            Plant::R17,
            "P10",
            "A batch that failed without having been written keeps its sequences, and the gap is retried for ever.",
        ),
        (
            Plant::R18,
            "P1",
            "A request that is given up leaves half a frame behind, and the next one follows on the same connection.",
        ),
        (
            Plant::R19,
            "P5, P10",
            "Requests of others get no response when the client itself closes their connection.",
        ),
        (
            Plant::R21,
            "P3",
            "NOT_LEADER_OR_FOLLOWER counts as proof that nothing was appended.",
        ),
        (
            Plant::R23,
            "P7, P12",
            "A sequence that is out of order raises the epoch of all partitions, and what is unresolved there goes again under it.",
        ),
        (
            Plant::R24,
            "P7",
            "A new epoch does not wait for the batches of the partition that are unresolved, and they go again under it.",
        ),
        (
            Plant::R28,
            "P2",
            "With one request in flight a partition is not muted: after a change of leader it has two.",
        ),
        (
            Plant::R29,
            "P2",
            "While a batch waits to be sent again, the next one overtakes it.",
        ),
        (
            Plant::R30,
            "P2",
            "Batches that go back to their queue get their new sequences in the order of a heap.",
        ),
        (
            Plant::R31,
            "P2",
            "A flush sends the last, partial batch of a partition before the older ones.",
        ),
        (
            Plant::R32,
            "P2",
            "A batch to send again is placed behind the newer ones.",
        ),
        (
            Plant::R35,
            "P7, P12",
            "A new epoch holds for all partitions, but only the one that failed begins at 0 again.",
        ),
        (
            Plant::R36,
            "P10",
            "An answer for a batch that is not in flight any more panics.",
        ),
        (
            Plant::R37,
            "P7",
            "The sequence after 2147483647 is negative.",
        ),
        (
            Plant::R38,
            "P7, P10",
            "The epoch after 32767 is negative, where a new producer id is needed.",
        ),
        (
            Plant::R39,
            "P10",
            "A broker that has lost or forgotten what it knew of the producer is the end of it.",
        ),
        (
            Plant::R40,
            "P10",
            "A batch that may have been written counts as written, and the gap that this can leave is fatal.",
        ),
        (
            Plant::R41,
            "P1, P7",
            "A batch that is sent again is built again, and not as it was.",
        ),
        (
            Plant::R53,
            "P13",
            "Nobody notices that a wait begins inside a callback.",
        ),
        (
            Plant::R54,
            "P4",
            "Closing by force waits for the answer to InitProducerId.",
        ),
        (
            Plant::R56,
            "P10, P11",
            "A response with a wrong correlation id costs the oldest request its own, and nothing else happens.",
        ),
        (
            Plant::R57,
            "P4, P5",
            "Topic ids of a response are looked up in newer metadata: batches of a topic made again never end.",
        ),
        (
            Plant::R59,
            "P9",
            "The next expiry is never set back: once it has passed, the loop does not sleep any more.",
        ),
        (
            Plant::R61,
            "P10, P12",
            "A partition that did not fit into a request is not looked at again.",
        ),
        (
            Plant::R62,
            "P4, P6",
            "Who gives up waiting for memory stays at the head of the line.",
        ),
        (
            Plant::R63,
            "P9, P10",
            "A partition that is unmuted is not looked at.",
        ),
        (
            Plant::R64,
            "P9",
            "The wake-up for a batch that is full is left out.",
        ),
        (
            Plant::R65,
            "P10",
            "The partitions of a topic that was made again wait for ever.",
        ),
        (
            Plant::R66,
            "P10",
            "The leader epochs of a topic outlive it: those of its successor count as old.",
        ),
        (
            Plant::R67,
            "P10",
            "A metadata request that fails stays in flight: no other is ever sent.",
        ),
        (
            Plant::R68,
            "P10",
            "A topic in use is forgotten, and never asked about again.",
        ),
        (
            Plant::R69,
            "P10",
            "Errors do not ask for new metadata: the old leader is tried again until the timeout.",
        ),
        (
            Plant::R70,
            "P10",
            "The address of a node is kept for ever, wherever its name has moved.",
        ),
        (
            Plant::R71,
            "P4, P10",
            "Setting up a connection has no timeout.",
        ),
        (
            Plant::R72,
            "P4",
            "While a broker throttles, nothing is read and nothing expires.",
        ),
        (
            Plant::R74,
            "P11",
            "Frames of any size are accepted, and their memory is taken at once.",
        ),
        (
            Plant::R79,
            "P1",
            "The time in the answer to a repetition counts as the time of appending.",
        ),
        (
            Plant::PartialRead,
            "P1",
            "The rest of a frame that does not arrive at once is counted, but not copied.",
        ),
        (
            Plant::PartialWrite,
            "P1",
            "After a short write the piece it ended in begins anew.",
        ),
        (
            Plant::Correlation,
            "P1, P3",
            "Correlation ids are not compared.",
        ),
        (
            Plant::RetryOrder,
            "P2",
            "A batch to send again is placed behind the newer ones, which get its sequences.",
        ),
        (
            Plant::PieceOrder,
            "P2, P5",
            "The pieces of a batch that was split go in the opposite order.",
        ),
        (
            Plant::CompletedTwice,
            "P5",
            "Shared callbacks are called twice.",
        ),
        (
            Plant::ReleasedEarly,
            "P6",
            "The memory of a batch is free as soon as it is sealed.",
        ),
        (
            Plant::AdoptedAnyway,
            "P1",
            "With topic.recreation.policy=fail, what was on its way to the old topic goes to the new one.",
        ),
        (
            Plant::SilentLoss,
            "P1",
            "Nothing is said of acknowledged records that a broker has lost.",
        ),
        (
            Plant::HashOrder,
            "the same seed, the same trace",
            "A hash map of the standard library decides which node is served first.",
        ),
    ];

    impl Plant {
        pub(crate) const ALL: [Self; TABLE.len()] = all();

        /// What goes wrong, in a sentence.
        pub(crate) fn story(self) -> &'static str {
            self.row().2
        }

        /// Which properties that violates.
        pub(crate) fn property(self) -> &'static str {
            self.row().1
        }

        fn row(self) -> &'static (Self, &'static str, &'static str) {
            let mut rows = TABLE.iter();
            rows.find(|(plant, ..)| *plant == self)
                .expect("the table has all")
        }
    }

    #[allow(
        clippy::indexing_slicing,
        reason = "a constant has no iterators, and the compiler runs it"
    )]
    const fn all() -> [Plant; TABLE.len()] {
        let mut all = [Plant::HashOrder; TABLE.len()];
        let mut at = 0;
        while at < all.len() {
            all[at] = TABLE[at].0;
            at += 1;
        }
        all
    }

    impl fmt::Display for Plant {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            fmt::Debug::fmt(self, f)
        }
    }

    impl FromStr for Plant {
        type Err = String;

        fn from_str(name: &str) -> Result<Self, String> {
            let known = Self::ALL
                .into_iter()
                .find(|plant| plant.to_string() == name);
            known.ok_or_else(|| {
                let all: Vec<String> = Self::ALL.iter().map(Self::to_string).collect();
                format!("there is no plant {name:?}; there are {}", all.join(" "))
            })
        }
    }
}

/// What the tests of each plant come to: a scenario that goes right without it and wrong with it.
#[cfg(all(test, feature = "planted"))]
#[track_caller]
pub(crate) fn assert_live(plant: Plant, goes_wrong: impl Fn() -> bool) {
    let healthy: PlantedGuard = set_planted(None);
    assert!(!goes_wrong(), "it goes wrong without {plant}");
    drop(healthy);
    let _planted = set_planted(Some(plant));
    assert!(goes_wrong(), "{plant} has no effect");
}

#[cfg(all(test, feature = "planted"))]
mod tests {
    use super::*;

    #[test]
    fn plants_are_all_in_the_table_in_their_order() {
        assert_eq!(Plant::ALL.len(), Plant::HashOrder as usize + 1);
        for (place, plant) in Plant::ALL.into_iter().enumerate() {
            assert_eq!(plant as usize, place, "{plant}");
            assert!(plant.story().ends_with('.') && !plant.property().is_empty());
        }
    }

    #[test]
    fn plant_is_named_as_it_is_written() {
        for plant in Plant::ALL {
            assert_eq!(plant.to_string().parse(), Ok(plant));
        }
        let error = "R99".parse::<Plant>().unwrap_err();
        assert!(error.contains("R99") && error.contains("R01"), "{error}");
    }

    #[test]
    fn set_planted_holds_until_its_guard_is_dropped_and_for_no_other() {
        assert!(!planted(Plant::R14));
        let outer = set_planted(Some(Plant::R14));
        assert!(planted(Plant::R14) && !planted(Plant::R15));
        let inner = set_planted(None);
        assert!(!planted(Plant::R14));
        drop(inner);
        assert!(planted(Plant::R14));
        drop(outer);
        assert!(!planted(Plant::R14));
    }

    #[test]
    fn every_plant_is_in_the_document() {
        let document = include_str!("../docs/TESTING.md");
        for plant in Plant::ALL {
            let row = format!("| {plant} | {} | ", plant.story());
            assert!(document.contains(&row), "docs/TESTING.md lacks {row}");
        }
    }
}
