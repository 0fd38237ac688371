//! Size-delimited frames over non-blocking sockets. Knows nodes, not topics or requests
//! (Java: `org.apache.kafka.common.network`).

mod selectable;
mod send;

pub(crate) use self::selectable::{
    ChannelState, Disconnected, NetworkSend, PollOutcome, Received, Selectable, Wakeup,
};
pub(crate) use self::send::Send;
