//! Each bug that can be planted in metadata is live: without it a scenario goes right, with it wrong.

use super::*;
use crate::planted::{Plant, assert_live};

#[test]
fn r66_lower_epochs_of_a_topic_made_again_are_refused() {
    assert_live(Plant::R66, || {
        let fixture = Fixture::using(vec![topic("t", 1, &[(1, 10)])]);
        fixture.take(vec![topic("t", 9, &[(2, 0)])]);
        fixture.leader("t", 0) != Some((Some(2), 0))
    });
}

#[test]
fn r68_topic_in_use_is_forgotten_and_not_asked_about_again() {
    assert_live(Plant::R68, || {
        let known = || vec![topic("t", 1, &[(1, 10)])];
        let fixture = Fixture::using(known());
        for _ in 0..3 {
            fixture.time.advance(Duration::from_secs(40));
            fixture.metadata.touch(&Arc::from("t"), fixture.now());
            fixture.take(known());
        }
        let mut ticket = MetadataTicket::default();
        let is_lost = is_pending(&fixture.wait_for("t", &mut ticket));
        assert_eq!(is_lost, !fixture.asked().contains(&"t".to_owned()));
        is_lost
    });
}
