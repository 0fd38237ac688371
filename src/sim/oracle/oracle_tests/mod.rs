//! The oracle itself: made-up histories, right ones and one with each kind of lie.

mod growth;
mod history;
mod lies;
mod pieces;
mod waits;
mod wires;
