//! A TCP proxy that breaks what passes through it, byte by byte.
//!
//! [`FaultProxy`] has one link per broker: a port that clients connect to, and where it leads. It
//! knows nothing of Kafka. What it can do to a link: delay bytes, with jitter; stay silent in one
//! direction, and deliver later what it held back, even from connections that the client has given
//! up; throw answers away, after which the connection cannot go on and is reset; reset connections
//! when exactly so many more bytes have passed. A [`Watcher`] sees all bytes as they were sent.
#![allow(
    clippy::disallowed_methods,
    reason = "it stands between real processes and delays by the real clock"
)]

mod connection;
mod fault_proxy;
mod pipe;
#[cfg(test)]
mod proxy_tests;

pub use fault_proxy::{FaultProxy, Nobody, Watcher};
pub use pipe::Direction;
