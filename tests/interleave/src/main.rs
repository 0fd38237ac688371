//! The models of lock interleavings, as a program: the library's own files, with the locks and
//! atomics of loom or shuttle in `crate::sync`, and a runner. `cargo xtask interleave` builds and
//! runs it with either; built without `--cfg interleave` it only says so.

#![forbid(unsafe_code)]
#![cfg_attr(
    interleave,
    allow(
        dead_code,
        unused_imports,
        unreachable_pub,
        reason = "only what the models reach is used here; the library itself is linted as it is"
    )
)]

#[cfg(interleave)]
mod interleaving;
#[cfg(interleave)]
mod runner;

#[cfg(interleave)]
#[path = "../../../src/backoff.rs"]
mod backoff;
#[cfg(interleave)]
#[path = "../../../src/client/mod.rs"]
mod client;
#[cfg(interleave)]
#[path = "../../../src/cluster/mod.rs"]
mod cluster;
#[cfg(interleave)]
#[path = "../../../src/error.rs"]
mod error;
#[cfg(interleave)]
#[path = "../../../src/network/mod.rs"]
mod network;
#[cfg(interleave)]
#[path = "../../../src/planted.rs"]
mod planted;
#[cfg(interleave)]
#[path = "../../../src/producer/mod.rs"]
mod producer;
#[cfg(interleave)]
#[path = "../../../src/protocol/mod.rs"]
mod protocol;
#[cfg(interleave)]
#[path = "../../../src/random.rs"]
mod random;
#[cfg(interleave)]
#[path = "../../../src/record/mod.rs"]
mod record;
#[cfg(interleave)]
#[path = "../../../src/sync.rs"]
mod sync;
#[cfg(interleave)]
#[path = "../../../src/time.rs"]
mod time;

#[cfg(interleave)]
fn main() -> std::process::ExitCode {
    runner::main()
}

#[cfg(not(interleave))]
fn main() {
    println!("the models need a checker's locks: cargo xtask interleave");
}
