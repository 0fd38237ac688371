//! The oracle itself: made-up histories, right ones and one with each kind of lie.

mod history;
mod lies;
mod wires;
