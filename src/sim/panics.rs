//! Panics of simulated code are told by the violation that they are, not on standard error.
//!
//! Thread: each that simulates says so. Locks: none.

use std::cell::{Cell, RefCell};
use std::sync::Once;

thread_local! {
    static IS_SIMULATING: Cell<bool> = const { Cell::new(false) };
    static LAST: RefCell<String> = const { RefCell::new(String::new()) };
}

/// While it lives, this thread simulates.
pub(super) struct Quiet(());

impl Quiet {
    pub(super) fn begin() -> Self {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let usual = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                if IS_SIMULATING.get() {
                    LAST.set(panic.to_string());
                } else {
                    usual(panic);
                }
            }));
        });
        IS_SIMULATING.set(true);
        Self(())
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        IS_SIMULATING.set(false);
    }
}

/// What the last one said.
pub(super) fn last() -> String {
    LAST.take().replace('\n', " ")
}
