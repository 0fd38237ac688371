//! The Sender thread: takes batches from the accumulator to the brokers and their outcomes back.
//! Joins accumulator and sequences, which do not know each other (Java: `Sender`).

mod acked_offsets;
mod callback_executor;
mod completion;
mod ending_order;
mod identity;
mod in_flight_batches;
mod outcome;
mod produce;
mod recreation;
#[allow(
    clippy::module_inception,
    reason = "the house has a room and a type of this name"
)]
mod sender;
mod shutdown;
mod splitting;

#[cfg(test)]
mod mock_client;
#[cfg(test)]
mod sender_tests;

pub(crate) use self::callback_executor::CallbackExecutor;
#[cfg(any(test, fuzzing))]
pub(crate) use self::callback_executor::CallbackThread;
pub(crate) use self::sender::{RequestTag, Sender, SenderConfig};
