//! Records read back out of a batch's chunks, headers included: the first bytes say where the bytes are
//! cut into chunks.
//!
//! What is read does not depend on where the cuts are, and what was passed over is as long as what was
//! read.

use bytes::Bytes;

use super::input::Input;
use super::target::{self, Target};
use crate::record::{BatchBuilder, BatchReader, RecordView};

pub(super) const RECORD_BATCH_READ: Target = target::new(
    ("record_batch_read", MAX_LEN),
    run,
    // The chunks twice; two bytes make a header of 56, in a list that doubles, of two readers.
    |length| 192 * length + 1024,
    |length| 4 * length + 64,
);

const MAX_LEN: usize = 8 * 1024;

fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let cut = 1 + usize::from(input.u16());
    let bytes = input.rest();
    let chunks: Vec<Bytes> = bytes.chunks(cut).map(Bytes::copy_from_slice).collect();
    let whole = [Bytes::copy_from_slice(bytes)];
    let (mut pieces, mut one) = (BatchReader::new(&chunks), BatchReader::new(&whole));
    let mut count = 0;
    loop {
        let record = pieces.read();
        assert_eq!(record, one.read(), "a cut changes the record");
        let Some(record) = record else { break };
        count += 1;
        assert!(count <= bytes.len(), "records out of nothing");
        let headers = record.headers.as_slice();
        let view = RecordView::new(
            record.timestamp_delta_ms,
            record.key.as_deref(),
            record.value.as_deref(),
            headers,
        );
        read_back(&view);
    }
    let mut passed = BatchReader::new(&chunks);
    let mut skipped = 0;
    while passed.skip().is_some() {
        skipped += 1;
        assert!(skipped <= bytes.len(), "records out of nothing");
    }
}

/// What was read can be written again, and comes back the same.
fn read_back(view: &RecordView<'_>) {
    let mut builder = BatchBuilder::new(Vec::<Vec<u8>>::new());
    let framing = builder.framing(view);
    builder.add_chunk(Vec::with_capacity(framing.size()));
    builder.append(view, &framing);
    assert_eq!(builder.written(), framing.size(), "not the size foretold");
    let written: Vec<Bytes> = builder.into_chunks().into_iter().map(Bytes::from).collect();
    let again = BatchReader::new(&written).read();
    let same = again.is_some_and(|again| {
        again.key.as_deref() == view.key
            && again.value.as_deref() == view.value
            && again.headers.as_slice() == view.headers
            && again.timestamp_delta_ms == 0
    });
    assert!(same, "written again it is another record");
}
