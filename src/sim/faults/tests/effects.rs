//! Each kind alone: the run is another one than without it, and the kind says that it struck.

use std::sync::OnceLock;

use super::*;

/// A few seeds: a fault on the third connection is none where two suffice.
fn assert_effect(kind: FaultKind) {
    static PLAIN: [OnceLock<Vec<String>>; SEEDS] = [const { OnceLock::new() }; SEEDS];

    let differs = (0..).zip(&PLAIN).any(|(seed, plain)| {
        let mut scenario = busy(seed);
        // Newer brokers take any first sequence, and nobody notices.
        let old_only = matches!(
            kind,
            FaultKind::ProducersForgotten | FaultKind::RecordsDeleted
        );
        let old_plain = old_only.then(|| {
            scenario.cluster.versions = 3;
            scenario.cluster.refuses_unknown_first_sequence = false;
            words(&run(&scenario, true).trace)
        });
        let plain = match &old_plain {
            Some(plain) => plain,
            None => plain.get_or_init(|| words(&run(&scenario, true).trace)),
        };
        scenario.faults = vec![alone(kind, seed)];
        let report = run(&scenario, true);
        // What the producer has to bear without a trace only says that it was there.
        let shows = !matches!(kind, FaultKind::CallbackPanics | FaultKind::CallbackFlushes);
        report.fired.contains_key(&kind) && (!shows || words(&report.trace) != *plain)
    });
    assert!(differs, "{} does nothing", kind.name());
}

/// Without what the faults themselves say.
fn words(trace: &str) -> Vec<String> {
    let lines = trace.lines().filter(|line| !line.contains(" fault "));
    lines.map(str::to_owned).collect()
}

const SEEDS: usize = 8;

macro_rules! effects {
    ($($test:ident: $kind:ident;)+) => {
        $(#[test]
        fn $test() {
            assert_effect(FaultKind::$kind);
        })+

        #[test]
        fn every_kind_is_tested_alone() {
            let tested: BTreeSet<FaultKind> = [$(FaultKind::$kind),+].into();
            assert_eq!(tested, FaultKind::ALL.iter().copied().collect());
        }
    };
}

