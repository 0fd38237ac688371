//! The Sender thread: takes batches from the accumulator to the brokers and their outcomes back.
//! Joins accumulator and sequences, which do not know each other (Java: `Sender`).

#[allow(
    clippy::module_inception,
    reason = "the house has a room and a type of this name"
)]
mod sender;

pub(crate) use self::sender::{RequestTag, Sender, SenderConfig};
