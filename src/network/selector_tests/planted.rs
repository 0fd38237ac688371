//! The bug that can be planted in the channel is live: without it a scenario goes right, with it wrong.

use super::*;
use crate::planted::{Plant, assert_live};

#[test]
fn r18_send_takes_the_place_of_one_that_is_half_written() {
    assert_live(Plant::R18, || {
        let (mut client, _peer) = Client::connected();
        client.send(1, [Bytes::from(vec![0; 64 << 20])]);
        client.send(2, [framed(b"in the middle of another frame")]);
        client.selector.is_channel_ready(NODE)
    });
}