effects! {
    latency_makes_another_run: Latency;
    slow_link_makes_another_run: SlowLink;
    small_pieces_makes_another_run: SmallPieces;
    bunched_answers_makes_another_run: BunchedAnswers;
    short_writes_makes_another_run: ShortWrites;
    full_send_buffer_makes_another_run: FullSendBuffer;
    reset_after_request_bytes_makes_another_run: ResetAfterRequestBytes;
    reset_after_answer_bytes_makes_another_run: ResetAfterAnswerBytes;
    reset_of_idle_makes_another_run: ResetOfIdle;
    reset_of_all_makes_another_run: ResetOfAll;
    end_in_answer_makes_another_run: EndInAnswer;
    half_open_makes_another_run: HalfOpen;
    lost_requests_makes_another_run: LostRequests;
    lost_answers_makes_another_run: LostAnswers;
    late_old_connection_makes_another_run: LateOldConnection;
    late_end_makes_another_run: LateEnd;
    swizzle_clog_makes_another_run: SwizzleClog;
    isolated_node_makes_another_run: IsolatedNode;
    connect_refused_makes_another_run: ConnectRefused;
    connect_hangs_makes_another_run: ConnectHangs;
    connect_slow_makes_another_run: ConnectSlow;
    connect_fails_makes_another_run: ConnectFails;
    connect_at_once_makes_another_run: ConnectAtOnce;
    accepted_then_reset_makes_another_run: AcceptedThenReset;
    spurious_readiness_makes_another_run: SpuriousReadiness;
    short_reads_leave_bytes_makes_another_run: ShortReadsLeaveBytes;
    retriable_code_makes_another_run: RetriableCode;
    code_after_append_makes_another_run: CodeAfterAppend;
    fatal_code_makes_another_run: FatalCode;
    killing_code_makes_another_run: KillingCode;
    sequence_code_makes_another_run: SequenceCode;
    message_too_large_makes_another_run: MessageTooLarge;
    refused_records_makes_another_run: RefusedRecords;
    any_code_makes_another_run: AnyCode;
    delayed_answer_makes_another_run: DelayedAnswer;
    held_answer_makes_another_run: HeldAnswer;
    swallowed_request_makes_another_run: SwallowedRequest;
    closed_before_append_makes_another_run: ClosedBeforeAppend;
    closed_after_append_makes_another_run: ClosedAfterAppend;
    closed_in_answer_makes_another_run: ClosedInAnswer;
    throttling_makes_another_run: Throttling;
    wrong_correlation_id_makes_another_run: WrongCorrelationId;
    garbage_answer_makes_another_run: GarbageAnswer;
    rubbish_answer_makes_another_run: RubbishAnswer;
    http_answer_makes_another_run: HttpAnswer;
    tls_alert_makes_another_run: TlsAlert;
    unasked_answer_makes_another_run: UnaskedAnswer;
    answered_twice_makes_another_run: AnsweredTwice;
    wrong_size_makes_another_run: WrongSize;
    cut_short_answer_makes_another_run: CutShortAnswer;
    lying_produce_answer_makes_another_run: LyingProduceAnswer;
    lying_metadata_makes_another_run: LyingMetadata;
    odd_api_versions_makes_another_run: OddApiVersions;
    no_producer_id_makes_another_run: NoProducerId;
    rebootstrap_required_makes_another_run: RebootstrapRequired;
    api_versions_code_makes_another_run: ApiVersionsCode;
    metadata_code_makes_another_run: MetadataCode;
    stale_metadata_makes_another_run: StaleMetadata;
    hidden_topic_makes_another_run: HiddenTopic;
    hidden_partition_makes_another_run: HiddenPartition;
    hidden_broker_makes_another_run: HiddenBroker;
    init_producer_id_code_makes_another_run: InitProducerIdCode;
    init_producer_id_hangs_makes_another_run: InitProducerIdHangs;
    wrong_leader_hints_makes_another_run: WrongLeaderHints;
    confused_node_makes_another_run: ConfusedNode;
    leader_moves_makes_another_run: LeaderMoves;
    leader_ping_pong_makes_another_run: LeaderPingPong;
    no_leader_makes_another_run: NoLeader;
    broker_restart_makes_another_run: BrokerRestart;
    rolling_restart_makes_another_run: RollingRestart;
    broker_crash_makes_another_run: BrokerCrash;
    broker_pause_makes_another_run: BrokerPause;
    stale_restart_makes_another_run: StaleRestart;
    all_brokers_down_makes_another_run: AllBrokersDown;
    connections_closed_makes_another_run: ConnectionsClosed;
    connections_refused_makes_another_run: ConnectionsRefused;
    partitions_added_makes_another_run: PartitionsAdded;
    topic_recreated_makes_another_run: TopicRecreated;
    topic_deleted_makes_another_run: TopicDeleted;
    authorization_withdrawn_makes_another_run: AuthorizationWithdrawn;
    message_limit_lowered_makes_another_run: MessageLimitLowered;
    isr_shrinks_makes_another_run: IsrShrinks;
    isr_shrinks_after_append_makes_another_run: IsrShrinksAfterAppend;
    producers_forgotten_makes_another_run: ProducersForgotten;
    records_deleted_makes_another_run: RecordsDeleted;
    node_readdressed_makes_another_run: NodeReaddressed;
    broker_added_makes_another_run: BrokerAdded;
    sender_stall_makes_another_run: SenderStall;
    wall_clock_jumps_makes_another_run: WallClockJumps;
    callback_sends_makes_another_run: CallbackSends;
    callback_sleeps_makes_another_run: CallbackSleeps;
    callback_panics_makes_another_run: CallbackPanics;
    callback_flushes_makes_another_run: CallbackFlushes;
    callback_closes_makes_another_run: CallbackCloses;
    callback_waits_makes_another_run: CallbackWaits;
    spurious_wakeups_makes_another_run: SpuriousWakeups;
    dropped_handles_makes_another_run: DroppedHandles;
    failing_serializer_makes_another_run: FailingSerializer;
    slow_lookups_makes_another_run: SlowLookups;
    unknown_names_makes_another_run: UnknownNames;
    lookups_without_answer_makes_another_run: LookupsWithoutAnswer;
    addresses_change_makes_another_run: AddressesChange;
    dead_address_first_makes_another_run: DeadAddressFirst;
}
