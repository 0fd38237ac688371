//! Size-delimited frames over non-blocking sockets. Knows nodes, not topics or requests
//! (Java: `org.apache.kafka.common.network`).
//!
//! Thread: Sender, but for [`Wakeup`] (any). Locks: none.

mod channels;
mod idle;
mod interest_ops;
mod kafka_channel;
mod network_receive;
mod poller;
mod selectable;
mod selector;
mod send;
#[cfg(any(test, fuzzing))]
mod simulated;
mod transport;

#[cfg(any(test, fuzzing))]
pub(crate) use self::network_receive::NetworkReceive;
#[cfg(any(test, fuzzing))]
pub(crate) use self::selectable::Received;
#[cfg(interleave)]
pub(crate) use self::selectable::interleaving_tests;
pub(crate) use self::selectable::{
    ChannelState, Disconnected, NetworkSend, PollOutcome, Selectable, Wakeup,
};
pub(crate) use self::selector::{Selector, SelectorConfig};
pub(crate) use self::send::Send;
#[cfg(any(test, fuzzing))]
pub(crate) use self::simulated::{SharedWire, Wire, WireEvent, WireId, WireInterest};
