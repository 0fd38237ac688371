//! The application: threads that make calls, callbacks, and the end of it.
//!
//! A call that blocks holds its thread up until its waker is called or its time is over; what it
//! could have done without having been called is a lost wake-up (`wait.rs`).
//!
//! Thread: the one that simulates. Locks: the ledger's, for moments.
//! ```text
//! calls.rs: what call i is --> thread.rs: makes it, waits --> outcome.rs: writes down, compares
//!                              callbacks.rs: run in the Sender's turn --^
//! closing.rs: what close gives back
//! ```

mod applications;
mod callbacks;
mod calls;
mod closing;
mod outcome;
mod serializers;
mod thread;
mod topics;
mod wait;

pub(crate) use self::applications::Applications;

#[cfg(test)]
mod tests;
