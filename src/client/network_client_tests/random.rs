//! Whatever peers do, every accepted request has exactly one response, and no loop spins.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::network::ChannelState;

#[derive(Debug, Clone)]
enum Step {
    Produce {
        node: i32,
        expects_response: bool,
        timeout_ms: u64,
    },
    /// The peer answers its oldest request.
    Answer(i32),
    End {
        node: i32,
        send_begun: bool,
    },
    Garbage {
        node: i32,
        frame: Vec<u8>,
    },
    Disconnect(i32),
    Stall {
        writes: bool,
        accepts: bool,
    },
    Refresh,
    Poll {
        ms: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let node = prop_oneof![Just(1), Just(2), Just(-1)];
    let frame = prop::collection::vec(any::<u8>(), 0..12);
    prop_oneof![
        6 => (1..3, any::<bool>(), 1..40_000_u64).prop_map(|(node, expects_response, timeout_ms)| {
            Step::Produce { node, expects_response, timeout_ms }
        }),
        6 => node.clone().prop_map(Step::Answer),
        1 => (node.clone(), any::<bool>())
            .prop_map(|(node, send_begun)| Step::End { node, send_begun }),
        1 => (node.clone(), frame).prop_map(|(node, frame)| Step::Garbage { node, frame }),
        1 => node.prop_map(Step::Disconnect),
        1 => (any::<bool>(), any::<bool>())
            .prop_map(|(writes, accepts)| Step::Stall { writes, accepts }),
        1 => Just(Step::Refresh),
        6 => (0..3000_u64).prop_map(|ms| Step::Poll { ms }),
    ]
}

fn take(harness: &mut Harness, step: Step, tag: u32) {
    match step {
        Step::Produce {
            node,
            expects_response,
            timeout_ms,
        } => {
            harness.produce_with(node, tag, |request| {
                request.expects_response = expects_response;
                request.timeout = Duration::from_millis(timeout_ms);
            });
        }
        Step::Answer(node) => {
            let Some(&request) = harness.unanswered(node).first() else {
                return;
            };
            let body = match request.api_key {
                API_VERSIONS => api_versions(request.version, 0, &harness.versions),
                METADATA => metadata(request.version, &harness.picture),
                _ => produce(request.version, 0),
            };
            harness.selector().answer(NodeId(node), &body);
        }
        Step::End { node, send_begun } => {
            if harness.client.selector.channels.contains_key(&NodeId(node)) {
                harness
                    .selector()
                    .end(NodeId(node), ChannelState::Connected, send_begun);
            }
        }
        Step::Garbage { node, frame } => {
            if harness.client.selector.channels.contains_key(&NodeId(node)) {
                harness.selector().receive(NodeId(node), frame);
            }
        }
        Step::Disconnect(node) => {
            let now = harness.now();
            harness.client.disconnect(NodeId(node), now);
        }
        Step::Stall { writes, accepts } => {
            harness.selector().writes = writes;
            harness.selector().accepts = accepts;
        }
        Step::Refresh => harness.metadata.request_update(),
        Step::Poll { ms } => {
            for node in [1, 2] {
                let known = harness.metadata.cluster().node(NodeId(node)).cloned();
                let now = harness.now();
                if let Some(known) = known {
                    harness.client.ready(&known, now);
                }
            }
            harness.poll(Duration::from_millis(ms));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_request_has_exactly_one_response(steps in prop::collection::vec(step(), 1..120)) {
        let mut harness = Harness::up_with("10.0.0.9:9092", |config| {
            config.max_in_flight = 2;
            config.metadata_recovery = MetadataRecovery::Rebootstrap {
                trigger: Duration::from_secs(20),
            };
        });
        let mut sent: BTreeMap<u32, usize> = BTreeMap::new();
        for (tag, step) in (0_u32..).zip(steps) {
            if matches!(step, Step::Produce { .. }) {
                sent.insert(tag, 0);
            }
            take(&mut harness, step, tag);
            let in_flight = harness.client.in_flight_request_count();
            prop_assert_eq!(in_flight + harness.out.len(), sent.len());
        }
        // Nobody answers any more: timeouts end what is left.
        let until = harness.now() + Duration::from_secs(45);
        let mut polls = 0;
        while harness.now() < until {
            let left = until - harness.now();
            harness.poll(left);
            polls += 1;
            prop_assert!(polls < 5000, "it spins");
        }
        for response in &harness.out {
            let count = sent.get_mut(&response.tag).expect("a tag of ours");
            *count += 1;
        }
        prop_assert!(sent.values().all(|count| *count == 1), "{:?}", sent);
        prop_assert_eq!(harness.client.in_flight_request_count(), 0);
    }
}
