//! The Sender thread: takes batches from the accumulator to the brokers and their outcomes back.
